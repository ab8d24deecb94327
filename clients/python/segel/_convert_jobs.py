"""Between messages and models of jobs: pure."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from segel import _status
from segel._convert import ALGORITHM_OF
from segel._job import Job, JobState, Priority
from segel.models import Failure, Signature
from segel.v1 import jobs_pb2 as jobs
from segel.v1 import resources_pb2 as resources

_STATE_OF: Final = {
    jobs.Job.State.Value(f"STATE_{state.name}"): state for state in JobState if state is not JobState.UNKNOWN
}
NUMBER_OF_PRIORITY: Final[dict[Priority, jobs.JobPriority.ValueType]] = {
    "normal": jobs.JOB_PRIORITY_NORMAL,
    "low": jobs.JOB_PRIORITY_LOW,
}


def state_number(state: JobState | str) -> jobs.Job.State.ValueType:
    """:raises ValueError: for a state that there is not."""
    return jobs.Job.State.Value(f"STATE_{JobState(state).name}")


def job(message: jobs.Job) -> Job:
    return Job(
        name=message.name,
        state=_STATE_OF.get(message.state, JobState.UNKNOWN),
        state_reason=message.state_reason,
        key=message.key,
        algorithm=ALGORITHM_OF.get(message.algorithm),
        ecdsa="p1363" if message.ecdsa_encoding == resources.ECDSA_ENCODING_P1363 else "der",
        priority="low" if message.priority == jobs.JOB_PRIORITY_LOW else "normal",
        labels=dict(message.labels),
        request_id=message.request_id,
        item_count=message.item_count,
        signed_count=message.signed_count,
        failed_count=message.failed_count,
        items_hash=message.items_hash,
        read_offset=message.read_offset,
        create_time=_time(message, "create_time"),
        seal_time=_time(message, "seal_time"),
        start_time=_time(message, "start_time"),
        end_time=_time(message, "end_time"),
        deadline=_time(message, "deadline"),
        expire_time=_time(message, "expire_time"),
        caller=message.caller,
        decided_by=message.decided_by,
        decide_time=_time(message, "decide_time"),
    )


def _time(message: jobs.Job, name: str) -> dt.datetime | None:
    if not message.HasField(name):  # type: ignore[arg-type]  # the stub lists the names
        return None
    value: Timestamp = getattr(message, name)
    return value.ToDatetime(tzinfo=dt.UTC)


def results(message: jobs.ReadResultsResponse) -> Sequence[Signature | Failure]:
    origin = message.log_origin
    found: list[Signature | Failure] = []
    for index, one in enumerate(message.results, message.offset):
        signature = one.signature
        if not signature:
            found.append(Failure(_status.from_status(one.error), one.id, index))
        elif origin:
            found.append(Signature(signature, one.id, index, origin, one.leaf_index, one.leaf_position))
        else:
            found.append(Signature(signature, one.id, index))
    return found
