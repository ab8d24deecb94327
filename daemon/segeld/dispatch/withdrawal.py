"""Jobs of callers that were revoked for good: the policy may say that they are cancelled instead of held."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from segeld.dispatch.oversight import Oversight
from segeld.model.faults import Fault, Reason
from segeld.model.job import JobFilter
from segeld.model.job_state import FINAL, JobState

_UNFINISHED: Final = frozenset(JobState) - FINAL - {JobState.ENDING}
_PAGE: Final = 100
_PAUSE: Final = 2.0
"""Seconds until a store that failed is asked again."""
WHY: Final = "its caller was revoked"

_log: Final = structlog.get_logger(__name__)


class Withdrawal:
    """`run` goes on until it is cancelled; `look` when the policy, or who is revoked, changed."""

    def __init__(self, oversight: Oversight, condemned: Callable[[], Iterable[str]]) -> None:
        """:param condemned: revoked callers whose jobs are to be cancelled."""
        self._oversight = oversight
        self._condemned = condemned
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
                    await self._cancel_all(caller)
            except Fault as fault:
                _log.warning("jobs of a revoked caller cannot be cancelled now", why=fault.text)
                await asyncio.sleep(_PAUSE)
                self._changed.set()

    async def _cancel_all(self, caller: str) -> None:
        before: int | None = None
        while True:
            jobs, before = await self._oversight.all_jobs(
                JobFilter(states=_UNFINISHED), caller=caller, before=before, limit=_PAGE
            )
            for job in jobs:
                try:
                    await self._oversight.cancel(job.name, "the policy", WHY)
                except Fault as fault:
                    if fault.reason not in (Reason.JOB_STATE, Reason.JOB_NOT_FOUND):  # it ended meanwhile
                        raise
            if before is None:
                return
