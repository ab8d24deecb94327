"""A source of leaves that behaves as the database does, and leaves to put into it."""

import asyncio
import hashlib
from collections.abc import Callable

from segeld.audit.identity import OwnLog
from segeld.audit.leaf import Act, AnyLeaf, Commitments, Intent, Outcome, PartRange, encode
from segeld.audit.publisher import Publisher


class FakeSource:
    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}
        self.count = 0
        self.raises: Exception | None = None

    def record(self, *leaves: AnyLeaf | bytes) -> int:
        for leaf in leaves:
            self.kept[self.count] = leaf if isinstance(leaf, bytes) else encode(leaf)
            self.count += 1
        return self.count - 1

    async def leaf_count(self) -> int:
        if self.raises is not None:
            raise self.raises
        return self.count

    async def leaves(self, first: int, limit: int) -> tuple[bytes, ...]:
        found = []
        for index in range(first, min(first + limit, self.count)):
            if index not in self.kept:
                break
            found.append(self.kept[index])
        return tuple(found)

    async def trim_leaves(self, before: int) -> None:
        for index in [index for index in self.kept if index < before]:
            del self.kept[index]


KEY = hashlib.sha256(b"key").digest()
JOB = bytes(range(200, 216))


def digest_of(number: int) -> bytes:
    return hashlib.sha256(b"letter %d" % number).digest()


def signature_of(number: int) -> bytes:
    return b"signature %d" % number


def chunk(
    commitments: Commitments,
    at: int,
    first: int,
    count: int,
    unsigned: tuple[tuple[int, str], ...] = (),
    **changes,
) -> Callable[[int], tuple[Intent, Outcome]]:
    """An intent and its outcome over letters `first` and on, as soon as the intent's index is known."""
    made = b"".join(commitments.of(digest_of(number)) for number in range(first, first + count))
    left = {position for position, _ in unsigned}
    signatures = b"".join(
        hashlib.sha256(signature_of(first + position)).digest()
        for position in range(count)
        if position not in left
    )
    values = {"caller": "tax", "token": "tokens/seal", "parts": (PartRange(JOB, first, count),)}
    intent = Intent(at=at, key=KEY, algorithm=7, items=commitments.of_list((made,)), **values | changes)
    return lambda index: (intent, Outcome(at + 20, index, made, signatures, unsigned))


def fill(source: FakeSource, log: OwnLog, chunks: int, count: int = 3) -> None:
    """Opens the log if it is new, and adds chunks with an act after every tenth."""
    if not source.count:
        source.record(log.opened(1_790_000_000_000))
    for number in range(chunks):
        index = source.count
        first = index * 100
        unsigned = ((1, "UNKNOWN"),) if number % 7 == 3 else ()
        source.record(*chunk(log.commitments, 1_790_000_000_000 + index, first, count, unsigned)(index))
        if number % 10 == 9:
            source.record(
                Act(1_790_000_000_000 + index, "token activated", "siti", "tokens/seal", {"tries": "1"})
            )


def publish(source: FakeSource, log: OwnLog) -> None:
    """One run of the daemon, ended in good order."""

    async def once() -> None:
        publisher = Publisher(source, log)
        await publisher.start()
        await publisher.aclose()
        assert publisher.trouble is None

    asyncio.run(once())
