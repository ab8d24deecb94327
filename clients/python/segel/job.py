"""One job: what it is doing, its results, and what may be done with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import grpc.aio

from segel import _convert_jobs, _decide
from segel._backoff import Backoff
from segel._connection import CALL_TIMEOUT, Connection, Method
from segel._flat import flat
from segel._follow import follow
from segel._job import Job, JobState
from segel._patience import Patience
from segel._upload import PATIENCE
from segel.errors import JobStateError, SegelError
from segel.models import Failure, Signature
from segel.v1 import jobs_pb2 as messages
from segel.v1.jobs_pb2_grpc import JobsStub

_Request = TypeVar("_Request")
_Reading = Callable[
    [grpc.aio.Channel],
    grpc.aio.UnaryStreamCall[messages.ReadResultsRequest, messages.ReadResultsResponse],
]


class JobHandle:
    """One job of the caller, or one to approve. Made by `Jobs.create` and `Jobs.open`; lives as long as its client.

    Every method survives restarts of the daemon, as `Jobs.create` does.
    """

    def __init__(self, connection: Connection, info: Job) -> None:
        self._connection = connection
        self._info = info

    def __repr__(self) -> str:
        return f"JobHandle({self.name}, {self._info.state})"

    @property
    def name(self) -> str:
        """``jobs/`` and 32 hex digits."""
        return self._info.name

    @property
    def info(self) -> Job:
        """The job as it was when it was last heard of."""
        return self._info

    async def refresh(self) -> Job:
        """The job as it is now.

        :raises JobNotFound: if it was removed.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        return await self._do(
            lambda channel: JobsStub(channel).GetJob, messages.GetJobRequest(name=self.name)
        )

    def watch(self) -> AsyncIterator[Job]:
        """The job now, whenever it changed, and last when it has ended.

        :raises SegelError: while it is read: what the daemon said, or why it cannot be reached.
        """
        return flat(self._snapshots())

    async def wait(self, timeout: float | None = None) -> Job:  # noqa: ASYNC109 -- as in asyncio's own
        """The job when it has ended, whichever way.

        :raises TimeoutError: if it has not ended within `timeout` seconds.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        async with asyncio.timeout(timeout):
            async for _ in self._snapshots():
                pass
        return self._info

    def results(self, offset: int = 0, *, wait: bool = True) -> AsyncIterator[Signature | Failure]:
        """One Signature or Failure for each item, in order, from the item at `offset`.

        Asking from an offset says that all before was received.

        :param wait: go on until the job has ended; else end with what there is.
        :raises JobStateError: while it is read: if the job is open or was rejected, or is held and `wait` is not.
        :raises OffsetMismatch: if `offset` is past the end.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        return flat(self._blocks(offset, wait=wait))

    async def cancel(self) -> Job:
        """Begins no more items; what a token holds still ends.

        :raises JobStateError: if it has ended.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        return await self._do(
            lambda channel: JobsStub(channel).CancelJob, messages.CancelJobRequest(name=self.name)
        )

    async def delete(self) -> None:
        """Removes it with its results. It must have ended, or never have been sealed.

        :raises JobStateError: if it is neither.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        await self._connection.call(
            lambda channel: JobsStub(channel).DeleteJob,
            messages.DeleteJobRequest(name=self.name),
            timeout=CALL_TIMEOUT,
        )

    async def approve(self, items_hash: bytes) -> Job:
        """Lets a held job be signed. For approvers.

        :param items_hash: `Job.items_hash` of what was looked at.
        :raises ItemsChanged: if it holds something else.
        :raises JobStateError: if it is not held.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        self._info = await _decide.approve(self._connection, self.name, items_hash)
        return self._info

    async def reject(self, reason: str = "") -> Job:
        """Ends a held job. For approvers.

        :param reason: why; at most 256 printable characters.
        :raises JobStateError: if it is not held.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        self._info = await _decide.reject(self._connection, self.name, reason)
        return self._info

    async def _do(self, method: Method[_Request, messages.Job], request: _Request) -> Job:
        response = await self._connection.call(method, request, timeout=CALL_TIMEOUT)
        self._info = _convert_jobs.job(response)
        return self._info

    async def _snapshots(self) -> AsyncIterator[Sequence[Job]]:
        backoff = Backoff()
        patience = Patience(PATIENCE)
        request = messages.WatchJobRequest(name=self.name)
        while True:
            async for message in follow(
                self._connection, lambda channel: JobsStub(channel).WatchJob(request), patience
            ):
                backoff.reset()
                self._info = _convert_jobs.job(message)
                yield [self._info]
            if self._info.state.is_final:
                return
            await asyncio.sleep(backoff.next())  # a daemon that stops ends it in good order

    async def _blocks(self, offset: int, *, wait: bool) -> AsyncIterator[Sequence[Signature | Failure]]:
        patience = Patience(PATIENCE)
        request = messages.ReadResultsRequest(name=self.name, offset=offset, wait=wait)
        start: _Reading = lambda channel: JobsStub(channel).ReadResults(request)  # noqa: E731 -- has a type
        backoff, decided = Backoff(), False
        while True:
            try:
                async for message in follow(self._connection, start, patience):
                    backoff.reset()
                    request.offset = message.offset + len(message.results)
                    yield _convert_jobs.results(message)
            except JobStateError:
                if decided or not wait:
                    raise
                decided = await self._is_decided()
                if not decided:
                    raise
                continue
            if not wait or await self._is_read(request.offset):
                return
            await asyncio.sleep(backoff.next())

    async def _is_decided(self) -> bool:
        """Waits while an approver has not decided; False if there is nobody to wait for."""
        async for (job,) in self._snapshots():
            if job.state is not JobState.HELD:
                break
        return self._info.state not in {JobState.OPEN, JobState.REJECTED}

    async def _is_read(self, offset: int) -> bool:
        """Whether those were all; tells the daemon so."""
        if offset < (await self.refresh()).item_count or not self._info.state.is_final:
            return False
        request = messages.ReadResultsRequest(name=self.name, offset=offset)
        try:
            async for _ in JobsStub(self._connection.channel()).ReadResults(request, timeout=CALL_TIMEOUT):
                pass
        except (grpc.aio.AioRpcError, SegelError):
            pass  # it only spares a warning about results that nobody read
        return True
