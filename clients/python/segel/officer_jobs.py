"""Jobs of every caller, for officers."""

from collections.abc import AsyncIterator, Collection
from typing import Final

from segel import _convert_jobs
from segel._connection import CALL_TIMEOUT, Connection
from segel._job import Job, JobState
from segel.jobs import full_job_name
from segel.v1 import token_admin_pb2
from segel.v1.token_admin_pb2_grpc import TokenAdminStub

_PAGE: Final = 200


class OfficerJobs:
    """Jobs of one daemon, whosever they are. Reached as `Officer.jobs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self,
        *,
        states: Collection[JobState | str] = (),
        caller: str = "",
        key: str = "",
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Jobs, the newest first; what is given narrows it.

        :param states: those that have not ended if it is empty.
        :param key: immutable name.
        :param limit: at most so many.
        :raises ValueError: for a state that there is not.
        :raises SegelError: while it is read: what the daemon said, or why it cannot be reached.
        """
        request = token_admin_pb2.ListAllJobsRequest(
            states=[_convert_jobs.state_number(state) for state in states], caller=caller, key=key
        )
        left = limit
        while left is None or left > 0:
            request.page_size = _PAGE if left is None else min(left, _PAGE)
            response = await self._connection.call(
                lambda channel: TokenAdminStub(channel).ListAllJobs, request, timeout=CALL_TIMEOUT
            )
            for message in response.jobs[:left]:
                yield _convert_jobs.job(message)
            left = None if left is None else left - len(response.jobs)
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def pause(self, name: str) -> Job:
        """Begins nothing of a job until it is resumed; what a token holds is finished. Its deadline goes on running.

        :param name: with or without ``jobs/``.
        :raises JobNotFound: if there is none.
        :raises JobStateError: if it is neither queued nor running.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).PauseJob,
            token_admin_pb2.PauseJobRequest(name=full_job_name(name)),
            timeout=CALL_TIMEOUT,
        )
        return _convert_jobs.job(response)

    async def resume(self, name: str) -> Job:
        """Ends a pause.

        :raises JobNotFound: if there is none.
        :raises JobStateError: if it is not paused.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).ResumeJob,
            token_admin_pb2.ResumeJobRequest(name=full_job_name(name)),
            timeout=CALL_TIMEOUT,
        )
        return _convert_jobs.job(response)

    async def cancel(self, name: str, reason: str) -> Job:
        """Ends another's job; what a token holds is finished.

        :param reason: its caller reads this.
        :raises JobNotFound: if there is none.
        :raises JobStateError: if it has ended.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).CancelAnyJob,
            token_admin_pb2.CancelAnyJobRequest(name=full_job_name(name), reason=reason),
            timeout=CALL_TIMEOUT,
        )
        return _convert_jobs.job(response)
