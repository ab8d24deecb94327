"""What callers are answered."""

import asyncio
import hashlib
from dataclasses import replace

import grpc
import pytest
from google.rpc import error_details_pb2

from segel.v1 import resources_pb2, signing_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.names import Alias
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState
from segeld.policy.rules import ANY_ALGORITHM, Grants, Standing

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
P384 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P384_SHA384
DIGEST = hashlib.sha256(b"letter").digest()


def request(key, *digests, **fields):
    fields.setdefault("algorithm", P256)
    inputs = [signing_pb2.SignInput(id=f"n{n}", digest=d) for n, d in enumerate(digests or (DIGEST,))]
    return signing_pb2.SignRequest(key=str(key), inputs=inputs, **fields)


async def test_a_caller_learns_who_it_is(daemon):
    await daemon.start()
    answer = await daemon.signing().WhoAmI(signing_pb2.WhoAmIRequest())
    assert (answer.caller, answer.role) == ("backoffice", "caller")
    assert answer.identity == "uri:spiffe://example/backoffice"


async def test_digests_are_signed_in_order(daemon):
    await daemon.start()
    answer = await daemon.signing().Sign(request(daemon.mine.name, DIGEST, DIGEST[::-1]))
    assert answer.key == str(daemon.mine.name)
    assert [r.id for r in answer.results] == ["n0", "n1"]
    expected = [hashlib.sha256(digest).digest() for digest in (DIGEST, DIGEST[::-1])]
    assert [r.signature for r in answer.results] == expected
    assert answer.log_origin == "log.example/segel"
    assert [(r.leaf_index, r.leaf_position) for r in answer.results] == [(7, 0), (7, 1)]


async def test_the_order_says_everything_the_dispatcher_needs(daemon):
    await daemon.start()
    call = request("keys/seal", DIGEST, request_id="a:1", ecdsa_encoding=resources_pb2.ECDSA_ENCODING_P1363)
    await daemon.signing().Sign(call, timeout=5)
    (order,) = daemon.dispatch.orders
    assert (order.caller, order.key, order.algorithm) == (
        "backoffice",
        daemon.mine.name,
        Algorithm.ECDSA_P256_SHA256,
    )
    assert (order.encoding, order.inputs, order.request_id) == (EcdsaEncoding.P1363, (DIGEST,), "a:1")
    assert 0 < order.deadline.remaining() <= 5
    assert order.priority is Priority.INTERACTIVE


@pytest.mark.parametrize("highest", Priority)
async def test_the_policy_caps_the_priority(daemon, highest):
    daemon.policy = replace(daemon.policy, standings={"backoffice": Standing(highest=highest)})
    await daemon.start()
    await daemon.signing().Sign(request(daemon.mine.name))
    assert daemon.dispatch.orders[0].priority is highest


async def test_without_a_deadline_the_daemons_own_cap_holds(daemon):
    await daemon.start()
    await daemon.signing().Sign(request(daemon.mine.name))
    assert 50 < daemon.dispatch.orders[0].deadline.remaining() <= 60


async def test_an_input_fails_alone(daemon, error_info):
    await daemon.start()
    lost = Fault(Reason.WORKER_LOST, "the worker was lost")
    daemon.dispatch.outcome = lambda data: lost if data == DIGEST else b"signature"
    answer = await daemon.signing().Sign(request(daemon.mine.name, DIGEST, DIGEST[::-1], DIGEST))
    assert [r.WhichOneof("outcome") for r in answer.results] == ["error", "signature", "error"]
    first, _, last = answer.results
    assert first.error == last.error
    assert first.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert error_info(first.error).reason == "WORKER_LOST"


async def test_a_refused_order_is_the_status_of_the_call(daemon, refusal):
    await daemon.start()
    daemon.dispatch.fail = Fault(Reason.QUEUE_FULL, "too much is waiting", retry_after=2.5)
    refused = await refusal(daemon.signing().Sign(request(daemon.mine.name)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 2500


@pytest.mark.parametrize("method", ["get", "sign"])
async def test_a_foreign_key_and_an_unknown_one_are_answered_octet_by_octet_the_same(
    daemon, make, refusal, method
):
    """Also under their aliases, and also where the foreign key could not do what is asked."""
    await daemon.start()
    stub = daemon.signing()
    names = [daemon.foreign.name, make.key("nowhere").name, "keys/theirs", "keys/unheard-of"]
    answers = set()
    for name in names:
        for algorithm in (P256, P384) if method == "sign" else (P256,):
            size = 32 if algorithm == P256 else 48
            if method == "get":
                call = stub.GetKey(
                    signing_pb2.GetKeyRequest(name=str(name)), metadata=[("x-request-id", "same")]
                )
            else:
                message = request(name, bytes(size), algorithm=algorithm)
                call = stub.Sign(message, metadata=[("x-request-id", "same")])
            refused = await refusal(call)
            answers.add((refused.code, refused.text, refused.status.SerializeToString(deterministic=True)))
    assert len(answers) == 1
    assert next(iter(answers))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "No such key, or not granted to you.",
    )
    assert not daemon.dispatch.orders


async def test_a_granted_key_that_no_token_holds_is_not_found(daemon, refusal):
    await daemon.start()
    daemon.inventory.records.clear()
    refused = await refusal(daemon.signing().Sign(request(daemon.mine.name)))
    assert refused.reason == "KEY_NOT_FOUND"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"key": "seal"}, "FIELD_INVALID", "key"),
        ({"key": "keys/" + "x" * 100_000}, "FIELD_INVALID", "key"),
        ({"algorithm": 0}, "ALGORITHM_UNKNOWN", "algorithm"),
        ({"algorithm": 4711}, "ALGORITHM_UNKNOWN", "algorithm"),
        ({"algorithm": P384, "size": 48}, "ALGORITHM_NOT_SUPPORTED", "algorithm"),
        ({"ecdsa_encoding": 9}, "FIELD_INVALID", "ecdsa_encoding"),
        ({"request_id": "a b"}, "FIELD_INVALID", "request_id"),
        ({"size": 31}, "DIGEST_LENGTH", "inputs[0].digest"),
        ({"count": 0}, "BATCH_EMPTY", "inputs"),
        ({"count": 1025}, "BATCH_TOO_LARGE", "inputs"),
    ],
)
async def test_a_wrong_request_is_refused_whole_and_says_where(daemon, refusal, fields, reason, field):
    await daemon.start()
    size, count = fields.pop("size", 32), fields.pop("count", 1)
    fields = {"key": str(daemon.mine.name), "algorithm": P256} | fields
    message = signing_pb2.SignRequest(inputs=[signing_pb2.SignInput(digest=bytes(size))] * count, **fields)
    refused = await refusal(daemon.signing().Sign(message))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [v.field for v in refused.detail(error_details_pb2.BadRequest).field_violations] == [field]
    assert len(refused.text) < 1100
    assert not daemon.dispatch.orders


async def test_an_algorithm_outside_the_grant_is_denied(daemon, make, refusal):
    rsa = make.key("rsa", KeyKind.RSA_2048)
    daemon.inventory.records[rsa.name] = rsa
    allowed = frozenset({Algorithm.RSA_PSS_SHA256})
    daemon.policy = replace(daemon.policy, grants={"backoffice": Grants({rsa.name: allowed})})
    await daemon.start()
    pkcs1 = request(rsa.name, algorithm=resources_pb2.SIGNATURE_ALGORITHM_RSA_PKCS1_SHA256)
    refused = await refusal(daemon.signing().Sign(pkcs1))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ALGORITHM_NOT_GRANTED")
    key = await daemon.signing().GetKey(signing_pb2.GetKeyRequest(name=str(rsa.name)))
    assert list(key.algorithms) == [resources_pb2.SIGNATURE_ALGORITHM_RSA_PSS_SHA256]


async def test_an_unusable_key_says_why(daemon, refusal):
    await daemon.start()
    daemon.inventory.records[daemon.mine.name] = replace(
        daemon.mine, unusable=Reason.KEY_AMBIGUOUS, trouble="two objects match."
    )
    refused = await refusal(daemon.signing().Sign(request(daemon.mine.name)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "KEY_AMBIGUOUS")
    (violation,) = refused.detail(error_details_pb2.PreconditionFailure).violations
    assert (violation.type, violation.subject) == ("KEY", str(daemon.mine.name))
    key = await daemon.signing().GetKey(signing_pb2.GetKeyRequest(name=str(daemon.mine.name)))
    assert (key.state, key.state_reason) == (resources_pb2.Key.STATE_UNUSABLE, "two objects match.")


async def test_too_little_time_is_refused_before_anything_is_begun(daemon, refusal):
    daemon.limit(deadline=0.001)
    await daemon.start()
    refused = await refusal(daemon.signing().Sign(request(daemon.mine.name)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT")
    assert not daemon.dispatch.orders


async def test_a_key_is_shown_whole(daemon):
    await daemon.start()
    key = await daemon.signing().GetKey(signing_pb2.GetKeyRequest(name="keys/seal"))
    assert (key.name, list(key.aliases)) == (str(daemon.mine.name), ["keys/seal"])
    assert (key.public_key, list(key.certificate_chain)) == (daemon.mine.public_key, [b"certificate of mine"])
    assert (key.state, key.state_reason) == (resources_pb2.Key.STATE_ACTIVE, "")
    assert list(key.algorithms) == [P256]


@pytest.mark.parametrize("state", [each for each in TokenState if each is not TokenState.ACTIVE])
async def test_a_key_that_cannot_sign_now_says_why(daemon, make, state):
    await daemon.start()
    daemon.inventory.records[daemon.mine.name] = make.key("mine", state=state)
    key = await daemon.signing().GetKey(signing_pb2.GetKeyRequest(name=str(daemon.mine.name)))
    assert key.state == resources_pb2.Key.STATE_UNAVAILABLE
    assert key.state_reason.startswith("token payroll ")


async def test_an_alias_answers_its_first_healthy_key(daemon, make):
    sick, healthy, hidden = (
        make.key("sick", state=TokenState.LOCKED),
        make.key("healthy"),
        make.key("hidden"),
    )
    daemon.inventory.records = {each.name: each for each in (hidden, sick, healthy)}
    daemon.policy = replace(
        daemon.policy,
        aliases={Alias("three"): (hidden.name, sick.name, healthy.name)},
        grants={"backoffice": Grants({sick.name: ANY_ALGORITHM, healthy.name: ANY_ALGORITHM})},
    )
    await daemon.start()
    stub = daemon.signing()
    assert (await stub.GetKey(signing_pb2.GetKeyRequest(name="keys/three"))).name == str(healthy.name)
    assert (await stub.Sign(request("keys/three"))).key == str(healthy.name)
    daemon.inventory.records[healthy.name] = make.key("healthy", state=TokenState.ABSENT)
    assert (await stub.GetKey(signing_pb2.GetKeyRequest(name="keys/three"))).name == str(sick.name)


async def test_keys_are_listed_by_name_page_after_page(daemon, make):
    every = [make.key(f"key {n}") for n in range(25)]
    daemon.inventory.records = {each.name: each for each in (*every, daemon.foreign)}
    daemon.policy = replace(
        daemon.policy, grants={"backoffice": Grants({each.name: ANY_ALGORITHM for each in every})}
    )
    await daemon.start()
    stub = daemon.signing()
    seen, token, pages = [], "", 0
    while True:
        page = await stub.ListKeys(signing_pb2.ListKeysRequest(page_size=10, page_token=token))
        seen += [key.name for key in page.keys]
        pages += 1
        token = page.next_page_token
        if not token:
            break
    assert pages == 3
    assert seen == sorted(str(each.name) for each in every)


@pytest.mark.parametrize("fields", [{"page_size": -1}, {"page_token": "x"}, {"page_token": "AAAA"}])
async def test_a_page_that_was_never_given_is_refused(daemon, refusal, fields):
    await daemon.start()
    refused = await refusal(daemon.signing().ListKeys(signing_pb2.ListKeysRequest(**fields)))
    assert refused.reason == "FIELD_INVALID"


async def test_a_caller_that_gives_up_gives_up_its_order(daemon):
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    call = daemon.signing().Sign(request(daemon.mine.name))
    await daemon.dispatch.arrived.acquire()
    call.cancel()
    await daemon.dispatch.cancelled.wait()


async def test_a_message_above_the_limit_is_refused_by_the_transport(daemon):
    await daemon.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await daemon.signing().Sign(signing_pb2.SignRequest(key="x" * (1 << 20)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
