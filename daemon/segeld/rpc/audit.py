"""The service for auditors: the audit log, read from its files in threads of its own, a few at once."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import grpc

from segel.v1 import audit_pb2, audit_pb2_grpc
from segeld.audit import find, layout
from segeld.audit.layout import WIDTH
from segeld.audit.leaf import HASH, BadLeaf, Commitments
from segeld.audit.proof import BadProof, prove
from segeld.audit.reader import Log, open_log_folder
from segeld.audit.tiles import Archived, BadFile, LogUnreadable
from segeld.model.faults import Fault, Reason
from segeld.model.names import BadName, JobName
from segeld.rpc import convert
from segeld.rpc.service import OfficerService

P = ParamSpec("P")
R = TypeVar("R")
Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "segel.v1.Audit"
AT_ONCE: Final = 2
"""Readings of the log at once; others wait."""
MOST_LEAVES: Final = 100_000
MOST_FOUND: Final = 100
MOST_ARCHIVED: Final = 1_000
"""Bundles that an answer names."""
_OCTETS: Final = 512 * 1024
"""Of one message of leaves; one more leaf may come on top."""
_LONGEST_DIGEST: Final = 65_536


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log is, beside what its files say."""

    trouble: str
    witnessed: bool
    witness_age: float
    """Seconds; negative if nothing was witnessed."""


def audit_service(folder: Path, commitments: Commitments, state: Callable[[], LogState]) -> OfficerService:
    return OfficerService(NAME, Audit(folder, commitments, state), audit_pb2_grpc.add_AuditServicer_to_server)


class Audit(audit_pb2_grpc.AuditServicer):
    def __init__(self, folder: Path, commitments: Commitments, state: Callable[[], LogState]) -> None:
        self._folder = folder
        self._commitments = commitments
        self._state = state
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Context
    ) -> audit_pb2.GetCheckpointResponse:
        try:
            note = await asyncio.to_thread((self._folder / layout.CHECKPOINT).read_bytes)
        except OSError:
            note = b""
        state = self._state()
        return audit_pb2.GetCheckpointResponse(
            checkpoint=note,
            trouble=state.trouble,
            witnessed=state.witnessed,
            witness_age_seconds=state.witness_age,
        )

    async def ReadEntries(
        self, request: audit_pb2.ReadEntriesRequest, context: Context
    ) -> AsyncIterator[audit_pb2.ReadEntriesResponse]:
        if not 1 <= request.count <= MOST_LEAVES:
            raise convert.invalid("count", f"is not between 1 and {MOST_LEAVES}")
        log = await self._read(self._open)
        first, end = request.first, min(request.first + request.count, log.checkpoint.size)
        while first < end:
            number = first // WIDTH
            leaves = (await self._read(log.tiles.leaves, number))[first % WIDTH : end - number * WIDTH]
            while leaves:
                part = _portion(leaves)
                yield audit_pb2.ReadEntriesResponse(first=first, leaves=part)
                first, leaves = first + len(part), leaves[len(part) :]

    async def FindEntries(
        self, request: audit_pb2.FindEntriesRequest, context: Context
    ) -> audit_pb2.FindEntriesResponse:
        match request.WhichOneof("wanted"):
            case "digest" if not 1 <= len(request.digest) <= _LONGEST_DIGEST:
                raise convert.invalid("digest", f"has not between 1 and {_LONGEST_DIGEST} octets")
            case "signature_sha256" if len(request.signature_sha256) != HASH:
                raise convert.invalid("signature_sha256", f"has not {HASH} octets")
            case "job":
                convert.check_name_length(request.job, "job")
                try:
                    JobName.parse(request.job)
                except BadName as error:
                    raise convert.invalid("job", str(error)) from None
            case None:
                raise convert.invalid("wanted", "is missing: digest, signature_sha256 or job")
        return await self._read(self._find, request)

    async def ProveInclusion(
        self, request: audit_pb2.ProveInclusionRequest, context: Context
    ) -> audit_pb2.ProveInclusionResponse:
        log = await self._read(self._open)
        if request.leaf >= log.checkpoint.size:
            raise convert.invalid("leaf", f"is not below {log.checkpoint.size}, which the log has")
        return audit_pb2.ProveInclusionResponse(proof=await self._read(_proof, log, request.leaf))

    def _open(self) -> Log:
        return open_log_folder(self._folder, None)

    def _find(self, request: audit_pb2.FindEntriesRequest) -> audit_pb2.FindEntriesResponse:
        log = self._open()
        if request.WhichOneof("wanted") == "job":
            found = list(itertools.islice(self._of_job(log, request), MOST_FOUND + 1))
        else:
            digest = self._commitments.of(request.digest) if request.digest else None
            signature = None if request.digest else request.signature_sha256
            items = find.items(log, commitment=digest, signature=signature, everything=request.everything)
            found = [
                audit_pb2.FoundEntry(
                    intent=_proof(log, item.chunk.intent_leaf),
                    outcome=_proof(log, item.chunk.outcome_leaf),
                    position=item.position,
                )
                for item in itertools.islice(items, MOST_FOUND + 1)
            ]
        return audit_pb2.FindEntriesResponse(
            entries=found[:MOST_FOUND],
            more=len(found) > MOST_FOUND,
            size=log.checkpoint.size,
            archived=sorted(set(log.unread))[:MOST_ARCHIVED],
        )

    @staticmethod
    def _of_job(log: Log, request: audit_pb2.FindEntriesRequest) -> Any:
        for one in find.of_job(log, JobName.parse(request.job), everything=request.everything):
            if isinstance(one, find.Done):
                yield audit_pb2.FoundEntry(outcome=_proof(log, one.leaf))
            else:
                yield audit_pb2.FoundEntry(
                    intent=_proof(log, one.intent_leaf), outcome=_proof(log, one.outcome_leaf)
                )

    async def _read(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """:raises Fault: if the files are not as they must be."""
        async with self._turns:
            try:
                return await asyncio.to_thread(work, *args, **kwargs)
            except Archived as away:
                raise convert.invalid(
                    "leaf",
                    f"is in {away.path}, which was archived: whoever has that archive can read it where the log's files are, with --archive",
                ) from None
            except (BadFile, BadLeaf, BadProof, LogUnreadable, OSError) as error:
                raise Fault(
                    Reason.STORAGE_UNAVAILABLE,
                    f"The audit log cannot be read: {error}. Verify it on the machine: segelctl audit verify",
                ) from None


def _proof(log: Log, index: int | None) -> bytes:
    return b"" if index is None else prove(log, index).text()


def _portion(leaves: list[bytes]) -> list[bytes]:
    octets = 0
    for count, leaf in enumerate(leaves):
        octets += len(leaf)
        if octets > _OCTETS:
            return leaves[: count or 1]
    return leaves
