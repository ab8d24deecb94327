"""The limits of an activation, out of its message: pure. A fault names the field it lies in."""

from typing import Final

from segel.v1 import token_admin_pb2
from segeld.model.activation import Limits
from segeld.rpc.convert import invalid

SHORTEST: Final = 1.0
LONGEST: Final = 366 * 86_400.0
"""Seconds."""


def limits(request: token_admin_pb2.ActivateTokenRequest) -> Limits:
    """:raises Fault: FIELD_INVALID."""
    seconds = None
    if request.HasField("lifetime"):
        seconds = request.lifetime.seconds + request.lifetime.nanos / 1e9
        if not SHORTEST <= seconds <= LONGEST:
            raise invalid("lifetime", "is not from 1 second to 366 days")
    if request.max_signatures < 0:
        raise invalid("max_signatures", "is negative")
    return Limits(seconds, request.max_signatures or None)


def said(wanted: Limits) -> dict[str, str]:
    """For the audit log."""
    facts = {}
    if wanted.seconds is not None:
        facts["seconds"] = f"{wanted.seconds:g}"
    if wanted.signatures is not None:
        facts["signatures"] = str(wanted.signatures)
    return facts
