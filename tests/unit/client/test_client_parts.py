"""The small parts by themselves."""

import asyncio
import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from segel import errors
from segel._algorithms import Algorithm
from segel._backoff import Backoff
from segel._batch import Batch, Bulk, Single, Way
from segel._convert import NUMBER_OF
from segel._der import CertificateFacts
from segel._outbox import Limits, Outbox
from segel._target import Target
from segel.v1 import resources_pb2

WAY = Way("keys/a", 7, 1, is_message=False)


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "again"),
    [
        ("localhost:7443", "localhost", 7443, "", "localhost:7443"),
        ("10.0.0.1:1", "10.0.0.1", 1, "", "10.0.0.1:1"),
        ("[::1]:7443", "::1", 7443, "", "[::1]:7443"),
        ("unix:/run/s.sock", "", 0, "/run/s.sock", "unix:/run/s.sock"),
        ("unix:///run/s.sock", "", 0, "/run/s.sock", "unix:/run/s.sock"),
    ],
)
def test_targets(text, host, port, path, again):
    target = Target.parse(text)
    assert (target.host, target.port, target.path, str(target)) == (host, port, path, again)
    assert target.server_name == (host or "localhost")


@pytest.mark.parametrize(
    "text",
    ["", "localhost", ":7443", "localhost:", "localhost:0", "localhost:65536", "a:b:1", "a:x", "a:١", "unix:relative",
     "unix:/" + "x" * 107],
)  # fmt: skip
def test_targets_that_are_none(text):
    with pytest.raises(errors.SettingsInvalid) as caught:
        Target.parse(text)
    assert caught.value.reason == "TARGET_INVALID"


def test_algorithms_are_those_of_the_wire():
    wire = {
        name.removeprefix("SIGNATURE_ALGORITHM_") for name in dict(resources_pb2.SignatureAlgorithm.items())
    }
    assert {algorithm.value for algorithm in Algorithm} == wire - {"UNSPECIFIED"}
    assert len(set(NUMBER_OF.values())) == len(Algorithm)


@pytest.mark.parametrize(
    ("name", "algorithm", "hash_name", "size"),
    [
        ("ES256", Algorithm.ECDSA_P256_SHA256, "sha256", 32),
        ("es512", Algorithm.ECDSA_P521_SHA512, "sha512", 64),
        ("PS384", Algorithm.RSA_PSS_SHA384, "sha384", 48),
        ("EdDSA", Algorithm.ED25519, None, None),
        ("rsa-pkcs1-sha256", Algorithm.RSA_PKCS1_SHA256, "sha256", 32),
        ("SIGNATURE_ALGORITHM_ED25519", Algorithm.ED25519, None, None),
    ],
)
def test_names_of_algorithms(name, algorithm, hash_name, size):
    assert Algorithm.parse(name) is algorithm
    assert (algorithm.hash_name, algorithm.digest_size) == (hash_name, size)
    assert algorithm.is_ecdsa == ("ECDSA" in algorithm.value)


def test_certificates_are_read_as_a_library_reads_them(issuer):
    pem = issuer.issue("me", start=-3, end=400).cert.read_bytes()
    facts = CertificateFacts.first_of(pem)
    certificate = x509.load_pem_x509_certificate(pem)
    assert (facts.subject, facts.issuer) == ("me", "Test Root")
    assert facts.not_before == certificate.not_valid_before_utc
    assert facts.not_after == certificate.not_valid_after_utc


def test_dates_after_2049_are_written_otherwise(issuer):
    facts = CertificateFacts.first_of(issuer.issue("me", end=365 * 40).cert.read_bytes())
    assert facts.not_after.year > dt.datetime.now(dt.UTC).year + 38


def test_a_damaged_certificate_is_no_certificate(issuer):
    pem = issuer.issue("me").cert.read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    for cut in range(len(der)):
        body = base64.b64encode(der[:cut])
        damaged = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"
        assert CertificateFacts.first_of(damaged) is None
    assert CertificateFacts.first_of(b"") is None


def test_delays_grow_and_begin_anew():
    backoff = Backoff(first=0.1, longest=1.0)
    delays = [backoff.next() for _ in range(8)]
    assert 0.05 <= delays[0] <= 0.1
    assert all(0.5 <= delay <= 1.0 for delay in delays[4:])
    backoff.reset()
    assert backoff.next(at_least=5.0) <= 5.1


async def test_an_outbox_takes_turns_between_ways_and_skips_what_is_given_up():
    outbox = Outbox()
    loop = asyncio.get_running_loop()
    other = WAY._replace(encoding=2)
    singles = [Single(bytes([number]) * 32, 5.0, loop.create_future()) for number in range(6)]
    for number, single in enumerate(singles):
        outbox.add_single(other if number == 5 else WAY, 6, single)
    singles[0].future.cancel()
    limits = Limits(in_flight=100, batch=3)
    first, second, third = (outbox.take(limits, 0) for _ in range(3))
    assert [item.digest[0] for item in first.message.batch.inputs] == [1, 2, 3]
    assert second.message.batch.ecdsa_encoding == 2
    assert [item.digest[0] for item in third.message.batch.inputs] == [4]
    assert outbox.take(limits, 0) is None
    assert not outbox


async def test_an_outbox_never_cuts_what_was_sent():
    outbox = Outbox()
    loop = asyncio.get_running_loop()
    bulk = Bulk(10, None, loop, 5.0, 5.0)
    batch = Batch.of(WAY, [bytes(32)] * 10, bulk, 5.0)
    outbox.add_again([batch])
    small = Limits(in_flight=4, batch=4)
    assert outbox.take(small, 1) is None
    assert outbox.take(small, 0) is batch
    outbox.add_bulk(batch)
    parts = [outbox.take(small, 0) for _ in range(5)]
    assert [len(part) for part in parts] == [2, 2, 2, 2, 2]
    assert [place for part in parts for place in part.places] == list(range(10))
    assert len({part.request_id for part in parts}) == 5
