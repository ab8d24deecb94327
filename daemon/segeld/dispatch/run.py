"""One chunk on its way: claimed, signed, settled, released; in this order, whatever happens meanwhile."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from segeld.dispatch.breaker import Asked
from segeld.dispatch.lanes import Chunk, Item
from segeld.dispatch.ledger import Held, Ledger
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.outcomes import lost_too_often, released
from segeld.dispatch.ports import Tokens
from segeld.dispatch.verdicts import After, Served, Verdict, Verdicts
from segeld.dispatch.waiting import Taken, WaitingRoom
from segeld.ipc.worker_wire import ItemFailed, Signed
from segeld.jobqueue.claims import Settled, StaleClaim
from segeld.model.faults import Fault, Reason
from segeld.model.job import Receipt, Signature
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerLost

_log: Final = structlog.get_logger(__name__)

Settling = asyncio.Task[None]
"""Records what came of a chunk, and releases it. It belongs to nobody else: whoever waits for it does not end it."""


class Runs:
    """`run` for each chunk. It must be left to end by itself: what was claimed has to be settled."""

    def __init__(
        self,
        room: WaitingRoom,
        tokens: Callable[[], Tokens],
        ledger: Ledger,
        metrics: DispatchMetrics,
        settled: Callable[[Settled], None],
    ) -> None:
        """:param settled: told of every claim whose outcomes became durable."""
        self._room = room
        self._tokens = tokens
        self._ledger = ledger
        self._metrics = metrics
        self._settled = settled
        self._verdicts = Verdicts(room, tokens, metrics)
        self._settling: set[Settling] = set()

    async def run(
        self, served: Served, taken: Taken, before: Settling | None, *, urgent: bool
    ) -> Settling | None:
        """Has a chunk signed; gives what settles it. Every input of it has ended then, or waits again.

        The next chunk may be claimed while this one is settled: both are written together then.

        :param before: what settles the last chunk of the same pump: nothing more is signed before that is durable.
        """
        asked = made = 0
        try:
            held = await self._claim(served.token, taken.chunk)
            if before is not None:
                await before
            if held is None or not held.chunk.items:
                return None
            asked = len(held.chunk.items)
            made = asked  # as long as nothing better is known
            verdicts, made = await self._sign(served, held, urgent=urgent)
        finally:
            self._room.returned(taken, asked=asked, made=made)
        settling = asyncio.create_task(self._settle(held, verdicts))
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        return settling

    async def drained(self) -> None:
        """Returns when everything that was signed is settled."""
        while self._settling:
            await asyncio.wait(self._settling)

    async def _claim(self, token: TokenName, chunk: Chunk) -> Held | None:
        """None if nothing could be recorded; then all of it waits again."""
        try:
            held = await self._ledger.claim(token, chunk)
        except Exception:  # noqa: BLE001 - the ledger has logged it; nothing was recorded, so nothing is lost
            self._put_back(chunk.items)
            await self._ledger.pause()
            return None
        self._put_back(held.known)
        return held

    def _put_back(self, items: Sequence[Item]) -> None:
        for work, position in reversed(items):  # the last first, so that they wait in their order again
            self._room.put_back(work, position)

    async def _sign(self, served: Served, held: Held, *, urgent: bool) -> tuple[list[Verdict], int]:
        """What the worker's answer means, for each item; or its silence. And how many signatures the token may have made."""
        worker, items = served.worker, held.chunk.items
        began = time.monotonic()
        served.running += 1
        try:
            signed = await self._ask(served, held, urgent=urgent)
            self._metrics.chunk(served.token, time.monotonic() - began)
            return self._judge(served, held, signed, began), sum(map(_may_be_made, signed.outcomes))
        except WorkerLost as lost:
            _log.warning(
                "chunk lost", token=str(served.token), worker=worker.pid, inputs=len(items), why=str(lost)
            )
            worker.kill(str(lost))
            made = len(items) if lost.sent else 0
            return [self._verdicts.of_loss(work, position, sent=lost.sent) for work, position in items], made
        except Exception:  # noqa: BLE001 - whatever it was, it is this worker's end and nobody else's
            _log.exception("chunk failed", token=str(served.token), worker=worker.pid, inputs=len(items))
            worker.kill("the daemon could not have a chunk signed; see the log")
            return [self._verdicts.of_loss(work, position, sent=True) for work, position in items], len(items)
        finally:
            served.running -= 1

    async def _ask(self, served: Served, held: Held, *, urgent: bool) -> Signed:
        kind, items = held.chunk.kind, held.chunk.items
        signed = await served.worker.sign(
            kind.key.fingerprint,
            kind.algorithm.number,
            kind.encoding,
            urgent=urgent,
            deadlines=tuple(work.deadline_at for work, _ in items),
            inputs=tuple(work.input(position) for work, position in items),
            patience=self._tokens().patience_of(served.token),
        )
        if len(signed.outcomes) != len(items):
            why = f"answered {len(signed.outcomes)} outcomes to {len(items)} inputs"
            served.worker.kill(why)
            raise WorkerLost(why)
        return signed

    def _judge(self, served: Served, held: Held, signed: Signed, began: float) -> list[Verdict]:
        verdicts: list[Verdict] = []
        good = 0
        for (work, position), outcome in zip(held.chunk.items, signed.outcomes, strict=True):
            if isinstance(outcome, bytes):
                good += 1
                verdicts.append((outcome, None))
            else:
                verdicts.append(self._verdicts.of_item(served, work, position, outcome))
        if good:
            kind = held.chunk.kind
            self._metrics.ended(served.token, "signed", good)
            self._room.speed.measured(served.token, kind, good, signed.device_ns / 1e9)
            self._room.breaker.worked(Asked(served.token, kind.key, kind.algorithm))
        if good and not served.worker.leaving.is_set():
            served.proved = max(served.proved, began)
            if self._room.suspects:
                self._room.seats.suspects.wake_all()
        return verdicts

    async def _settle(self, held: Held, verdicts: Sequence[Verdict]) -> None:
        items = held.chunk.items
        try:
            settled = await self._ledger.settle(held, [record for record, _ in verdicts])
        except StaleClaim:
            _log.error("a claim was settled before; nothing of it is released", claim=held.claim)
            stale = Fault(Reason.INTERNAL, "What came of it was recorded elsewhere; nothing was released.")
            for work, position in items:
                work.end(position, stale)
            return
        self._settled(settled)
        exhausted, superseded = set(settled.exhausted), dict(settled.superseded)
        again: list[After] = []
        for place, ((work, position), (record, after)) in enumerate(zip(items, verdicts, strict=True)):
            if (earlier := superseded.get(place)) is not None:
                work.end(position, released(earlier))
            elif isinstance(record, bytes):
                work.end(position, Signature(record, Receipt(settled.leaf, place)))
            elif place in exhausted:
                work.end(position, lost_too_often())
            elif after is not None:
                again.append(after)
        for after in reversed(again):  # the last first, so that they wait in their order again
            after()


def _may_be_made(outcome: bytes | ItemFailed) -> bool:
    """Whether the token may have made a signature, good or bad."""
    if isinstance(outcome, bytes):
        return True
    return not outcome.certain or outcome.reason is Reason.SIGNATURE_SELF_CHECK_FAILED
