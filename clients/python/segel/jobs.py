"""Jobs: batches of any size that outlive their client and the daemon."""

import datetime as dt
import re
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from segel import _convert_jobs, _decide
from segel._algorithms import Algorithm
from segel._chunks import Item
from segel._connection import CALL_TIMEOUT, Connection
from segel._flat import flat
from segel._get_key import get_key
from segel._header import Choose, Header
from segel._job import Ecdsa, Job, JobState, Priority
from segel._pairing import paired
from segel._source import ROOM, Source
from segel._upload import ATTEMPT, PATIENCE, Upload
from segel.errors import BadRequest, SegelError
from segel.job import JobHandle
from segel.models import Key
from segel.v1 import jobs_pb2 as messages
from segel.v1.jobs_pb2_grpc import JobsStub

_PAGE: Final = 200


class Jobs:
    """The caller's jobs. `Client.jobs`.

    job = await client.jobs.create("keys/seal-2026", digests, request_id="letters-2026-07")
    await job.wait()
    async for result in job.results(): ...
    """

    def __init__(self, connection: Connection, choose: Choose) -> None:
        self._connection = connection
        self._choose = choose

    async def create(
        self,
        key: str,
        digests: Iterable[Item] | AsyncIterable[Item],
        *,
        request_id: str | None = None,
        algorithm: Algorithm | str | None = None,
        ecdsa: Ecdsa = "der",
        priority: Priority = "normal",
        labels: Mapping[str, str] | None = None,
        deadline: dt.datetime | dt.timedelta | None = None,
        retention: dt.timedelta | None = None,
        ids: Iterable[str] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> JobHandle:
        """Hands over everything, and returns when all of it is on the daemon's disk: from then on it is signed.

        Goes on by itself after a broken connection, a restart of the daemon, or a refusal for now, until nothing went
        on for ten minutes. Called again with the same `request_id` and content, also by another process, it goes on
        where the upload stopped, or gives the job that is there.

        :param key: alias or immutable name. What an alias names is decided when the job is first created.
        :param digests: digests, or pairs of an id (at most 128 octets) and a digest; messages for Ed25519. Read
            once, and only as far ahead as two messages of 1 MiB.
        :param request_id: names the job for repetitions; 1 to 128 of ``A-Z a-z 0-9 . _ : -``. A random one if None.
        :param algorithm: one of the key's, by any name that `Algorithm.parse` takes; its default if None.
        :param deadline: after this, or this long from now, no item is begun; 72 hours if None.
        :param retention: how long results are kept after the end; 30 days if None.
        :param ids: the ids, in the order of `digests`, if they are not in pairs.
        :param progress: called with the number of items that the daemon has, after each message.
        :raises IdempotencyMismatch: if `request_id` was used for another content.
        :raises BadRequest: for no items, for one of another length, or if the key cannot sign that way.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        name, found = await self._key(key, request_id)
        chosen = self._choose(name, Algorithm.parse(algorithm) if algorithm is not None else None)
        if found is not None and algorithm is None and found.algorithm in name.algorithms:
            chosen = found.algorithm
        source = Source(paired(digests, ids), chosen.digest_size)
        first = await source.take()
        following = await source.take()
        if not first.parts:
            raise BadRequest("There is nothing to sign", reason="BATCH_EMPTY", code="INVALID_ARGUMENT")
        header = Header(
            request_id or f"segel-{uuid.uuid4().hex}",
            name.name,
            chosen,
            ecdsa,
            priority,
            labels or {},
            deadline,
            retention,
        ).message()
        if not following.parts and header.ByteSize() + len(first.body) <= ROOM:
            header.items.MergeFrom(messages.AppendItemsRequest.FromString(first.body).items)
            header.seal = True
        response = await self._connection.call(
            lambda channel: JobsStub(channel).CreateJob, header, timeout=PATIENCE, attempt=ATTEMPT
        )
        job = _convert_jobs.job(response)
        if header.seal and job.is_sealed and job.item_count == first.size:
            if progress is not None:
                progress(job.item_count)
            return JobHandle(self._connection, job)
        try:
            job = await Upload(self._connection, job, source, progress).run(first, following)
        except (TypeError, ValueError, BadRequest):
            if request_id is None:  # nobody else knows it, so nobody can go on with it
                await self._forget(job.name)
            raise
        return JobHandle(self._connection, job)

    async def get(self, name: str) -> Job:
        """One job as it is now. `name` with or without ``jobs/``.

        :raises JobNotFound: if there is none, or it is not the caller's.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: JobsStub(channel).GetJob,
            messages.GetJobRequest(name=full_job_name(name)),
            timeout=CALL_TIMEOUT,
        )
        return _convert_jobs.job(response)

    async def open(self, name: str) -> JobHandle:
        """A handle of one job, to follow it and read its results. Raises as `get` does."""
        return JobHandle(self._connection, await self.get(name))

    def list(
        self,
        *,
        states: Collection[JobState | str] = (),
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        request_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """The caller's jobs, the newest first; what is given narrows it.

        :param key: immutable name.
        :param limit: at most so many.
        :raises ValueError: for a state that there is not.
        :raises SegelError: while it is read: what the daemon said, or why it cannot be reached.
        """
        return flat(self._pages(states=states, key=key, labels=labels, request_id=request_id, limit=limit))

    async def _pages(
        self,
        *,
        states: Collection[JobState | str] = (),
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        request_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Sequence[Job]]:
        request = messages.ListJobsRequest(
            states=[_convert_jobs.state_number(state) for state in states],
            key=key or "",
            labels=labels or {},
            request_id=request_id or "",
        )
        left = limit
        while left is None or left > 0:
            request.page_size = _PAGE if left is None else min(left, _PAGE)
            response = await self._connection.call(
                lambda channel: JobsStub(channel).ListJobs, request, timeout=CALL_TIMEOUT
            )
            page = [_convert_jobs.job(one) for one in response.jobs][:left]
            left = None if left is None else left - len(page)
            yield page
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    def held(self, *, limit: int | None = None) -> AsyncIterator[Job]:
        """Jobs that wait for an approver, the newest first: for an approver those that wait for this one, for a caller its
        own.

        :param limit: at most so many.
        :raises SegelError: while it is read: what the daemon said, or why it cannot be reached.
        """
        return self.list(states=[JobState.HELD], limit=limit)

    async def approve(self, name: str, items_hash: bytes) -> Job:
        """Lets a held job be signed, without looking at it before. For approvers.

        :param items_hash: `Job.items_hash` of what was agreed to.
        :raises ItemsChanged: if it holds something else.
        :raises JobStateError: if it is not held.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        return await _decide.approve(self._connection, full_job_name(name), items_hash)

    async def reject(self, name: str, reason: str = "") -> Job:
        """Ends a held job. For approvers. See `JobHandle.reject`."""
        return await _decide.reject(self._connection, full_job_name(name), reason)

    async def _key(self, name: str, request_id: str | None) -> tuple[Key, Job | None]:
        """The key that signs, and the job that is there already.

        An alias may answer another of its keys than it did for an earlier try, whose choice counts.
        """
        key = await get_key(self._connection, name)
        if request_id is None:
            return key, None
        async for job in self.list(request_id=request_id, limit=1):
            if job.key != key.name:
                earlier = await get_key(self._connection, job.key)
                key = earlier if name in earlier.aliases else key
            return key, job
        return key, None

    async def _forget(self, name: str) -> None:
        request = messages.DeleteJobRequest(name=name)
        try:
            await self._connection.call(
                lambda channel: JobsStub(channel).DeleteJob, request, timeout=CALL_TIMEOUT
            )
        except SegelError:
            return  # it expires by itself


def full_job_name(name: str) -> str:
    """``jobs/…``, also of a name without it."""
    return name if re.match("jobs/", name) else f"jobs/{name}"
