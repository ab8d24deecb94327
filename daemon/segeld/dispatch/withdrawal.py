"""Jobs of which nothing may be signed any more: the policy may say that they are cancelled instead of held."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from segeld.dispatch.oversight import Oversight
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job, JobFilter
from segeld.model.job_state import FINAL, JobState
from segeld.model.kind import Kind

_UNFINISHED: Final = frozenset(JobState) - FINAL - {JobState.ENDING}
_PAGE: Final = 100
_PAUSE: Final = 2.0
"""Seconds until a store that failed is asked again."""

_log: Final = structlog.get_logger(__name__)


class Withdrawal:
    """`run` goes on until it is cancelled; `look` when the policy, or who is revoked, changed."""

    def __init__(
        self, oversight: Oversight, condemned: Callable[[], Iterable[str]], lost: Callable[[str, Kind], str]
    ) -> None:
        """:param condemned: callers whose jobs are cancelled once nothing of them may be signed.
        :param lost: why nothing may be signed that such a caller asked for so; empty if it may.
        """
        self._oversight = oversight
        self._condemned = condemned
        self._lost = lost
        self._changed = asyncio.Event()
        self._changed.set()  # what an earlier run did not finish is finished now

    def look(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                for caller in list(self._condemned()):
                    await self._cancel_lost(caller)
            except Fault as fault:
                _log.warning("jobs that are lost cannot be cancelled now", why=fault.text)
                await asyncio.sleep(_PAUSE)
                self._changed.set()

    async def _cancel_lost(self, caller: str) -> None:
        before: int | None = None
        while True:
            jobs, before = await self._oversight.all_jobs(
                JobFilter(states=_UNFINISHED), caller=caller, before=before, limit=_PAGE
            )
            for job in jobs:
                if why := self._lost(caller, job.spec.kind):
                    await self._cancel(job, why)
            if before is None:
                return

    async def _cancel(self, job: Job, why: str) -> None:
        try:
            await self._oversight.cancel(job.name, "the policy", why)
        except Fault as fault:
            if fault.reason not in (Reason.JOB_STATE, Reason.JOB_NOT_FOUND):  # it ended meanwhile
                raise
