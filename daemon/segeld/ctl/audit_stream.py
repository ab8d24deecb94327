"""All leaves of a daemon's log in their order, each proven before anybody sees it, for searches that the daemon does not do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from segel.cli.session import Session
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.edge import Edge, edge_before
from segeld.audit.layout import WIDTH
from segeld.audit.merkle import leaf_hash
from segeld.audit.note import BadNote, Verifier
from segeld.audit.proof import BadProof, Proof

if TYPE_CHECKING:
    from segel.officer_log import OfficerLog

T = TypeVar("T")
AT_ONCE: Final = 1_024
"""Leaves that are kept until they are proven."""
Leaves = list[tuple[int, bytes]]


class Stream:
    """The log as it is when it is opened."""

    def __init__(self, log: "OfficerLog", note: bytes, verifier: Verifier | None) -> None:
        """:raises BadProof: if the checkpoint is not this key's."""
        self._log = log
        self._verifier = verifier
        self.note: Final = note
        self.checkpoint: Final = opened(note, verifier)
        self.first = 0
        """The first leaf that was not archived."""

    async def leaves(self) -> AsyncIterator[Leaves]:
        """:raises SegelError: what the daemon said, or why it cannot be reached any more.
        :raises BadProof: if what it gave is not, or not all, that the checkpoint was signed for.
        """
        size = self.checkpoint.size
        if not size:
            return
        edge = await self.begin()
        while edge.size < size:
            part = [one async for one in self._log.entries(edge.size, min(AT_ONCE, size - edge.size))]
            if not part:
                raise BadProof(f"the daemon gave {edge.size} leaves of {size}")
            for index, leaf in part:
                if index != edge.size:
                    raise BadProof(f"the daemon gave leaf {index} where {edge.size} is the next")
                edge.append(leaf_hash(leaf))
            behind = self.checkpoint if edge.size == size else None
            root = behind.root if behind else (await self._proof(edge.size))[1].root()
            if edge.root() != root:
                raise BadProof(
                    f"the leaves that the daemon gave, up to {edge.size - 1}, are not those of the tree"
                )
            yield part

    async def begin(self) -> Edge:
        """Before the first leaf that is there.

        :raises SegelError: what the daemon said.
        :raises BadProof: if it proves nothing.
        """
        self.first = await self._first_there()
        return (await self._proof(self.first))[1] if self.first else Edge()

    async def _first_there(self) -> int:
        """Archived are the first files; by halves, for the daemon does not say how many."""
        if await self._is_there(0):
            return 0
        gone, there = 0, (self.checkpoint.size - 1) // WIDTH
        while there - gone > 1:
            middle = (gone + there) // 2
            if await self._is_there(middle * WIDTH):
                there = middle
            else:
                gone = middle
        return there * WIDTH

    async def _is_there(self, index: int) -> bool:
        from segel.errors import BadRequest

        try:
            await self._log.prove(index)
        except BadRequest as refused:
            if "archived" in refused.text:
                return False
            raise
        return True

    async def _proof(self, index: int) -> tuple[bytes, Edge]:
        return proven_edge(await self._log.prove(index), index, self.checkpoint.origin, self._verifier)


def opened(note: bytes, verifier: Verifier | None) -> Checkpoint:
    """What a daemon gave for its checkpoint; without a key, nobody knows who signed it.

    :raises BadProof: if it is none, or not this key's.
    """
    if not note:
        return Checkpoint("", 0, Edge().root())
    try:
        return Checkpoint.open(note, verifier) if verifier else Checkpoint.unverified(note)
    except BadNote as error:
        raise BadProof(f"the checkpoint that the daemon gives: {error}") from None


def proven_edge(text: bytes, index: int, origin: str, verifier: Verifier | None) -> tuple[bytes, Edge]:
    """A leaf, and the edge before it, out of a proof. The proof may be of a later checkpoint than any other that was seen.

    :raises BadProof: if it proves nothing, or something else.
    """
    proof = Proof.parse(text)
    checkpoint = opened(proof.note, verifier)
    proof.check_against(checkpoint)
    if proof.index != index or checkpoint.origin != origin:
        raise BadProof("the daemon answered with something else than it was asked for")
    return proof.leaf, edge_before(index, checkpoint.size, proof.hashes)


def pulled(session: Session, work: "Callable[[OfficerLog], AsyncIterator[T]]") -> Iterator[T]:
    """What an asynchronous iterator gives, for a command without an event loop.

    :raises SegelError: what the daemon said, or why it cannot be reached.
    """
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            officer = runner.run(stack.enter_async_context(session.officer()))
            given = work(officer.log)
            while (one := runner.run(_next(given))) is not None:
                yield one
        finally:
            runner.run(stack.aclose())


async def _next(given: AsyncIterator[T]) -> T | None:
    return await anext(given, None)
