"""The audit log over the network. What comes is as the daemon has it: verify it with the log's own key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import grpc

from segel._connection import CALL_TIMEOUT, Connection
from segel.v1 import audit_pb2
from segel.v1.audit_pb2_grpc import AuditStub

FIND_TIMEOUT: Final = 120.0
"""Seconds that looking through a very large log may take."""
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class LogState:
    """How a log is."""

    checkpoint: bytes
    """A signed note; empty if there is none yet."""
    trouble: str
    """Why its files, or its witness, cannot be written; empty if all is well."""
    witnessed: bool
    witness_age: float
    """Seconds; negative if nothing was witnessed since the daemon was started."""


@dataclass(frozen=True, slots=True)
class Found:
    """Proofs of what was found, with the leaves in them; empty for what there is not."""

    intent: bytes
    outcome: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search came to."""

    entries: tuple[Found, ...]
    """At most 100, in the order of the log."""
    size: int
    """Leaves that the log has."""
    more: bool = False
    """Whether there are more entries than that."""
    archived: tuple[int, ...] = ()
    """Bundles, of 256 leaves each, that may say more and were not read: they were archived."""


class OfficerLog:
    """The audit log of one daemon. Reached as `Officer.log`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def state(self, *, patient: bool = True) -> LogState:
        """:param patient: waits out a restart of the daemon.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        got = await self._connection.call(
            lambda channel: AuditStub(channel).GetCheckpoint,
            audit_pb2.GetCheckpointRequest(),
            timeout=CALL_TIMEOUT,
            repeat=patient,
        )
        return LogState(got.checkpoint, got.trouble, got.witnessed, got.witness_age_seconds)

    async def entries(self, first: int, count: int) -> AsyncIterator[tuple[int, bytes]]:
        """Leaves with their indexes, fewer than `count` if the log has not so many.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        end = first + count
        while first < end:
            before = first
            wanted = min(_AT_ONCE, end - first)
            async for index, leaf in self._entries(first, wanted):
                yield index, leaf
                first = index + 1
            if first < before + wanted:
                return

    async def _entries(self, first: int, count: int) -> AsyncIterator[tuple[int, bytes]]:
        request = audit_pb2.ReadEntriesRequest(first=first, count=count)
        try:
            stub = AuditStub(self._connection.channel())
            async for part in stub.ReadEntries(request, timeout=FIND_TIMEOUT):
                for index, leaf in enumerate(part.leaves, part.first):
                    yield index, leaf
        except grpc.aio.AioRpcError as error:
            raise await self._connection.explain(error) from error

    async def find(
        self,
        *,
        digest: bytes | None = None,
        signature_sha256: bytes | None = None,
        job: str | None = None,
        everything: bool = False,
    ) -> Findings:
        """What the log says of one of these.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        request = audit_pb2.FindEntriesRequest(everything=everything)
        if digest is not None:
            request.digest = digest
        elif signature_sha256 is not None:
            request.signature_sha256 = signature_sha256
        elif job is not None:
            request.job = job
        got = await self._connection.call(
            lambda channel: AuditStub(channel).FindEntries, request, timeout=FIND_TIMEOUT
        )
        entries = tuple(Found(one.intent, one.outcome, one.position) for one in got.entries)
        return Findings(entries, got.size, got.more, tuple(got.archived))

    async def prove(self, leaf: int) -> bytes:
        """A proof in the format of c2sp.org/tlog-proof.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        got = await self._connection.call(
            lambda channel: AuditStub(channel).ProveInclusion,
            audit_pb2.ProveInclusionRequest(leaf=leaf),
            timeout=CALL_TIMEOUT,
        )
        return got.proof
