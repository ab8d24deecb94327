"""Certificate chains, as far as the certificates at hand reach. Pure; nothing is validated here."""

from collections.abc import Iterable, Sequence
from typing import Final

from cryptography import x509

MAX_CHAIN: Final = 8
"""Certificates; longer chains are cut. Loops end before."""


def extended(
    chain: Sequence[x509.Certificate], others: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The chain, and the issuers of its last certificate that are among `others`."""
    grown, others = list(chain), tuple(others)
    while grown and len(grown) < MAX_CHAIN and (issuer := _issuer(grown[-1], others)) not in (None, *grown):
        assert issuer is not None
        grown.append(issuer)
    return tuple(grown)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says of itself that it issues certificates (RFC 5280 section 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _issuer(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """By name, and by signature where two authorities have one name (a renewed key)."""
    named = (other for other in others if other.subject == certificate.issuer)
    return next((issuer for issuer in named if _issued(certificate, issuer)), None)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it is not the issuer
        return False
    return True
