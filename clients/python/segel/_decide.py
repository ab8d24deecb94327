"""What approvers say of a held job."""

from segel import _convert_jobs
from segel._connection import CALL_TIMEOUT, Connection
from segel._job import Job
from segel.v1 import jobs_pb2 as jobs
from segel.v1.jobs_pb2_grpc import JobsStub


async def approve(connection: Connection, name: str, items_hash: bytes) -> Job:
    response = await connection.call(
        lambda channel: JobsStub(channel).ApproveJob,
        jobs.ApproveJobRequest(name=name, items_hash=items_hash),
        timeout=CALL_TIMEOUT,
    )
    return _convert_jobs.job(response)


async def reject(connection: Connection, name: str, reason: str) -> Job:
    response = await connection.call(
        lambda channel: JobsStub(channel).RejectJob,
        jobs.RejectJobRequest(name=name, reason=reason),
        timeout=CALL_TIMEOUT,
    )
    return _convert_jobs.job(response)
