"""Pages of jobs. A token says after which job the next page begins, and for which list it was given."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from segel.v1 import jobs_pb2
from segeld.model.job import Job, JobFilter
from segeld.rpc.convert import page_token_invalid
from segeld.rpc.job_convert import job_message

MAX_OCTETS: Final = 512 * 1024
"""Octets of a page: labels may be long, so a page may hold less than was asked for."""

_ID: Final = 8
_BINDING: Final = 16


def page(
    jobs: Sequence[Job],
    size: int,
    caller: str,
    wanted: JobFilter,
    shown: Callable[[Job], jobs_pb2.Job] = job_message,
) -> jobs_pb2.ListJobsResponse:
    """At most `size` of the jobs, but at least one; with a token if there are more."""
    answer = jobs_pb2.ListJobsResponse()
    octets = 0
    for number, job in enumerate(jobs):
        message = shown(job)
        octets += message.ByteSize()
        if number and (number == size or octets > MAX_OCTETS):
            answer.next_page_token = token(jobs[number - 1].id, caller, wanted)
            break
        answer.jobs.append(message)
    return answer


def before(text: str, caller: str, wanted: JobFilter) -> int | None:
    """The id below which the next page begins; None for the first.

    :raises Fault: FIELD_INVALID if the token is not of this caller and this filter.
    """
    if not text:
        return None
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    number, binding = raw[:_ID], raw[_ID:]
    if len(number) != _ID or binding != _bind(caller, wanted):
        raise page_token_invalid()
    return int.from_bytes(number, "big", signed=True)


def token(last: int, caller: str, wanted: JobFilter) -> str:
    """Where the page begins that comes after this job."""
    raw = last.to_bytes(_ID, "big", signed=True) + _bind(caller, wanted)
    return base64.urlsafe_b64encode(raw).decode()


def _bind(caller: str, wanted: JobFilter) -> bytes:
    """Not against forgers, who would see their own jobs only: against a client that changes its question midway."""
    parts = (caller, sorted(wanted.states), str(wanted.key), wanted.labels, wanted.request_id)
    return hashlib.sha256(repr(parts).encode()).digest()[:_BINDING]
