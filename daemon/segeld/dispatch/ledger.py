"""The dispatcher's book-keeping: nothing is signed before its claim is durable, nothing released before its outcome is."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from segeld.dispatch.lanes import Chunk, Item
from segeld.dispatch.work import Work
from segeld.jobqueue.claims import Claim, Granted, ItemOutcome, Known, Part, Refused, Settled, StaleClaim
from segeld.jobqueue.store import Queue
from segeld.jobqueue.store_faults import StoreBroken
from segeld.model.faults import Fault
from segeld.model.names import TokenName

_log: Final = structlog.get_logger(__name__)
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_BELIEVED: Final = 3.0
"""Seconds for which a failure says that the next attempt would fail too. Whoever waits tries more often than that."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a claim granted."""

    claim: int
    chunk: Chunk
    known: tuple[Item, ...] = ()
    """Of requests that were seen before, or of jobs that were paused: they wait again, with what was learnt."""


class Ledger:
    """Claims chunks and settles them. While the store cannot write, `trouble` says why."""

    def __init__(self, store: Queue) -> None:
        self._store = store
        self.trouble: Fault | None = None
        self._pause = _FIRST_PAUSE
        self._failed = 0.0

    @property
    def refusal(self) -> Fault | None:
        """Why new work is refused. None also when nobody has tried for a while: the next to come finds out."""
        return self.trouble if time.monotonic() - self._failed < _BELIEVED else None

    async def claim(self, token: TokenName, chunk: Chunk) -> Held:
        """Records that these items are with a token. Works learn of what was known or refused.

        :raises Exception: if the store cannot write. Nothing was recorded.
        """
        work = chunk.items[0][0]
        runs = _runs(chunk.items)
        parts = tuple(
            Part(run[0][0].mark, run[0][1], tuple(owner.input(position) for owner, position in run))
            for run in runs
        )
        try:
            claimed = await self._store.claim(Claim(time.time(), work.caller, chunk.kind, token, parts))
        except Exception as error:
            self._trouble(error)
            raise
        self._well()
        granted: list[Item] = []
        known: list[Item] = []
        for run, verdict in zip(runs, claimed.verdicts, strict=True):
            owner = run[0][0]
            match verdict:
                case Granted():
                    owner.granted()
                    granted += run
                case Known():
                    owner.learn(verdict)
                    known += (item for item in run if not owner.has_ended(item[1]))
                case Refused(fault=fault, later=True):
                    owner.put_off(fault)
                    known += run
                case Refused():
                    for _, position in run:
                        owner.end(position, verdict.fault)
                    owner.refuse(verdict.fault)
        return Held(claimed.id, Chunk(chunk.kind, tuple(granted)), tuple(known))

    async def settle(self, held: Held, outcomes: Sequence[ItemOutcome]) -> Settled:
        """Records what came of a claim, however long the store takes to be able to.

        :raises StaleClaim: if it was settled before.
        """
        attempts = held.chunk.items[0][0].attempts
        while True:
            try:
                settled = await self._store.settle(held.claim, outcomes, attempts=attempts, at=time.time())
            except StaleClaim:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, what was signed must be recorded
                self._trouble(error)
                await self.pause()
            else:
                self._well()
                return settled

    async def pause(self) -> None:
        """Waits a little longer each time, until the store is well again."""
        pause, self._pause = self._pause, min(_LONGEST_PAUSE, 2 * self._pause)
        await asyncio.sleep(pause)

    def _trouble(self, error: Exception) -> None:
        if self.trouble is None:
            unexpected = None if isinstance(error, Fault) else error
            _log.error("nothing can be recorded, so nothing is signed", why=str(error), exc_info=unexpected)
        self._failed = time.monotonic()
        self.trouble = error if isinstance(error, Fault) else StoreBroken()

    def _well(self) -> None:
        if self.trouble is not None:
            _log.info("outcomes are recorded again")
        self.trouble, self._pause = None, _FIRST_PAUSE


def _runs(items: Sequence[Item]) -> list[list[Item]]:
    """Consecutive positions of one work each."""
    runs: list[list[Item]] = []
    last: tuple[Work, int] | None = None
    for item in items:
        if last is not None and item[0] is last[0] and item[1] == last[1] + 1:
            runs[-1].append(item)
        else:
            runs.append([item])
        last = item
    return runs
