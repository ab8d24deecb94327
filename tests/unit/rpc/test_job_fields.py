"""What a job may be told: every wrong thing, and the field that it is said of."""

import pytest
from google.protobuf import duration_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from segel.v1 import jobs_pb2, signing_pb2
from segeld.config.schema import Limits
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import BLOCK, Failure, Receipt, Results, Signature
from segeld.model.job_state import JobState
from segeld.model.names import Alias
from segeld.model.priority import Priority
from segeld.rpc import job_convert, job_fields

NOW = 1_800_000_000.0
DAY = 86_400
KEY = "keys/sha256-" + "0a" * 32
P256 = 7
Create = jobs_pb2.CreateJobRequest
At = timestamp_pb2.Timestamp
For = duration_pb2.Duration
DIGEST = signing_pb2.SignInput(digest=bytes(32))


def draft(**fields):
    request = Create(**({"request_id": "r", "key": "keys/seal", "algorithm": P256} | fields))
    return job_convert.draft(request, Limits(), NOW)


def test_what_is_left_out_is_what_the_contract_says():
    made = draft()
    assert (made.request_id, made.key, made.algorithm) == ("r", Alias("seal"), Algorithm.ECDSA_P256_SHA256)
    assert (made.encoding, made.priority, made.labels) == (EcdsaEncoding.DER, Priority.NORMAL, ())
    assert (made.deadline, made.retention) == (NOW + 3 * DAY, 30 * DAY)
    assert made.items.inputs == ()


def test_what_is_said_is_taken():
    made = draft(
        priority=jobs_pb2.JOB_PRIORITY_LOW,
        ecdsa_encoding=2,
        labels={"z": "ä b", "a.b_c-0": ""},
        deadline=At(seconds=int(NOW) + 1, nanos=500_000_000),
        retention=For(seconds=365 * DAY),
        items=[DIGEST, signing_pb2.SignInput(id="n", digest=bytes(32))],
        seal=True,
    )
    assert (made.encoding, made.priority) == (EcdsaEncoding.P1363, Priority.LOW)
    assert made.labels == (("a.b_c-0", ""), ("z", "ä b"))
    assert (made.deadline, made.retention) == (NOW + 1.5, 365 * DAY)
    assert made.items.ids == ("", "n")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a b"}, "request_id"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"key": ""}, "key"),
        ({"key": "seal"}, "key"),
        ({"ecdsa_encoding": 9}, "ecdsa_encoding"),
        ({"priority": 3}, "priority"),
        ({"priority": -1}, "priority"),
        ({"labels": {f"l{n}": "" for n in range(17)}}, "labels"),
        ({"labels": {"": "v"}}, "labels"),
        ({"labels": {"A": "v"}}, "labels"),
        ({"labels": {"x" * 64: "v"}}, "labels"),
        ({"labels": {"a": "x" * 257}}, 'labels["a"]'),
        ({"labels": {"a": "line\nline"}}, 'labels["a"]'),
        ({"labels": {"a": "\x1b[2J"}}, 'labels["a"]'),
        ({"labels": {"a": "fdp.\u202eexe"}}, 'labels["a"]'),
        ({"labels": {"a": "\u2066x"}}, 'labels["a"]'),
        ({"labels": {"a": "\u2028"}}, 'labels["a"]'),
        ({"deadline": At(seconds=int(NOW))}, "deadline"),
        ({"deadline": At()}, "deadline"),
        ({"deadline": At(seconds=-(2**63))}, "deadline"),
        ({"deadline": At(seconds=int(NOW) + 30 * DAY + 1)}, "deadline"),
        ({"deadline": At(seconds=2**63 - 1)}, "deadline"),
        ({"retention": For()}, "retention"),
        ({"retention": For(seconds=-1)}, "retention"),
        ({"retention": For(seconds=365 * DAY, nanos=1000)}, "retention"),
        ({"retention": For(seconds=2**63 - 1)}, "retention"),
    ],
)
def test_a_field_at_fault_is_named(fields, field):
    with pytest.raises(Fault) as caught:
        draft(**fields)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)
    assert caught.value.text.isprintable()


def test_a_job_that_is_sealed_at_once_has_items():
    with pytest.raises(Fault) as caught:
        draft(seal=True)
    assert (caught.value.reason, caught.value.field) == (Reason.BATCH_EMPTY, "items")


def test_a_wrong_first_item_is_named():
    with pytest.raises(Fault) as caught:
        draft(items=[DIGEST, signing_pb2.SignInput(digest=bytes(48))])
    assert (caught.value.reason, caught.value.field) == (Reason.DIGEST_LENGTH, "items[1].digest")
    assert caught.value.facts["offset"] == "1"


@given(st.dictionaries(st.text(max_size=70), st.text(max_size=300), max_size=20))
def test_labels_are_labels_or_a_fault(entries):
    try:
        taken = job_fields.labels(entries, "labels")
    except Fault as caught:
        fault = caught
    else:
        assert dict(taken) == entries
        assert all(value.isprintable() and len(value) <= 256 for _, value in taken)
        return
    assert fault.reason is Reason.FIELD_INVALID


@given(st.sampled_from(["", "jobs/", "keys/sha256-"]), st.text('aAfF09/-\0\n"ä', max_size=200))
def test_any_text_as_a_name_is_a_name_or_a_fault(start, text):
    for read in (job_fields.job_name, job_fields.key_name):
        try:
            assert str(read(start + text, "name")) == start + text
        except Fault as caught:
            fault = caught
        else:
            continue
        assert (fault.reason, fault.field) == (Reason.FIELD_INVALID, "name")


@pytest.mark.parametrize("numbers", [[0], [12], [-1], [2, 99], [2] * 12])
def test_states_that_there_are_not(numbers):
    with pytest.raises(Fault) as caught:
        job_fields.states(numbers, "states")
    assert caught.value.field.startswith("states")


def test_every_state_is_known():
    numbers = [jobs_pb2.Job.State.Value(f"STATE_{state.name}") for state in JobState]
    assert job_fields.states(numbers, "states") == set(JobState)


@pytest.mark.parametrize("text", ["x" * 257, "a\nb", "\u202e"])
def test_an_approvers_reason_is_printable_and_short(text):
    with pytest.raises(Fault) as caught:
        job_fields.reason(text, "reason")
    assert caught.value.field == "reason"


@pytest.mark.parametrize(
    "outcome",
    [
        Signature(bytes(512), Receipt(2**62, 65_535)),
        Signature(bytes(2048), Receipt(2**62, 65_535)),
        *(Failure(reason, "x" * 2000) for reason in (Reason.TOKEN_LOCKED, Reason.WORKER_LOST)),
    ],
)
def test_a_block_of_results_stays_below_a_mebibyte(outcome):
    block = Results(2**40, ("i" * 128,) * BLOCK, (outcome,) * BLOCK)
    assert job_convert.results_message(block, "log.example/segel").ByteSize() < 1 << 20
