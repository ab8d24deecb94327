"""Fields of jobs to values: pure. A fault names the field it lies in."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from segel.v1 import jobs_pb2
from segeld.model.job_state import JobState
from segeld.model.names import BadName, JobName, KeyName
from segeld.model.priority import Priority
from segeld.rpc.convert import check_name_length, invalid, request_id

MAX_LABELS: Final = 16
MAX_LABEL: Final = 256
"""Characters of a label's value."""
MAX_REASON: Final = 256
FARTHEST_DEADLINE: Final = 30 * 86_400.0
"""Seconds from now."""
LONGEST_RETENTION: Final = 365 * 86_400.0
HASH: Final = 32
"""Octets of a job's hash over its items."""

_LABEL: Final = re.compile(r"[a-z0-9._-]{1,63}")
_PRIORITIES: Final = {
    jobs_pb2.JOB_PRIORITY_UNSPECIFIED: Priority.NORMAL,
    jobs_pb2.JOB_PRIORITY_NORMAL: Priority.NORMAL,
    jobs_pb2.JOB_PRIORITY_LOW: Priority.LOW,
}
_STATES: Final[Mapping[int, JobState]] = {
    jobs_pb2.Job.State.Value(f"STATE_{state.name}"): state for state in JobState
}


def job_name(text: str, field: str) -> JobName:
    """:raises Fault: FIELD_INVALID."""
    check_name_length(text, field)
    try:
        return JobName.parse(text)
    except BadName as error:
        raise invalid(field, str(error)) from None


def key_name(text: str, field: str) -> KeyName:
    """An immutable name: an alias is none.

    :raises Fault: FIELD_INVALID.
    """
    check_name_length(text, field)
    if not text.startswith("keys/"):
        raise invalid(field, f"{text!r} is no key: it begins with keys/")
    try:
        return KeyName.parse(text)
    except BadName as error:
        raise invalid(field, str(error)) from None


def required_request_id(text: str, field: str) -> str:
    """:raises Fault: FIELD_INVALID."""
    if not text:
        raise invalid(field, "is missing; it names the job, so that a repetition makes no second one")
    return request_id(text, field)


def priority(number: int, field: str) -> Priority:
    """:raises Fault: FIELD_INVALID."""
    found = _PRIORITIES.get(number)  # type: ignore[call-overload]  # an open enum: any number may arrive
    if found is None:
        raise invalid(field, f"{number} is not known to this daemon")
    return found  # type: ignore[no-any-return]


def states(numbers: Sequence[int], field: str) -> frozenset[JobState]:
    """:raises Fault: FIELD_INVALID."""
    if len(numbers) > len(_STATES):
        raise invalid(field, f"{len(numbers)} states; there are {len(_STATES)}")
    for place, number in enumerate(numbers):
        if number not in _STATES:
            raise invalid(f"{field}[{place}]", f"{number} is no state that this daemon knows")
    return frozenset(_STATES[number] for number in numbers)


def offset(number: int, field: str) -> int:
    """:raises Fault: FIELD_INVALID."""
    if number < 0:
        raise invalid(field, "is negative")
    return number


def labels(entries: Mapping[str, str], field: str) -> tuple[tuple[str, str], ...]:
    """Sorted by name.

    :raises Fault: FIELD_INVALID.
    """
    if len(entries) > MAX_LABELS:
        raise invalid(field, f"{len(entries)} labels; {MAX_LABELS} are the limit")
    for name, value in entries.items():
        if not _LABEL.fullmatch(name):
            raise invalid(field, f"{name[:64]!r} is not 1 to 63 of a-z 0-9 . _ -")
        _printable(value, MAX_LABEL, f'{field}["{name}"]')
    return tuple(sorted(entries.items()))


def reason(text: str, field: str) -> str:
    """An approver's words.

    :raises Fault: FIELD_INVALID.
    """
    _printable(text, MAX_REASON, field)
    return text


def items_hash(value: bytes, field: str) -> bytes:
    """:raises Fault: FIELD_INVALID."""
    if len(value) != HASH:
        raise invalid(field, f"has {len(value)} octets; the hash of a sealed job has {HASH}")
    return value


def deadline(at: Timestamp, field: str, now: float) -> float:
    """Seconds since the epoch.

    :raises Fault: FIELD_INVALID.
    """
    # The fields and not a datetime: any number may arrive, and arithmetic on floats never overflows.
    seconds = at.seconds + at.nanos / 1e9
    if seconds <= now:
        raise invalid(field, "is in the past")
    if seconds > now + FARTHEST_DEADLINE:
        raise invalid(field, f"is more than {FARTHEST_DEADLINE / 86_400:.0f} days from now")
    return seconds


def retention(value: Duration, field: str) -> float:
    """Seconds.

    :raises Fault: FIELD_INVALID.
    """
    seconds = value.seconds + value.nanos / 1e9
    if not 0 < seconds <= LONGEST_RETENTION:
        raise invalid(field, f"is not between nothing and {LONGEST_RETENTION / 86_400:.0f} days")
    return seconds


def _printable(text: str, maximum: int, field: str) -> None:
    """No control characters, and nothing invisible that changes how the rest is read."""
    if len(text) > maximum:
        raise invalid(field, f"has {len(text)} characters; {maximum} are the limit")
    if not text.isprintable():
        raise invalid(field, "has characters that are not printable")
