"""Keys and certificates as officers ask for them."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from segel.v1 import token_admin_pb2

PRIVATE = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_private_key_in_the_place_of_a_certificate_is_logged_nowhere(
    daemon, refusal, events, dry_run
):
    await daemon.start()
    request = token_admin_pb2.ImportCertificateRequest(data=PRIVATE, dry_run=dry_run)
    refused = await refusal(daemon.admin().ImportCertificate(request))
    assert refused.reason == "CERTIFICATE_INVALID"
    assert "it holds a private key, which must not leave its place" in refused.text.lower()
    line = PRIVATE.splitlines()[1].decode()
    assert line not in refused.text
    assert line not in str(events)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"subject": "/C=IDN/CN=x"},
            "subject: the subject is not valid: C has 3 characters; 2 is the limit.",
        ),
        ({"subject": "/CN=a\x1bb"}, "CN holds a character that cannot be printed"),
        ({"like": b"x"}, "like: the subject is not valid: the certificate to take it from:"),
        ({}, "give either a subject or a certificate"),
        ({"subject": "/CN=x", "like": b"x"}, "give either a subject or a certificate"),
    ],
)
async def test_a_bad_subject_is_refused_before_anything_is_signed(daemon, refusal, fields, told):
    await daemon.start()
    request = token_admin_pb2.CreateCsrRequest(key=str(daemon.mine.name), **fields)
    refused = await refusal(daemon.admin().CreateCsr(request))
    assert refused.reason == "FIELD_INVALID"
    assert told in refused.text
    assert daemon.dispatch.orders == []
