"""Requests of every kind of key, as openssl sees them."""

import datetime as dt
import subprocess
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID
from status_authority import StatusAuthority

from segeld.model.algorithm import KeyKind
from segeld.office.csr import Draft, draft, draft_like
from segeld.office.subject import BadSubject

SUBJECT = "/C=ID/O=Dinas Komunikasi \\/ Informatika/OU=Seal+CN=Segel 2027"
RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    KeyKind.RSA_2048: RSA,
    KeyKind.P_256: ec.generate_private_key(ec.SECP256R1()),
    KeyKind.P_384: ec.generate_private_key(ec.SECP384R1()),
    KeyKind.P_521: ec.generate_private_key(ec.SECP521R1()),
    KeyKind.ED25519: ed25519.Ed25519PrivateKey.generate(),
}


def public(key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def as_a_token(key, request: Draft) -> bytes:
    """The request, signed as a token does: over a digest, but for Ed25519."""
    match key:
        case rsa.RSAPrivateKey():
            return request.signed(key.sign(request.input, padding.PKCS1v15(), _made(request)))
        case ec.EllipticCurvePrivateKey():
            return request.signed(key.sign(request.input, ec.ECDSA(_made(request))))
        case _:
            return request.signed(key.sign(request.input))


def _made(request: Draft) -> Prehashed:
    return Prehashed({32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}[len(request.input)])


def openssl(request: bytes, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["openssl", "req", "-verify", "-noout", *options],
        input=request.decode(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("kind", KEYS)
def test_openssl_accepts_a_request_of_every_kind_of_key(kind):
    key = KEYS[kind]
    request = as_a_token(key, draft(public(key), kind, SUBJECT))
    checked = openssl(request)
    assert (checked.returncode, "verify OK" in checked.stderr) == (0, True), checked.stderr
    read = x509.load_pem_x509_csr(request)
    assert read.public_key() == key.public_key()
    assert read.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == (
        "Dinas Komunikasi / Informatika"
    )


def test_a_request_that_was_changed_is_not_accepted():
    """So that the others are known to be able to fail."""
    key = KEYS[KeyKind.P_256]
    request = draft(public(key), KeyKind.P_256, SUBJECT)
    other = draft(public(key), KeyKind.P_256, "/CN=another")
    signature = key.sign(request.input, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert "verify OK" in openssl(request.signed(signature)).stderr
    assert "verify OK" not in openssl(other.signed(signature)).stderr


@pytest.mark.parametrize("name", ["Dinas Pariwisata Bulèlèng", "ᬩᬮᬶ", "省印", "O'Neil & Søn: (1) „x“ §"])
def test_names_in_every_script_are_utf8(name):
    key = KEYS[KeyKind.P_256]
    request = as_a_token(key, draft(public(key), KeyKind.P_256, f"/C=ID/O={name}/CN={name}"))
    shown = openssl(request, "-subject", "-nameopt", "multiline,utf8,-esc_msb,show_type")
    assert "verify OK" in shown.stderr
    assert f"organizationName          = UTF8STRING:{name}" in shown.stdout
    assert "countryName               = PRINTABLESTRING:ID" in shown.stdout


NAMES = x509.SubjectAlternativeName(
    [
        x509.RFC822Name("seal@dinas.example"),
        x509.UniformResourceIdentifier("https://dinas.example/seal"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sègel")])),
    ]
)


def old(*extensions: tuple[x509.ExtensionType, bool], subject: x509.Name | None = None) -> x509.Certificate:
    """A certificate of another key, whose subject is in string types and an order of its own."""
    asn1 = x509.name._ASN1Type  # an authority's choice, which must be kept
    usual = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "ID")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "Segel", asn1.T61String),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Seal", asn1.PrintableString),
                ]
            ),
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4"), "what nobody knows")]
            ),
        ]
    )
    name = usual if subject is None else subject
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(RSA.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now - dt.timedelta(days=1))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(RSA, hashes.SHA256())


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("kind", KEYS)
def test_like_an_old_certificate(kind, critical):
    """Subject and names octet by octet; nothing else of it: the authority decides over the rest."""
    key = KEYS[kind]
    like = old((NAMES, critical), (x509.BasicConstraints(False, None), True))
    request = as_a_token(key, draft_like(public(key), kind, like.public_bytes(Encoding.PEM)))
    assert "verify OK" in openssl(request).stderr
    read = x509.load_pem_x509_csr(request)
    assert read.subject.public_bytes() == like.subject.public_bytes()
    (extension,) = read.extensions
    assert (extension.value, extension.critical) == (NAMES, critical)
    assert read.public_key() == key.public_key()


def like(certificate: bytes) -> x509.CertificateSigningRequest:
    key = KEYS[KeyKind.P_256]
    return x509.load_pem_x509_csr(as_a_token(key, draft_like(public(key), KeyKind.P_256, certificate)))


def test_without_names_none_are_asked_for():
    assert list(like(old().public_bytes(Encoding.DER)).extensions) == []


@pytest.mark.parametrize(
    "form",
    [
        lambda chain: b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        lambda chain: pkcs7.serialize_certificates(chain, Encoding.DER),
        lambda chain: pkcs7.serialize_certificates(chain, Encoding.PEM),
    ],
    ids=["PEM", "PKCS #7 DER", "PKCS #7 PEM"],
)
def test_of_a_chain_it_is_the_seals(form: Callable[[list[x509.Certificate]], bytes]):
    ca = StatusAuthority()
    seal = ca.seal(subject="Segel 2026")
    assert like(form([ca.certificate, seal])).subject == seal.subject


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (b"x", "no certificate in PEM, DER or PKCS #7"),
        (
            RSA.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            "private key",
        ),
        (old(subject=x509.Name([])).public_bytes(Encoding.PEM), "has none"),
    ],
    ids=["no certificate", "a private key", "no subject"],
)
def test_what_no_request_can_be_like(certificate, why):
    with pytest.raises(BadSubject, match=why):
        like(certificate)
