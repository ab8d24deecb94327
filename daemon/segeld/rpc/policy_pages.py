"""Pages of what a policy would change. A token says where the next one begins, of which file, beside which policy."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from segel.v1 import policy_admin_pb2 as wire
from segeld.model.faults import Fault, Reason
from segeld.office.policy_check import Check
from segeld.office.policy_kept import policy_hash
from segeld.policy.line import Difference
from segeld.rpc import convert

MAX: Final = 1000
"""Differences of a page; and problems that are named."""
MAX_OCTETS: Final = 512 * 1024
"""Octets of a page; but at least one difference."""
_PLACE: Final = 8


def page(differences: Sequence[Difference], begin: int, size: int) -> list[wire.PolicyDifference]:
    """:param size: as it was asked for; 0 for as many as there may be.
    :raises Fault: FIELD_INVALID.
    """
    if size < 0:
        raise convert.invalid("page_size", "is less than 0")
    found: list[wire.PolicyDifference] = []
    octets = 0
    for each in differences[begin : begin + min(size or MAX, MAX)]:
        message = wire.PolicyDifference(text=each.text, widens=each.widens)
        octets += message.ByteSize()
        if found and octets > MAX_OCTETS:
            break
        found.append(message)
    return found


def problems(found: Sequence[str]) -> list[str]:
    """As many as people can mend at once."""
    more = [f"… and {len(found) - MAX} more"] if len(found) > MAX else []
    return [*found[:MAX], *more]


def token(begin: int, check: Check, toml: str) -> str:
    raw = begin.to_bytes(_PLACE, "big") + check.base.number.to_bytes(_PLACE, "big") + policy_hash(toml)
    return base64.urlsafe_b64encode(raw).decode()


def begin(request: wire.CheckPolicyRequest, check: Check) -> int:
    """Where the page begins that is asked for.

    :raises Fault: FIELD_INVALID for a token of another file; CHANGE_STATE if what is in force changed since.
    """
    if not request.page_token:
        return 0
    try:
        raw = base64.b64decode(request.page_token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    place, number, file = raw[:_PLACE], raw[_PLACE : 2 * _PLACE], raw[2 * _PLACE :]
    if file != policy_hash(request.toml):
        raise convert.page_token_invalid()
    if int.from_bytes(number, "big") != check.base.number:
        raise Fault(
            Reason.CHANGE_STATE,
            "Another policy was put in force while this one was looked at. Look again: segelctl policy check",
            field="page_token",
        )
    return int.from_bytes(place, "big")
