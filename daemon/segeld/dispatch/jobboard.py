"""Jobs that may be signed: all are known here, of a few at a time some blocks are in memory."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final

import structlog

from segeld.dispatch.jobwork import JobWork
from segeld.dispatch.ports import Rules
from segeld.dispatch.standing import Standing, held
from segeld.dispatch.waiting import WaitingRoom
from segeld.dispatch.work import Work
from segeld.jobqueue.store import Queue
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job
from segeld.model.job_state import SIGNABLE, JobState
from segeld.model.kind import Kind
from segeld.model.names import KeyName
from segeld.model.priority import Priority

OPEN_JOBS: Final = 4
"""Jobs of one caller, priority and kind that take turns. The others wait for one of them to end."""
_PAGE: Final = 500
_REVIEWED_AT_ONCE: Final = 500
"""Jobs: a few milliseconds."""
_PAUSE: Final = 1.0
"""Seconds until a block that could not be read is asked for again."""

_UNSEEN: Final = "No token that was seen holds its key any more, or yet: ask an officer if that lasts."

_log: Final = structlog.get_logger(__name__)
_Line = tuple[str, Priority, Kind]


class JobBoard:
    """`add` when a job was sealed, `changed` when it changed; `run` loads blocks as they are needed."""

    def __init__(
        self,
        store: Queue,
        room: WaitingRoom,
        rules: Callable[[], Rules],
        standing: Standing,
        told: Callable[[Job], None],
    ) -> None:
        """:param told: told of a job that waits now, or goes on, although nothing of it changed in the store."""
        self._store = store
        self._room = room
        self._rules = rules
        self._standing = standing
        self._told = told
        self._works: dict[int, JobWork] = {}
        self._lines: dict[_Line, dict[int, JobWork]] = {}
        """Those that do not rest; by id, so in the order of their creation."""
        self._wanted: asyncio.Queue[JobWork] = asyncio.Queue()
        self._asked: set[int] = set()
        self.on_withheld: Callable[[], None] = lambda: None
        """Told when a job that comes in, or was about to be dispatched, may not be signed."""
        room.on_taken = self._taken
        room.on_forbidden = self._forbidden

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
        work = JobWork(job, attempts=self._rules().attempts(job.spec.kind.key))
        self._works[job.id] = work
        if self._look_whether_permitted(work):
            self.on_withheld()
        self._place(work)

    def changed(self, job: Job) -> None:
        """What became of a job: one that is not to be signed any more leaves."""
        work = self._works.get(job.id)
        if work is None:
            return
        work.job = job
        paused = job.state is JobState.PAUSED
        if paused or work.paused:
            work.paused = paused
            self._place(work)
        if job.state not in SIGNABLE and not paused:
            work.refuse(Fault(Reason.JOB_STATE, f"{job.name} is {job.state}."))
            self._leave(work)
        else:
            self._look_at(work)

    def review(self) -> None:
        """The policy changed, or who is revoked: what was granted goes on, what is not any more waits.

        Of very many jobs the rest is looked at in turns of their own: signing goes on in between, and what is dispatched
        meanwhile is looked at then.
        """
        self._review(list(self._works.values()), 0)

    def _review(self, works: Sequence[JobWork], begin: int) -> None:
        for work in works[begin : begin + _REVIEWED_AT_ONCE]:
            if work.id in self._works and self._look_whether_permitted(work):
                self._place(work)
                self._told(work.job)
        if begin + _REVIEWED_AT_ONCE < len(works):
            asyncio.get_running_loop().call_soon(self._review, works, begin + _REVIEWED_AT_ONCE)

    def why(self, job: Job) -> str:
        """Why a job that is queued or running does not go on; empty if nothing is known that stands in its way."""
        work = self._works.get(job.id)
        if work is None or work.forbidden:
            return "" if work is None else work.forbidden
        fault = self._room.refusal(work.kind)
        if fault is None:
            return ""
        return _UNSEEN if fault.reason is Reason.KEY_NOT_FOUND else fault.text

    def held_of(self, caller: str) -> int:
        """Jobs of a caller that wait because they are not allowed now."""
        return sum(work.caller == caller and bool(work.forbidden) for work in self._works.values())

    def waiting(self, keys: Collection[KeyName]) -> int:
        """Items without an outcome of jobs with these keys."""
        return sum(work.job.left for work in self._works.values() if work.kind.key in keys)

    def _look_whether_permitted(self, work: JobWork) -> bool:
        """Whether that changed."""
        fault = self._standing.refusal(work.caller, work.kind, interactive=False)
        why = held(fault) if fault is not None else ""
        if why == work.forbidden:
            return False
        _log.warning(
            "a job waits" if why else "a job goes on", job=str(work.name), caller=work.caller, why=why
        )
        work.forbidden = why
        return True

    def _forbidden(self, work: Work, fault: Fault) -> None:
        """What was in its lane must not be signed: the review of it is still to come."""
        if isinstance(work, JobWork):
            work.forbidden = held(fault)
            self._place(work)
            self.on_withheld()

    def _place(self, work: JobWork) -> None:
        """Into its line, or out of it while it rests: others of its line take their turns meanwhile."""
        line = self._lines.setdefault(_line(work), {})
        if work.resting:
            self._room.withdraw(work)
            line.pop(work.id, None)
        elif work.id not in line:
            line[work.id] = work
            if max(line) != work.id:
                self._lines[_line(work)] = line = dict(sorted(line.items()))
            if work.waiting:
                self._room.enter(work)
        if line:
            self._open(line)
        else:
            del self._lines[_line(work)]

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
        line = self._lines.get(key, {})
        line.pop(work.id, None)
        if line:
            self._open(line)
        else:
            self._lines.pop(key, None)

    def _open(self, line: dict[int, JobWork]) -> None:
        for work in list(islice(line.values(), OPEN_JOBS)):
            self._look_at(work)


def _line(work: JobWork) -> _Line:
    return work.caller, work.priority, work.kind
