"""Messages to values: what is taken, and what every wrong thing is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segel.v1 import resources_pb2, signing_pb2
from segeld.model.algorithm import MAX_MESSAGE, Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.job import Failure, Receipt, Signature
from segeld.rpc import convert, inputs, results

Input = signing_pb2.SignInput
SIZED = [each for each in Algorithm if each.digest_size]


def taken(messages, algorithm, **where):
    return inputs.checked(
        signing_pb2.SignRequest(inputs=messages).inputs, algorithm, "inputs", **where
    ).inputs


def refused(messages, algorithm, **where):
    with pytest.raises(Fault) as caught:
        taken(messages, algorithm, **where)
    return caught.value


def test_numbers_of_algorithms_are_those_of_the_proto():
    for each in Algorithm:
        assert convert.to_number(each) == each.number
        assert convert.algorithm(each.number, "algorithm") is each
    assert len(Algorithm) == len(resources_pb2.SignatureAlgorithm.keys()) - 1


@pytest.mark.parametrize("number", [0, 11, 20, 2**31 - 1, -1])
def test_other_numbers_are_no_algorithm(number):
    with pytest.raises(Fault) as caught:
        convert.algorithm(number, "batch.algorithm")
    assert (caught.value.reason, caught.value.field) == (Reason.ALGORITHM_UNKNOWN, "batch.algorithm")


@given(st.sampled_from(SIZED), st.integers(0, 600))
def test_a_digest_has_exactly_the_length_of_the_hash(algorithm, size):
    messages = [Input(digest=bytes(algorithm.digest_size)), Input(digest=bytes(size))]
    if size == algorithm.digest_size:
        assert taken(messages, algorithm) == tuple(message.digest for message in messages)
    else:
        fault = refused(messages, algorithm)
        assert (fault.reason, fault.field) == (Reason.DIGEST_LENGTH, "inputs[1].digest")
        assert fault.facts == {"expected": str(algorithm.digest_size), "got": str(size)}


@pytest.mark.parametrize("algorithm", SIZED)
@pytest.mark.parametrize("wrong", [Input(), Input(message=b"text"), Input(message=bytes(32))])
def test_a_message_is_no_digest(algorithm, wrong):
    fault = refused([wrong], algorithm)
    assert (fault.reason, fault.field) == (Reason.INPUT_KIND, "inputs[0].digest")


@pytest.mark.parametrize("wrong", [Input(), Input(digest=b""), Input(digest=bytes(64))])
def test_a_digest_is_no_message(wrong):
    fault = refused([wrong], Algorithm.ED25519)
    assert (fault.reason, fault.field) == (Reason.INPUT_KIND, "inputs[0].message")


def test_ed25519_signs_messages_up_to_the_limit_and_the_empty_one():
    messages = [Input(message=b""), Input(message=b"a"), Input(message=bytes(MAX_MESSAGE))]
    assert taken(messages, Algorithm.ED25519) == (b"", b"a", bytes(MAX_MESSAGE))
    fault = refused([Input(message=bytes(MAX_MESSAGE + 1))], Algorithm.ED25519)
    assert (fault.reason, fault.field) == (Reason.MESSAGE_TOO_LONG, "inputs[0].message")


def test_an_id_is_counted_in_octets():
    def one(text):
        return [Input(id=text, digest=bytes(32))]

    assert taken(one("x" * 128), Algorithm.RSA_PSS_SHA256)
    assert taken(one("ä" * 64), Algorithm.RSA_PSS_SHA256)
    for text in ("x" * 129, "ä" * 65, "€" * 43):
        fault = refused(one(text), Algorithm.RSA_PSS_SHA256)
        assert (fault.reason, fault.field) == (Reason.FIELD_INVALID, "inputs[0].id")


@pytest.mark.parametrize(
    ("count", "reason"), [(0, Reason.BATCH_EMPTY), (4, None), (5, Reason.BATCH_TOO_LARGE)]
)
def test_a_batch_is_neither_empty_nor_too_large(count, reason):
    if reason is None:
        inputs.check_count(count, 4, "inputs")
        return
    with pytest.raises(Fault) as caught:
        inputs.check_count(count, 4, "inputs")
    assert (caught.value.reason, caught.value.field) == (reason, "inputs")


def test_ids_are_kept_if_there_is_one():
    def ids(*texts):
        messages = [Input(id=text, digest=bytes(32)) for text in texts]
        return inputs.checked(messages, Algorithm.RSA_PSS_SHA256, "items").ids

    assert ids("", "b", "") == ("", "b", "")
    assert ids("", "") == ids() == ()


@pytest.mark.parametrize(
    "wrong", [Input(digest=bytes(31)), Input(), Input(id="x" * 129, digest=bytes(32)), Input(message=b"m")]
)
def test_an_item_of_a_job_is_named_by_its_place_in_the_message_and_in_the_job(wrong):
    fault = refused([Input(digest=bytes(32)), wrong], Algorithm.RSA_PSS_SHA256, before=1000)
    assert fault.field.startswith("inputs[1].")
    assert fault.facts["offset"] == "1001"


@given(st.sampled_from(["", "keys/", "tokens/"]), st.text('aZ0/:._- \0\n"äé€😀', max_size=300))
def test_any_text_as_a_name_is_a_name_or_a_fault(start, text):
    for read in (convert.key_or_alias, convert.token_name):
        try:
            read(start + text, "name")
        except Fault as caught:
            fault = caught
        else:
            continue
        assert (fault.reason, fault.field) == (Reason.FIELD_INVALID, "name")


def test_outcomes_meet_their_ids():
    late = Fault(Reason.DEADLINE_PASSED, "too late")
    lost = Failure(Reason.WORKER_LOST, "the worker was lost")
    signature = Signature(b"one", Receipt(2**40, 300))
    answer = signing_pb2.SignResponse()
    results.add(answer.results, ("a", "", "a", "d"), (signature, late, lost, late))
    seen = [(each.id, each.signature, each.error.message) for each in answer.results]
    assert seen == [
        ("a", b"one", ""),
        ("", b"", "too late"),
        ("a", b"", "the worker was lost"),
        ("d", b"", "too late"),
    ]
    assert (answer.results[0].leaf_index, answer.results[0].leaf_position) == (2**40, 300)


def test_outcomes_without_ids():
    answer = signing_pb2.SignResponse()
    results.add(answer.results, (), (Signature(b"one", Receipt(0, 0)),))
    assert [(each.id, each.WhichOneof("outcome")) for each in answer.results] == [("", "signature")]


def test_a_lost_outcome_is_never_passed_over_in_silence():
    with pytest.raises(ValueError, match="shorter"):
        results.add(signing_pb2.SignResponse().results, ("a", "b"), (Signature(b"one", Receipt(0, 0)),))
