"""Jobs that may be signed: all are known here, of a few at a time some blocks are in memory."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

import structlog

from segeld.dispatch.jobwork import JobWork
from segeld.dispatch.ports import Rules
from segeld.dispatch.waiting import WaitingRoom
from segeld.dispatch.work import Work
from segeld.jobqueue.store import Queue
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job
from segeld.model.job_state import SIGNABLE
from segeld.model.kind import Kind
from segeld.model.priority import Priority

OPEN_JOBS: Final = 4
"""Jobs of one caller, priority and kind that take turns. The others wait for one of them to end."""
_PAGE: Final = 500
_PAUSE: Final = 1.0
"""Seconds until a block that could not be read is asked for again."""

_log: Final = structlog.get_logger(__name__)
_Line = tuple[str, Priority, Kind]


class JobBoard:
    """`add` when a job was sealed, `changed` when it changed; `run` loads blocks as they are needed."""

    def __init__(self, store: Queue, room: WaitingRoom, rules: Callable[[], Rules]) -> None:
        self._store = store
        self._room = room
        self._rules = rules
        self._works: dict[int, JobWork] = {}
        self._lines: dict[_Line, dict[int, JobWork]] = {}
        """By id, so in the order of their creation."""
        self._wanted: asyncio.Queue[JobWork] = asyncio.Queue()
        self._asked: set[int] = set()
        room.on_taken = self._taken

    def __len__(self) -> int:
        return len(self._works)

    async def start(self) -> None:
        """Finds what an earlier run left."""
        after = 0
        while page := await self._store.signable(after, _PAGE):
            for job in page:
                self.add(job)
            after = page[-1].id
        if self._works:
            _log.info("jobs go on", jobs=len(self._works))

    async def run(self) -> None:
        """Loads blocks until it is cancelled."""
        while True:
            work = await self._wanted.get()
            if work.id not in self._works:
                continue
            try:
                block = await self._store.block(work.id, work.next_offset)
            except Fault as fault:
                _log.warning("a block of a job cannot be read now", job=str(work.name), why=fault.text)
                asyncio.get_running_loop().call_later(_PAUSE, self._wanted.put_nowait, work)  # others go on
                continue
            self._asked.discard(work.id)
            work.load(block)
            if work.waiting:
                self._room.enter(work)
            self._look_at(work)

    def add(self, job: Job) -> None:
        """A job that may be signed from now on."""
        if job.id in self._works or job.state not in SIGNABLE:
            return
        kind = job.spec.kind
        if not self._rules().permits(job.spec.caller, kind.key, kind.algorithm):
            _log.warning(
                "a job waits: its caller has no grant any more", job=str(job.name), caller=job.spec.caller
            )
            return
        work = JobWork(job, attempts=self._rules().attempts(kind.key))
        self._works[job.id] = work
        line = self._lines.setdefault(_line(work), {})
        line[job.id] = work
        self._open(line)

    def changed(self, job: Job) -> None:
        """What became of a job: one that is not to be signed any more leaves."""
        work = self._works.get(job.id)
        if work is None:
            return
        if job.state not in SIGNABLE:
            work.refuse(Fault(Reason.JOB_STATE, f"{job.name} is {job.state}."))
            self._leave(work)
        else:
            self._look_at(work)

    def _taken(self, work: Work) -> None:
        if isinstance(work, JobWork):
            self._look_at(work)

    def _look_at(self, work: JobWork) -> None:
        if work.gone or (work.loaded_all and work.idle):
            self._leave(work)
        elif work.hungry and work.id not in self._asked and self._is_open(work):
            self._asked.add(work.id)
            self._wanted.put_nowait(work)

    def _is_open(self, work: JobWork) -> bool:
        """Whether it is among the first of its line: only their blocks are in memory."""
        line = self._lines.get(_line(work), {})
        return work.id in islice(line, OPEN_JOBS)

    def _leave(self, work: JobWork) -> None:
        if self._works.pop(work.id, None) is None:
            return
        self._room.withdraw(work)
        key = _line(work)
        line = self._lines[key]
        del line[work.id]
        if line:
            self._open(line)
        else:
            del self._lines[key]

    def _open(self, line: dict[int, JobWork]) -> None:
        for work in list(islice(line.values(), OPEN_JOBS)):
            self._look_at(work)


def _line(work: JobWork) -> _Line:
    return work.caller, work.priority, work.kind
