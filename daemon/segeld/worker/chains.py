"""Certificate chains, as far as they lie on the token. Pure; nothing is validated here."""

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from segeld.worker import public_keys
from segeld.worker.objects import CertificateObject

MAX_CHAIN: Final = 8
"""Certificates; longer chains are cut. Loops end before."""


def chain_of(spki: bytes, cka_id: bytes, certificates: Sequence[CertificateObject]) -> tuple[bytes, ...]:
    """The key's own certificate and its issuers, DER; nothing if it has none.

    Of several certificates for one key the one with the key's CKA_ID goes first, then the youngest.
    """
    own = [found for found in certificates if public_keys.to_spki(found.key) == spki]
    if not own:
        return ()
    chain = [
        max(own, key=lambda one: (one.cka_id == cka_id, one.certificate.not_valid_before_utc)).certificate
    ]
    while len(chain) < MAX_CHAIN and (issuer := _issuer(chain[-1], certificates)) not in (None, *chain):
        assert issuer is not None
        chain.append(issuer)
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says of itself that it issues certificates (RFC 5280 section 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _issuer(
    certificate: x509.Certificate, certificates: Sequence[CertificateObject]
) -> x509.Certificate | None:
    """By name, and by signature where two authorities have one name (a renewed key)."""
    named = [found.certificate for found in certificates if found.certificate.subject == certificate.issuer]
    return next((issuer for issuer in named if _issued(certificate, issuer)), None)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not the issuer
        return False
    return True
