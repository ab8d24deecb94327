"""What approvers do with jobs: they see what waits for their word, and say yes or no."""

from collections.abc import AsyncIterator, Callable

from segel.v1 import jobs_pb2
from segeld.model.job import Job, JobFilter
from segeld.model.names import JobName, KeyName
from segeld.model.principal import Role
from segeld.policy import Policy
from segeld.rpc import call as calls
from segeld.rpc import job_pages
from segeld.rpc.job_convert import job_message
from segeld.rpc.ports import May, Oversight


class Approving:
    def __init__(self, policy: Callable[[], Policy], oversight: Oversight) -> None:
        self._policy = policy
        self._oversight = oversight

    async def get(self, name: JobName) -> jobs_pb2.Job:
        who = calls.principal().name
        return seen_by_approver(await self._oversight.job_for(who, self._may(who), name))

    async def list(self, wanted: JobFilter, before: int | None, size: int) -> jobs_pb2.ListJobsResponse:
        who = calls.principal().name
        jobs = await self._oversight.jobs_for(who, self._may(who), wanted, before=before, limit=size + 1)
        return job_pages.page(jobs, size, who, wanted, seen_by_approver)

    def watch(self, name: JobName) -> AsyncIterator[Job]:
        who = calls.principal().name
        return self._oversight.watch_for(who, self._may_now(who), name)

    async def decide(self, name: JobName, items_hash: bytes | None, reason: str) -> jobs_pb2.Job:
        who = calls.person()
        job = await self._oversight.decide(name, who, self._may(who.name), items_hash, reason)
        return seen_by_approver(job)

    def _may(self, who: str) -> May:
        """By the policy as it is at this moment, also if it is asked in a thread."""
        policy = self._policy()
        return lambda caller, key: who in policy.approvers_for(caller, key)

    def _may_now(self, who: str) -> May:
        """By the policy as it is whenever it is asked."""

        def may(caller: str, key: KeyName) -> bool:
            return who in self._policy().approvers_for(caller, key)

        return may


def is_approver() -> bool:
    """Whether the call is an approver's."""
    return calls.principal().role is Role.APPROVER


def seen_by_approver(job: Job) -> jobs_pb2.Job:
    """What is to be decided; not what is between the caller and the daemon."""
    message = job_message(job)
    message.ClearField("request_id")
    message.ClearField("read_offset")
    return message
