"""Certificates that can be read, and their chains, as far as those at hand reach. Pure; nothing is validated here.

`cryptography` reads a certificate piece by piece, and complains about a piece when that is asked for. So a certificate
is read to the end once, by `readable`; the rest of segel is handed none that has not been.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

from cryptography import x509

MAX_CHAIN: Final = 8
"""Certificates; longer chains are cut. Loops end before."""

_MAX_REASON: Final = 200
_PIECES: Final[Sequence[Callable[[x509.Certificate], object]]] = (
    *map(attrgetter, ("subject", "issuer", "not_valid_before_utc", "not_valid_after_utc", "extensions")),
    x509.Certificate.public_key,
)


class OddCertificate(ValueError):
    """A certificate that cannot be read. The text says why."""


def readable(load: Callable[[], x509.Certificate]) -> x509.Certificate:
    """The certificate that `load` gives, after everything that segel will ask it for was asked for.

    :raises OddCertificate: if it is none, or one with an odd piece.
    """
    try:
        certificate = load()
        for piece in _PIECES:
            piece(certificate)
    except Exception as error:  # noqa: BLE001  # there is no class for all that may be wrong with a certificate
        raise OddCertificate(_reason(error)) from None
    return certificate


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
    except x509.ExtensionNotFound:
        return False


def _reason(error: Exception) -> str:
    """One line. What `cryptography` says of a piece is about its form, not its content."""
    text = " ".join(str(error).split()) or "it cannot be read"
    return f"{type(error).__name__}: {text}"[:_MAX_REASON]


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
