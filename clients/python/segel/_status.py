"""From what the wire says to the errors of `segel.errors`: the only place that reads google.rpc.Status."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from google.rpc import code_pb2, error_details_pb2, status_pb2

from segel import errors

DOMAIN: Final = "segel"
DETAILS_KEY: Final = "grpc-status-details-bin"
RETRIED_CODES: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
LOST_WHILE_WRITING: Final = frozenset({"Internal error from Core", "Stream removed"})
"""What gRPC says in place of the true status when it loses a connection while it writes."""

# For a reason that this version does not know, and for statuses made by gRPC itself.
_CLASS_OF_CODE: Final[Mapping[str, type[errors.SegelError]]] = MappingProxyType(
    {
        "CANCELLED": errors.Cancelled,
        "INVALID_ARGUMENT": errors.BadRequest,
        "OUT_OF_RANGE": errors.BadRequest,
        "ALREADY_EXISTS": errors.BadRequest,
        "DEADLINE_EXCEEDED": errors.DeadlinePassed,
        "NOT_FOUND": errors.NotFound,
        "PERMISSION_DENIED": errors.NotAllowed,
        "UNAUTHENTICATED": errors.NotAuthenticated,
        "RESOURCE_EXHAUSTED": errors.Overloaded,
        "FAILED_PRECONDITION": errors.TokenNotReady,
        "UNAVAILABLE": errors.ConnectionFailed,
    }
)


def code_name(number: int) -> str:
    """``5`` is ``"NOT_FOUND"``; a number that nobody knows is ``"UNKNOWN"``."""
    descriptor = code_pb2.Code.DESCRIPTOR.values_by_number.get(number)
    return descriptor.name if descriptor is not None else "UNKNOWN"


def from_status(status: status_pb2.Status) -> errors.SegelError:
    """The error that a google.rpc.Status means, whatever its details hold."""
    code = code_name(status.code)
    reason, facts = "", dict[str, str]()
    retry_after: float | None = None
    request_id: str | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            if info.domain == DOMAIN:
                reason = info.reason
                facts.update(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif detail.Is(error_details_pb2.RequestInfo.DESCRIPTOR):
            request = error_details_pb2.RequestInfo()
            detail.Unpack(request)
            request_id = request.request_id or None
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            if bad.field_violations:
                facts.setdefault("field", bad.field_violations[0].field)
    kind = errors.CLASS_OF_REASON.get(reason) or _CLASS_OF_CODE.get(code, errors.DaemonError)
    text = status.message or f"The daemon answered {code} and said no more"
    return kind(
        text,
        reason=reason or code,
        code=code,
        facts=facts,
        retry_after=retry_after,
        request_id=request_id,
    )


def from_call(
    code: str, details: str | None, trailers: Iterable[tuple[str, str | bytes]] | None
) -> errors.SegelError:
    """The error of a call that ended with a status of its own, from its trailing metadata if they say more."""
    for key, value in trailers or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    number = code_pb2.Code.Value(code) if code in code_pb2.Code.keys() else code_pb2.UNKNOWN  # noqa: SIM118
    return from_status(status_pb2.Status(code=number, message=details or ""))


def is_from_daemon(error: errors.SegelError) -> bool:
    """Whether the daemon itself said it, and not gRPC on its behalf."""
    return error.reason != error.code
