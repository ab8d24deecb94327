"""What goes wrong gets a clear, specific error, and loses nothing: as a program sees it."""

import hashlib
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import segel
from segel import errors
from segel.v1 import resources_pb2, signing_pb2, signing_pb2_grpc

DIGEST = hashlib.sha256(b"Surat").digest()
P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256


@pytest.fixture
def stub(daemon):
    """Past the library, which would not let most of this out."""
    tls = daemon.tls()
    pem = [Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert)]
    with grpc.secure_channel(daemon.target, grpc.ssl_channel_credentials(*pem)) as channel:
        yield signing_pb2_grpc.SigningStub(channel)


def request(**changes) -> signing_pb2.SignRequest:
    fields = {"key": "keys/seal-p256", "algorithm": P256, "inputs": [signing_pb2.SignInput(digest=DIGEST)]}
    return signing_pb2.SignRequest(**{**fields, **changes})


def refusal(stub, wanted: signing_pb2.SignRequest) -> tuple[str, str, str, str]:
    """Code, reason, text and the field at fault."""
    with pytest.raises(grpc.RpcError) as refused:
        stub.Sign(wanted)
    status = rpc_status.from_call(refused.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Is(bad.DESCRIPTOR) and detail.Unpack(
            bad
        )
    assert info.domain == "segel"
    field = bad.field_violations[0].field if bad.field_violations else ""
    return refused.value.code().name, info.reason, status.message, field


def inputs(count: int) -> list[signing_pb2.SignInput]:
    return [signing_pb2.SignInput(digest=DIGEST)] * count


@pytest.mark.parametrize(
    ("wanted", "code", "reason", "field"),
    [
        (request(inputs=[]), "INVALID_ARGUMENT", "BATCH_EMPTY", "inputs"),
        (request(inputs=inputs(1025)), "INVALID_ARGUMENT", "BATCH_TOO_LARGE", "inputs"),
        (request(algorithm=0), "INVALID_ARGUMENT", "ALGORITHM_UNKNOWN", "algorithm"),
        (request(algorithm=99), "INVALID_ARGUMENT", "ALGORITHM_UNKNOWN", "algorithm"),
        (request(algorithm=1), "INVALID_ARGUMENT", "ALGORITHM_NOT_SUPPORTED", "algorithm"),
        (
            request(inputs=[*inputs(3), signing_pb2.SignInput(digest=DIGEST[:31])]),
            "INVALID_ARGUMENT",
            "DIGEST_LENGTH",
            "inputs[3].digest",
        ),
        (
            request(inputs=[signing_pb2.SignInput(message=b"whole")]),
            "INVALID_ARGUMENT",
            "INPUT_KIND",
            "inputs[0]",
        ),
        (request(inputs=[signing_pb2.SignInput()]), "INVALID_ARGUMENT", "INPUT_KIND", "inputs[0]"),
        (request(key="seal"), "INVALID_ARGUMENT", "FIELD_INVALID", "key"),
        (request(key=""), "INVALID_ARGUMENT", "FIELD_INVALID", "key"),
        (request(request_id="two words"), "INVALID_ARGUMENT", "FIELD_INVALID", "request_id"),
        (request(key="keys/nobody"), "NOT_FOUND", "KEY_NOT_FOUND", ""),
        (request(key="keys/sha256-" + "0" * 64), "NOT_FOUND", "KEY_NOT_FOUND", ""),
    ],
)
def test_a_bad_request_is_refused_as_a_whole(stub, wanted, code, reason, field) -> None:
    got = refusal(stub, wanted)
    assert got[:2] == (code, reason)
    assert got[3].startswith(field)
    assert len(got[2]) > 20


def test_the_daemon_signs_as_before_afterwards(client) -> None:
    assert client.signer("keys/seal-p256").sign_digest(DIGEST)


@pytest.mark.parametrize(
    ("identity", "error", "says"),
    [
        ("stranger", errors.NotAuthenticated, "policy"),
        ("backoffice-expired", errors.ConnectionFailed, "expired"),
        ("foreign", errors.ConnectionFailed, "certificate"),
        ("wayan", errors.NotAllowed, "caller"),
    ],
)
def test_who_may_not_come_in_is_told_why(daemon, identity, error, says) -> None:
    with pytest.raises(error, match=says) as refused, daemon.client(identity) as client:
        client.signer("keys/seal-p256").sign_digest(DIGEST)
    assert "Traceback" not in str(refused.value)


def test_without_a_certificate_nobody_comes_in(daemon) -> None:
    ca = Path(daemon.tls().ca).read_bytes()
    with (
        grpc.secure_channel(daemon.target, grpc.ssl_channel_credentials(ca)) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        signing_pb2_grpc.SigningStub(channel).WhoAmI(signing_pb2.WhoAmIRequest(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_officer_is_not_let_in_by_a_callers_certificate(daemon) -> None:
    with (
        pytest.raises(errors.NotAllowed, match="officer"),
        segel.BlockingOfficer.connect(
            daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls("backoffice")
        ) as officer,
    ):
        officer.tokens()


def test_one_wrong_item_in_a_bulk_call_fails_alone(client) -> None:
    signer = client.signer("keys/seal-p256")
    results = signer.sign_digests([DIGEST, DIGEST[:5], DIGEST])
    assert [isinstance(result, segel.Failure) for result in results] == [False, True, False]
    assert results[1].error.reason == "DIGEST_LENGTH"
