"""What counts as an authority's word on a certificate, and what does not."""

import contextlib
import datetime as dt

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from status_authority import DAY, NOW, StatusAuthority

from segeld.office.signed_status import NoAnswer, ocsp_request, of_crl, of_ocsp

CA = StatusAuthority()
STRANGER = StatusAuthority()  # of the same name, with another key
LEAF = CA.seal()
OTHER = CA.seal()


def heard(data: bytes) -> str:
    return of_ocsp(data, LEAF, CA.certificate, NOW)


def listed(data: bytes) -> str:
    return of_crl(data, LEAF, CA.certificate, NOW)


@pytest.mark.parametrize("signer", [None, CA.responder()], ids=["issuer", "delegate"])
def test_ocsp_answers_that_count(signer):
    assert heard(CA.ocsp(LEAF, signer=signer)) == "good"
    assert heard(CA.ocsp(LEAF, "REVOKED", signer=signer)) == "revoked"
    assert heard(CA.ocsp(LEAF, until=None)) == "good"


UNSUCCESSFUL = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (CA.ocsp(LEAF, "REVOKED", since=NOW - 2 * DAY, until=dt.timedelta(0)), "counted until"),
        (CA.ocsp(LEAF, since=NOW - 2 * DAY, until=None), "counted until"),
        (CA.ocsp(LEAF, since=NOW + DAY, until=2 * DAY), "time to come"),
        (CA.ocsp(LEAF, "UNKNOWN"), "does not know"),
        (CA.ocsp(OTHER), "another certificate"),
        (CA.ocsp(LEAF, about=STRANGER.certificate), "another certificate"),
        (STRANGER.ocsp(LEAF, "REVOKED", about=CA.certificate), "signed neither"),
        (CA.ocsp(LEAF, "REVOKED", signer=STRANGER.responder()), "signed neither"),
        (CA.ocsp(LEAF, signer=CA.responder(ExtendedKeyUsageOID.CLIENT_AUTH)), "signed neither"),
        (UNSUCCESSFUL.public_bytes(Encoding.DER), "refuses: TRY_LATER"),
        (b"", "cannot be read"),
        (b"<html>", "cannot be read"),
    ],
)
def test_ocsp_answers_that_say_nothing(data, why):
    with pytest.raises(NoAnswer, match=why):
        heard(data)


GOOD = CA.ocsp(LEAF)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_an_answer_that_was_changed_never_says_revoked(place, change):
    data = bytearray(GOOD)
    data[place] ^= change
    with contextlib.suppress(NoAnswer):
        assert heard(bytes(data)) == "good"  # outside of what is signed


def test_a_request_names_the_certificate():
    asked = ocsp.load_der_ocsp_request(ocsp_request(LEAF, CA.certificate))
    assert asked.serial_number == LEAF.serial_number


def test_lists_that_count():
    assert listed(CA.crl(OTHER)) == "good"
    assert listed(CA.crl(OTHER, LEAF)) == "revoked"
    assert listed(x509.load_der_x509_crl(CA.crl(LEAF)).public_bytes(Encoding.PEM)) == "revoked"


def part(**what) -> x509.IssuingDistributionPoint:
    said = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**said, **what})


def test_a_list_of_all_seals_is_whole():
    assert listed(CA.crl(extension=part(only_contains_user_certs=True))) == "good"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (CA.crl(LEAF, since=NOW - 2 * DAY, until=-DAY), "counted until"),
        (CA.crl(LEAF, since=NOW + DAY / 2), "time to come"),
        (CA.crl(LEAF, key=STRANGER.key), "not signed by the issuer"),
        (StatusAuthority("Other").crl(LEAF), "another issuer"),
        (CA.crl(extension=part(only_contains_ca_certs=True)), "other certificates"),
        (CA.crl(extension=part(indirect_crl=True)), "other certificates"),
        (
            CA.crl(extension=part(full_name=[x509.UniformResourceIdentifier("http://ca.test/other.crl")])),
            "other certificates",
        ),
        (CA.crl(extension=x509.DeltaCRLIndicator(1)), "not known"),
        (b"", "cannot be read"),
        (b"-----BEGIN X509 CRL-----\n", "cannot be read"),
    ],
)
def test_lists_that_say_nothing(data, why):
    with pytest.raises(NoAnswer, match=why):
        listed(data)


def test_an_issuer_that_may_not_sign_lists():
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    issuer = CA.issue("Issuing", CA.key.public_key(), usage)
    with pytest.raises(NoAnswer, match="not for signing lists"):
        of_crl(CA.crl(LEAF), LEAF, issuer, NOW)


def list_by(key, digest, **how) -> tuple[x509.Certificate, bytes]:
    """An issuer of that key, and its list with LEAF on it."""
    issuer = CA.issue(CA.called, key.public_key(), x509.BasicConstraints(True, None))
    entry = x509.RevokedCertificateBuilder().serial_number(LEAF.serial_number).revocation_date(NOW - DAY)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(NOW - DAY)
    builder = builder.next_update(NOW + DAY).add_revoked_certificate(entry.build())
    return issuer, builder.sign(key, digest, **how).public_bytes(Encoding.DER)


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("issuer", "data"),
    [
        list_by(RSA, hashes.SHA256()),
        list_by(RSA, hashes.SHA384(), rsa_padding=padding.PSS(padding.MGF1(hashes.SHA384()), 48)),
        list_by(ec.generate_private_key(ec.SECP384R1()), hashes.SHA512()),
        list_by(ed25519.Ed25519PrivateKey.generate(), None),
    ],
    ids=["RSA", "RSA-PSS", "P-384", "Ed25519"],
)
def test_lists_by_issuers_of_every_kind(issuer, data):
    assert of_crl(data, LEAF, issuer, NOW) == "revoked"
    place = data.index(LEAF.serial_number.to_bytes(20).lstrip(b"\0"))
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    with pytest.raises(NoAnswer, match="not signed by the issuer"):
        of_crl(changed, LEAF, issuer, NOW)


LISTED = CA.crl(LEAF)


@given(st.integers(0, len(LISTED) - 1), st.integers(1, 255))
def test_a_list_that_was_changed_never_says_good(place, change):
    data = bytearray(LISTED)
    data[place] ^= change
    with contextlib.suppress(NoAnswer):
        assert listed(bytes(data)) == "revoked"  # outside of what is signed


def test_a_number_that_stands_in_a_list_for_something_else_is_not_on_it():
    """That is looked for among the octets first."""
    extension = x509.CRLNumber(LEAF.serial_number)
    assert listed(numbered(extension, OTHER)) == "good"
    assert listed(numbered(extension, OTHER, LEAF)) == "revoked"


def numbered(extension: x509.CRLNumber, *revoked: x509.Certificate) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(CA.certificate.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY).add_extension(extension, critical=False)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    data = builder.sign(CA.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert core.Integer(LEAF.serial_number).dump() in data
    return data
