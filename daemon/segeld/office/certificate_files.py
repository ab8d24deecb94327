"""Certificates out of whatever a certification authority sends: PEM, DER, or PKCS #7 in either form. Pure."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from asn1crypto import parser, pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from segeld.model.chains import OddCertificate, readable

MAX_FILE: Final = 262_144
"""Octets."""
MAX_CERTIFICATES: Final = 32

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_AGAIN: Final = "Ask the authority for the certificate with its issuers"
_CERTIFICATES: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_TRUSTED: Final = b"TRUSTED CERTIFICATE"
"""OpenSSL's own: the certificate, and behind it what it is trusted for."""
_PKCS7: Final = frozenset({b"PKCS7", b"CMS", b"PKCS #7 SIGNED DATA"})
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
"""The type at the head of a PKCS #7 (RFC 5652 section 5.1), behind its length."""
_HEAD: Final = 24
_SEQUENCE: Final = b"\x30"
"""What DER of a certificate begins with; of what begins otherwise, nobody needs to hear where its DER ends."""


class CertificateFileError(ValueError):
    """No certificate can be had from it. The text says why."""


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """Each once, in the order of the file.

    :raises CertificateFileError: if it is none of the forms, or too much.
    :raises OddCertificate: if one of them cannot be read.
    """
    if len(data) > MAX_FILE:
        raise CertificateFileError(
            f"it has {len(data)} octets; {MAX_FILE} is the limit. Send the certificate and its issuers alone"
        )
    if b"PRIVATE KEY-----" in data:  # whatever else it holds, and whether or not the key is whole
        raise CertificateFileError(
            "it holds a private key, which must not leave its place; send certificates alone"
        )
    found: list[x509.Certificate] = []
    for certificate in _of_pem(data) if b"-----BEGIN " in data else _of_der(data):
        if certificate not in found:
            found.append(certificate)
    if len(found) > MAX_CERTIFICATES:
        raise CertificateFileError(
            f"it holds {len(found)} certificates; {MAX_CERTIFICATES} is the limit. Send those of one chain alone"
        )
    return found


def _of_pem(data: bytes) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    others: list[str] = []
    for number, block in enumerate(_BLOCK.finditer(data), start=1):
        label = block[1]
        if label in _CERTIFICATES:
            text = block[0].replace(label, b"CERTIFICATE")
            found.append(_one(partial(x509.load_pem_x509_certificate, text), f"block {number}"))
        elif label == _TRUSTED:
            found.append(_one(partial(_trusted, block[0]), f"block {number}"))
        elif label in _PKCS7:
            found += _bag(partial(pkcs7.load_pem_pkcs7_certificates, block[0].replace(label, b"PKCS7")))
        else:
            others.append(label.decode())
    if not found:
        what = f"it holds {', '.join(others)}" if others else "its PEM has no end: it was cut short"
        raise CertificateFileError(
            f"{what}, and no certificate. Send what the authority answered, as it came"
        )
    return found


def _of_der(data: bytes) -> list[x509.Certificate]:
    try:
        return [readable(lambda: x509.load_der_x509_certificate(data))]
    except OddCertificate as odd:
        try:
            return _bag(lambda: pkcs7.load_der_pkcs7_certificates(data))
        except CertificateFileError:
            if _SIGNED_DATA in data[:_HEAD]:
                raise
            why = f" ({odd})" if data.startswith(_SEQUENCE) else ""
            raise CertificateFileError(
                f"it is no certificate in PEM, DER or PKCS #7{why}. Ask the authority for one of these"
            ) from None


def _bag(load: Callable[[], list[x509.Certificate]]) -> list[x509.Certificate]:
    try:
        found = load()
    except Exception as error:  # noqa: BLE001 # there is no class for all that may be wrong with it
        raise CertificateFileError(f"its PKCS #7 cannot be read ({error}). {_AGAIN}") from None
    if not found:
        raise CertificateFileError(f"its PKCS #7 holds no certificate. {_AGAIN}")
    return [_one(partial(_same, each), "a certificate of its PKCS #7") for each in found]


def _same(certificate: x509.Certificate) -> x509.Certificate:
    return certificate


def _trusted(block: bytes) -> x509.Certificate:
    _, _, der = pem.unarmor(block)
    return x509.load_der_x509_certificate(der[: parser.peek(der)])


def _one(load: Callable[[], x509.Certificate], where: str) -> x509.Certificate:
    try:
        return readable(load)
    except OddCertificate as odd:
        raise OddCertificate(f"{where} cannot be read: {odd}") from None
