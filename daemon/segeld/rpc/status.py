"""The one place where a Fault becomes a `google.rpc.Status`.

Lost on the way: whatever is not the Fault's own text, field, facts and retry time, and what is too long for the
trailers of a call (8 KiB are safe in every gRPC).
"""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from segeld.model.faults import Fault, Reason

DOMAIN: Final = "segel"
MAX_TEXT: Final = 512
"""Characters of a text; a longer one comes from something a client sent, and is cut."""
MAX_FACT: Final = 256
RETRY_AFTER: Final = 1.0
"""Seconds, where trying again helps and the Fault does not say when."""

_CODES: Final[Mapping[grpc.StatusCode, tuple[Reason, ...]]] = {
    grpc.StatusCode.INTERNAL: (Reason.INTERNAL, Reason.SIGNATURE_SELF_CHECK_FAILED),
    grpc.StatusCode.NOT_FOUND: (
        Reason.KEY_NOT_FOUND,
        Reason.TOKEN_NOT_FOUND,
        Reason.JOB_NOT_FOUND,
        Reason.CHANGE_NOT_FOUND,
        Reason.CALLER_NOT_FOUND,
        Reason.SLOT_NOT_FOUND,
    ),
    grpc.StatusCode.FAILED_PRECONDITION: (
        Reason.KEY_AMBIGUOUS,
        Reason.KEY_UNUSABLE,
        Reason.TOKEN_NOT_ACTIVE,
        Reason.TOKEN_LOCKED,
        Reason.TOKEN_QUARANTINED,
        Reason.PIN_REFUSED_BEFORE,
        Reason.PIN_LOCKED,
        Reason.PIN_EXPIRED,
        Reason.JOB_STATE,
        Reason.ITEMS_CHANGED,
        Reason.KEY_DISABLED,
        Reason.KEY_CERTIFICATE,
        Reason.CHANGE_STATE,
        Reason.TOKEN_BUSY,
        Reason.TOKEN_STATE,
        Reason.APPROVAL_REQUIRED,
    ),
    grpc.StatusCode.INVALID_ARGUMENT: (
        Reason.ALGORITHM_UNKNOWN,
        Reason.ALGORITHM_NOT_SUPPORTED,
        Reason.DIGEST_LENGTH,
        Reason.INPUT_KIND,
        Reason.MESSAGE_TOO_LONG,
        Reason.BATCH_EMPTY,
        Reason.BATCH_TOO_LARGE,
        Reason.FIELD_INVALID,
        Reason.PIN_LENGTH,
        Reason.JOB_TOO_LARGE,
        Reason.CERTIFICATE_INVALID,
        Reason.POLICY_INVALID,
        Reason.PIN_INVALID,
    ),
    grpc.StatusCode.OUT_OF_RANGE: (Reason.OFFSET_OUT_OF_RANGE,),
    grpc.StatusCode.UNAUTHENTICATED: (
        Reason.CALLER_UNKNOWN,
        Reason.CALLER_REVOKED,
    ),
    grpc.StatusCode.PERMISSION_DENIED: (
        Reason.ROLE_REQUIRED,
        Reason.ALGORITHM_NOT_GRANTED,
        Reason.PIN_INCORRECT,
        Reason.SECOND_PERSON_REQUIRED,
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        Reason.QUEUE_FULL,
        Reason.CALLER_QUOTA,
        Reason.RATE_LIMITED,
        Reason.TOKEN_NO_ROOM,
    ),
    grpc.StatusCode.UNAVAILABLE: (
        Reason.TOKEN_NOT_PRESENT,
        Reason.TOKEN_RECOVERING,
        Reason.WORKER_LOST,
        Reason.DAEMON_STOPPING,
        Reason.DEVICE_ERROR,
        Reason.STORAGE_FULL,
        Reason.STORAGE_UNAVAILABLE,
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Reason.DEADLINE_TOO_SHORT, Reason.DEADLINE_PASSED),
    grpc.StatusCode.ALREADY_EXISTS: (
        Reason.IDEMPOTENCY_MISMATCH,
        Reason.KEY_EXISTS,
    ),
    grpc.StatusCode.CANCELLED: (Reason.CANCELLED,),
}
CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    reason: code for code, reasons in _CODES.items() for reason in reasons
}
"""Every reason has a code: compared by a test with the comments of errors.proto."""

_PRECONDITIONS: Final[Mapping[Reason, str]] = {
    Reason.KEY_AMBIGUOUS: "KEY",
    Reason.KEY_UNUSABLE: "KEY",
    Reason.JOB_STATE: "JOB",
    Reason.ITEMS_CHANGED: "JOB",
    Reason.KEY_DISABLED: "KEY",
    Reason.KEY_CERTIFICATE: "KEY",
    Reason.APPROVAL_REQUIRED: "KEY",
    Reason.CHANGE_STATE: "CHANGE",
}
"""What is not as it must be; the token, if it is not said here. Its name is the fact of that name in lower case."""

_RETRIED: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})


def status(fault: Fault, request_id: str | None = None) -> status_pb2.Status:
    """A Fault as it goes over the wire; with `request_id`, as the status of a whole call."""
    code = CODES[fault.reason]
    text = fault.text[:MAX_TEXT]
    answer = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=text)
    facts = {key: value[:MAX_FACT] for key, value in fault.facts.items()}
    if request_id is not None:
        facts["request_id"] = request_id
    _add(answer, error_details_pb2.ErrorInfo(reason=fault.reason, domain=DOMAIN, metadata=facts))
    if fault.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=fault.field, description=text)
        _add(answer, error_details_pb2.BadRequest(field_violations=[violation]))
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        _add(answer, _precondition(fault, text))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        _add(answer, _quota(fault, text))
    if fault.retry_after is not None or (code in _RETRIED and fault.reason is not Reason.WORKER_LOST):
        seconds = RETRY_AFTER if fault.retry_after is None else fault.retry_after
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(seconds * 1e9))
        _add(answer, retry)
    if request_id is not None:
        _add(answer, error_details_pb2.RequestInfo(request_id=request_id))
    return answer


def item_status(fault: Fault) -> status_pb2.Status:
    """A Fault as the outcome of one input or one batch: the call's own trailers have the request id."""
    return status(fault)


def _precondition(fault: Fault, text: str) -> error_details_pb2.PreconditionFailure:
    kind = _PRECONDITIONS.get(fault.reason, "TOKEN")
    subject = fault.facts.get(kind.lower(), "")[:MAX_FACT]
    violation = error_details_pb2.PreconditionFailure.Violation(type=kind, subject=subject, description=text)
    return error_details_pb2.PreconditionFailure(violations=[violation])


def _quota(fault: Fault, text: str) -> error_details_pb2.QuotaFailure:
    subject = "caller:" + fault.facts["caller"][:MAX_FACT] if "caller" in fault.facts else "daemon"
    violation = error_details_pb2.QuotaFailure.Violation(subject=subject, description=text)
    return error_details_pb2.QuotaFailure(violations=[violation])


def _add(answer: status_pb2.Status, detail: Message) -> None:
    answer.details.add().Pack(detail)
