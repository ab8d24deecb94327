"""Jobs as messages and back: pure. A fault names the field it lies in."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from segel.v1 import jobs_pb2, resources_pb2
from segeld.config.schema import Limits
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.job import Items, Job, JobFilter, Results
from segeld.model.job_state import JobState
from segeld.model.names import Alias, KeyName
from segeld.model.priority import Priority
from segeld.rpc import convert, inputs, job_fields, results

_STATES: Final = {state: jobs_pb2.Job.State.Value(f"STATE_{state.name}") for state in JobState}
_ENCODINGS: Final = {
    EcdsaEncoding.DER: resources_pb2.ECDSA_ENCODING_DER,
    EcdsaEncoding.P1363: resources_pb2.ECDSA_ENCODING_P1363,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a caller wrote, well formed, before the policy was asked."""

    request_id: str
    key: KeyName | Alias
    algorithm: Algorithm
    encoding: EcdsaEncoding
    priority: Priority
    labels: tuple[tuple[str, str], ...]
    deadline: float
    retention: float
    items: Items


def draft(request: jobs_pb2.CreateJobRequest, limits: Limits, now: float) -> Draft:
    """:raises Fault: what is wrong with the first field or item that is wrong."""
    request_id = job_fields.required_request_id(request.request_id, "request_id")
    key = convert.key_or_alias(request.key, "key")
    algorithm = convert.algorithm(request.algorithm, "algorithm")
    encoding = convert.encoding(request.ecdsa_encoding, "ecdsa_encoding")
    priority = job_fields.priority(request.priority, "priority")
    labels = job_fields.labels(request.labels, "labels")
    deadline, retention = now + limits.job_deadline, limits.results_retention
    if request.HasField("deadline"):
        deadline = job_fields.deadline(request.deadline, "deadline", now)
    if request.HasField("retention"):
        retention = job_fields.retention(request.retention, "retention")
    if request.seal:
        inputs.check_some(len(request.items), "items")
    items = inputs.checked(request.items, algorithm, "items", before=0)
    return Draft(request_id, key, algorithm, encoding, priority, labels, deadline, retention, items)


def job_filter(request: jobs_pb2.ListJobsRequest) -> JobFilter:
    """:raises Fault: FIELD_INVALID."""
    return JobFilter(
        states=job_fields.states(request.states, "states"),
        key=job_fields.key_name(request.key, "key") if request.key else None,
        labels=job_fields.labels(request.labels, "labels"),
        request_id=convert.request_id(request.request_id, "request_id"),
    )


def job_message(job: Job) -> jobs_pb2.Job:
    spec = job.spec
    low = spec.priority is Priority.LOW
    message = jobs_pb2.Job(
        name=str(job.name),
        state=_STATES[job.state],
        state_reason=job.reason,
        key=str(spec.kind.key),
        algorithm=convert.to_number(spec.kind.algorithm),
        ecdsa_encoding=_ENCODINGS[spec.kind.encoding],
        priority=jobs_pb2.JOB_PRIORITY_LOW if low else jobs_pb2.JOB_PRIORITY_NORMAL,
        labels=dict(spec.labels),
        request_id=spec.request_id,
        item_count=job.count,
        signed_count=job.signed,
        failed_count=job.failed,
        items_hash=job.items_hash,
        read_offset=job.read,
        caller=spec.caller,
        decided_by=job.decided_by,
    )
    _write_time(message.create_time, job.created)
    _write_time(message.deadline, spec.deadline)
    if job.sealed is not None:
        _write_time(message.seal_time, job.sealed)
    if job.started is not None:
        _write_time(message.start_time, job.started)
    if job.ended is not None:
        _write_time(message.end_time, job.ended)
    if job.expires is not None:
        _write_time(message.expire_time, job.expires)
    if job.decided is not None:
        _write_time(message.decide_time, job.decided)
    return message


def results_message(block: Results, log_origin: str) -> jobs_pb2.ReadResultsResponse:
    """One block; even of the longest signatures and texts it stays below 1 MiB."""
    message = jobs_pb2.ReadResultsResponse(offset=block.first, log_origin=log_origin)
    results.add(message.results, block.ids, block.outcomes)
    return message


def _write_time(field: Timestamp, at: float) -> None:
    field.FromMicroseconds(round(at * 1e6))
