"""Who gets in, and as whom."""

import asyncio
import datetime as dt
from dataclasses import replace

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from segel.v1 import signing_pb2, signing_pb2_grpc
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.policy.rules import Policy
from segeld.rpc.identity import certificate_of, principal_of

ASK = signing_pb2.WhoAmIRequest()


@pytest.mark.parametrize(
    ("sans", "told"),
    [
        ([], "no subject alternative name"),
        (["uri:spiffe://example/nobody"], "uri:spiffe://example/nobody"),
        (["uri:spiffe://example/backoffice/"], "nobody in the policy"),
        (["uri:SPIFFE://example/backoffice"], "nobody in the policy"),
        (["dns:spiffe"], "nobody in the policy"),
        (["ip:127.0.0.1"], "no subject alternative name"),
        (["uri:spiffe://example/backoffice", "dns:other.example"], "more than one"),
        (["dns:*.example"], "nobody in the policy"),
    ],
)
async def test_a_certificate_that_names_nobody_is_refused_with_what_it_names(daemon, refusal, sans, told):
    """Its CN is that of a caller throughout: it must not help."""
    daemon.authority.issue("backoffice-2", sans)
    await daemon.start()
    refused = await refusal(daemon.signing("backoffice-2").WhoAmI(ASK))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN")
    assert told in refused.text


async def test_several_names_of_one_principal_are_no_contradiction(daemon):
    daemon.policy = replace(
        daemon.policy,
        principals=dict(daemon.policy.principals)
        | {"dns:backoffice.example": Principal("backoffice", Role.CALLER, "dns:backoffice.example")},
    )
    daemon.authority.issue("both", ["dns:backoffice.example", "uri:spiffe://example/backoffice"])
    await daemon.start()
    answer = await daemon.signing("both").WhoAmI(ASK)
    assert (answer.caller, answer.identity) == ("backoffice", "dns:backoffice.example")


async def test_a_hundred_names_make_a_short_refusal(daemon, refusal):
    daemon.authority.issue("many", [f"dns:host{number}.example" for number in range(100)])
    await daemon.start()
    refused = await refusal(daemon.signing("many").WhoAmI(ASK))
    assert "and 95 more" in refused.text


async def test_without_a_certificate_there_is_no_connection(daemon):
    await daemon.start()
    credentials = grpc.ssl_channel_credentials(daemon.authority.pem)
    async with grpc.aio.secure_channel(f"localhost:{daemon.bound.callers}", credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await signing_pb2_grpc.SigningStub(channel).WhoAmI(ASK)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_no_connection(daemon, make, tmp_path):
    foreign = make.Authority(tmp_path / "foreign")
    foreign.issue("backoffice", ["uri:spiffe://example/backoffice"])
    await daemon.start()
    channel = daemon.channel("backoffice", authority=foreign)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await signing_pb2_grpc.SigningStub(channel).WhoAmI(ASK)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_expired_certificate_is_no_connection(daemon):
    daemon.authority.issue("expired", ["uri:spiffe://example/backoffice"], days=-1)
    await daemon.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await daemon.signing("expired").WhoAmI(ASK)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_expired_since_the_handshake_is_refused(authority):
    _, pem = authority.issue("late", ["uri:spiffe://example/backoffice"], days=-1)
    with pytest.raises(Fault, match="expired on") as caught:
        principal_of(certificate_of({"x509_pem_cert": [pem]}), Policy())
    assert caught.value.reason is Reason.CALLER_UNKNOWN


@pytest.mark.parametrize("auth_context", [{}, {"x509_pem_cert": []}, {"x509_pem_cert": [b"no PEM"]}])
def test_a_peer_without_a_readable_certificate_is_nobody(auth_context):
    with pytest.raises(Fault) as caught:
        certificate_of(auth_context)
    assert caught.value.reason is Reason.CALLER_UNKNOWN


@pytest.mark.parametrize("tag", [0xA3, 0xA5], ids=["x400Address", "ediPartyName"])
def test_a_name_of_a_kind_that_is_not_read_is_a_refusal(tag):
    """RFC 5280 section 4.2.1.6 has nine kinds of names; `cryptography` does not read these two."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    key = ec.generate_private_key(ec.SECP256R1())
    sans = x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes([0x30, 4, tag, 2, 0x30, 0])
    )
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(1))
    pem = built.add_extension(sans, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    with pytest.raises(Fault, match="cannot be read: UnsupportedGeneralNameType") as caught:
        certificate_of({"x509_pem_cert": [pem]})
    assert caught.value.reason is Reason.CALLER_UNKNOWN


async def test_a_policy_that_changes_holds_from_the_next_call(daemon, refusal):
    await daemon.start()
    stub = daemon.signing()
    await stub.WhoAmI(ASK)
    daemon.policy = Policy()
    refused = await refusal(stub.WhoAmI(ASK))
    assert refused.reason == "CALLER_UNKNOWN"


async def test_a_connection_beyond_the_limit_is_refused(daemon):
    daemon.limit(max_connections=1)
    await daemon.start()
    await daemon.signing().WhoAmI(ASK)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await daemon.signing().WhoAmI(ASK)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await asyncio.gather(daemon.servers.stop(0))
