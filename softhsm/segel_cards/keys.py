"""The card's keys: made once, each with a certificate of its own that says where it lies; what they do with a digest."""

import datetime as dt
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

ALGORITHMS: Final = {"rsa2048": 0x07, "rsa3072": 0x05, "p256": 0x11, "p384": 0x14}
"""Kinds of keys, and their numbers on the card (NIST SP 800-78-5, table 9)."""

_CURVES: Final = {"p256": ec.SECP256R1, "p384": ec.SECP384R1}
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    20: hashes.SHA1(),  # noqa: S303 - cards take it
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
}
_MADE: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def generate(kind: str) -> bytes:
    """A private key, PKCS #8 in DER."""
    key: PrivateKey
    if kind in _CURVES:
        key = ec.generate_private_key(_CURVES[kind]())
    else:
        key = rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load(der: bytes) -> PrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, PrivateKey)
    return key


def certify(key: PrivateKey, name: str, serial: int) -> bytes:
    """A certificate that signs itself, in DER."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(_MADE)
        .not_valid_after(_MADE.replace(year=2046))
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def sign(key: PrivateKey, data: bytes) -> bytes | None:
    """What the card makes of padded octets (RSA) or of a digest (ECDSA, DER); None if they have the wrong length."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _power(key, data)
    algorithm = _HASHES.get(len(data))
    return None if algorithm is None else key.sign(data, ec.ECDSA(Prehashed(algorithm)))


def _power(key: rsa.RSAPrivateKey, data: bytes) -> bytes | None:
    """The bare RSA operation, by the Chinese remainder theorem (RFC 8017, section 5.2.1)."""
    size = key.key_size // 8
    if len(data) != size:
        return None
    numbers, message = key.private_numbers(), int.from_bytes(data, "big")
    first, second = pow(message, numbers.dmp1, numbers.p), pow(message, numbers.dmq1, numbers.q)
    return (second + numbers.q * (numbers.iqmp * (first - second) % numbers.p)).to_bytes(size, "big")
