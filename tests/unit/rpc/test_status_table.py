"""Faults on the wire: the code of every reason is that of errors.proto, and details help where they can."""

import re
from pathlib import Path

import pytest
from google.rpc import error_details_pb2

from segel.v1 import errors_pb2
from segeld.model.faults import Fault, Reason
from segeld.rpc.status import CODES, item_status, status

PROTO = Path(__file__).parents[3] / "proto" / "segel" / "v1" / "errors.proto"


def documented():
    """From each comment `… (CODE)` to the reason after it."""
    text = PROTO.read_text()
    return {name: code for code, name in re.findall(r"// [^\n]*\((\w+)\)\n\s+REASON_(\w+) = \d+;", text)}


def test_every_reason_has_the_code_that_the_proto_promises():
    assert {str(reason): code.name for reason, code in CODES.items()} == documented()
    assert set(CODES) == set(Reason)
    assert {f"REASON_{reason}" for reason in Reason} == set(errors_pb2.Reason.keys()) - {"REASON_UNSPECIFIED"}


def kinds(message):
    return [each.type_url.rpartition(".")[2] for each in message.details]


@pytest.mark.parametrize("reason", Reason)
def test_every_status_has_exactly_one_error_info_and_it_comes_first(reason):
    names = kinds(status(Fault(reason, "text", field="f", retry_after=1.5, fact="v"), "id-1"))
    assert names[0] == "ErrorInfo"
    assert len(names) == len(set(names))
    assert {"BadRequest", "RetryInfo", "RequestInfo"} <= set(names)


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        (Reason.KEY_NOT_FOUND, []),
        (Reason.TOKEN_NOT_ACTIVE, ["PreconditionFailure"]),
        (Reason.QUEUE_FULL, ["QuotaFailure", "RetryInfo"]),
        (Reason.TOKEN_RECOVERING, ["RetryInfo"]),
        (Reason.STORAGE_FULL, ["RetryInfo"]),
        (Reason.STORAGE_UNAVAILABLE, ["RetryInfo"]),
        (Reason.JOB_STATE, ["PreconditionFailure"]),
        (Reason.ITEMS_CHANGED, ["PreconditionFailure"]),
        (Reason.OFFSET_OUT_OF_RANGE, []),
        (Reason.INTERNAL, []),
    ],
)
def test_details_come_where_they_help(reason, wanted):
    assert kinds(item_status(Fault(reason, "text"))) == ["ErrorInfo", *wanted]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.JOB_STATE, "JOB"),
        (Reason.ITEMS_CHANGED, "JOB"),
        (Reason.KEY_UNUSABLE, "KEY"),
        (Reason.TOKEN_LOCKED, "TOKEN"),
    ],
)
def test_a_precondition_names_what_is_not_as_it_must_be(reason, kind):
    failure = error_details_pb2.PreconditionFailure()
    item_status(Fault(reason, "text", job="jobs/1", key="keys/1", token="tokens/1")).details[1].Unpack(
        failure
    )
    (violation,) = failure.violations
    assert (violation.type, violation.subject) == (kind, f"{kind.lower()}s/1")


def test_facts_are_the_metadata():
    info = error_details_pb2.ErrorInfo()
    item_status(Fault(Reason.TOKEN_LOCKED, "text", token="tokens/payroll")).details[0].Unpack(info)
    assert (info.domain, info.reason, dict(info.metadata)) == (
        "segel",
        "TOKEN_LOCKED",
        {"token": "tokens/payroll"},
    )
