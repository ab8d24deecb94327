"""Brings the items of a job to the daemon, once and in order, whatever breaks on the way.

One append is under way at a time, for their order; the next is made ready meanwhile. What the daemon has already, from
an earlier try or from another process with the same request, is not sent again, but for the first piece and the last
block: the daemon compares them, so that another content under the same request id is found.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from segel import _convert_jobs
from segel._connection import Connection, Method
from segel._counts import counted
from segel._job import Job
from segel._source import BLOCK, Piece, Source
from segel.errors import IdempotencyMismatch, JobStateError, OffsetMismatch
from segel.v1 import jobs_pb2 as jobs
from segel.v1.jobs_pb2_grpc import JobsStub

PATIENCE: Final = 600.0
"""Seconds without any progress after which an upload, or a reader of results, gives up."""
ATTEMPT: Final = 60.0
"""Seconds after which one call is given up and repeated."""

_append: Method[bytes, jobs.AppendItemsResponse] = lambda channel: channel.unary_unary(  # noqa: E731 -- as the others
    "/segel.v1.Jobs/AppendItems", None, jobs.AppendItemsResponse.FromString
)


class Upload:
    """The upload of one job.

    :param job: as the daemon answered it.
    :param progress: told how many items are with the daemon, after each append.
    """

    def __init__(
        self, connection: Connection, job: Job, source: Source, progress: Callable[[int], object] | None
    ) -> None:
        self._connection = connection
        self._name = job.name
        self._source = source
        self._progress = progress
        self._there = job.item_count
        self._takes_items = True

    async def run(self, piece: Piece, following: Piece) -> Job:
        """Sends everything, and seals the job.

        :param piece: the first piece that was taken from the source; `following` the second.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        at = 0
        ready: Piece | None = following
        while piece.parts and self._takes_items:
            at, piece = at + piece.size, await self._send(at, piece, ready)
            ready = None
            if at < self._there - BLOCK - piece.size:
                at += piece.size
                at += await self._source.skip(self._there - BLOCK - at)
                piece = await self._source.take(self._there - at if at < self._there else None)
            if self._progress is not None:
                self._progress(min(at, self._there))
        await self._source.skip()
        count = self._source.read
        if self._there > count or (self._there < count and not self._takes_items):
            raise self._other_content(count)
        return await self._seal(count)

    async def _send(self, at: int, piece: Piece, ready: Piece | None) -> Piece:
        """Sends one piece, and gives the next, which was made meanwhile."""
        sending = asyncio.create_task(self._append(at, piece), name="segel: append")
        try:
            await asyncio.sleep(0)  # so that it is on its way before the next is made
            following = await self._source.take() if ready is None else ready
            await sending
        except BaseException:
            sending.cancel()
            with contextlib.suppress(BaseException):
                await sending
            raise
        return following

    async def _append(self, at: int, piece: Piece) -> None:
        while piece.parts:
            # What is there and what is not go apart: an append is compared as a whole, or taken as a whole.
            split = at < self._there < at + piece.size
            part = piece.before(self._there - at) if split else piece
            head = jobs.AppendItemsRequest(name=self._name, offset=at).SerializeToString()
            try:
                answer = await self._connection.call(
                    _append, head + part.body, timeout=PATIENCE, attempt=ATTEMPT
                )
            except OffsetMismatch as error:
                there = int(error.facts.get("committed", "0"))
                if not at < there < at + part.size:
                    raise
                self._there = there  # another process came in between
                continue
            except JobStateError:
                if not await self._is_sealed():
                    raise
                self._takes_items = False
                return
            self._there = max(self._there, answer.committed)
            at, piece = at + part.size, piece.after(part.size)

    async def _is_sealed(self) -> bool:
        """Another process with the same request was quicker, or an earlier one got so far."""
        message = await self._connection.call(
            lambda channel: JobsStub(channel).GetJob,
            jobs.GetJobRequest(name=self._name),
            timeout=PATIENCE,
            attempt=ATTEMPT,
        )
        job = _convert_jobs.job(message)
        self._there = job.item_count
        return job.is_sealed

    async def _seal(self, count: int) -> Job:
        try:
            message = await self._connection.call(
                lambda channel: JobsStub(channel).SealJob,
                jobs.SealJobRequest(name=self._name, item_count=count),
                timeout=PATIENCE,
                attempt=ATTEMPT,
            )
        except OffsetMismatch as error:
            self._there = int(error.facts.get("committed", str(self._there)))
            raise self._other_content(count) from error
        return _convert_jobs.job(message)

    def _other_content(self, count: int) -> IdempotencyMismatch:
        return IdempotencyMismatch(
            f"{self._name} was made by the same request_id with {counted(self._there, 'item')}, and now there are {count}",
            reason="IDEMPOTENCY_MISMATCH",
            code="ALREADY_EXISTS",
            facts={"job": self._name, "committed": str(self._there), "count": str(count)},
        )
