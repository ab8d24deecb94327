"""From the peer's certificate to a principal. Only SANs count: no CN, no pattern, no issuer."""

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from segeld.model.chains import OddCertificate, readable
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal
from segeld.policy import Policy

_SHOWN: Final = 5
"""SANs named in a refusal; a certificate may hold hundreds."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What counts of a client's certificate."""

    sans: tuple[str, ...]
    """In order, each with its kind before it."""
    not_after: dt.datetime
    fingerprint: bytes
    """SHA-256 of the DER."""


def certificate_of(auth_context: Mapping[str, Iterable[bytes]]) -> Certificate:
    """What the peer of a mutual TLS connection showed.

    :raises Fault: CALLER_UNKNOWN.
    """
    pem = next(iter(auth_context.get("x509_pem_cert", ())), None)
    if pem is None:
        raise Fault(Reason.CALLER_UNKNOWN, "No client certificate was shown.")
    return _read(pem)


def principal_of(certificate: Certificate, policy: Policy) -> Principal:
    """Who showed it.

    :raises Fault: CALLER_UNKNOWN, with the names that were seen.
    """
    # A connection outlives the handshake by up to its maximal age, so the date is looked at on every call.
    if dt.datetime.now(dt.UTC) > certificate.not_after:
        until = f"{certificate.not_after:%Y-%m-%d}"
        raise Fault(Reason.CALLER_UNKNOWN, f"Your certificate expired on {until}; renew it.")
    who = policy.principal(certificate.sans)
    if who is None:
        sans = certificate.sans
        raise Fault(Reason.CALLER_UNKNOWN, _unknown(sans), sans=", ".join(sans[:_SHOWN]))
    return who


@functools.lru_cache(maxsize=1024)
def _read(pem: bytes) -> Certificate:
    """Reading PEM takes 30 times as long as finding it here."""
    try:
        certificate = readable(lambda: x509.load_pem_x509_certificate(pem))
        names: Iterable[x509.GeneralName] = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        names = ()
    except OddCertificate as error:
        raise Fault(Reason.CALLER_UNKNOWN, f"Your certificate cannot be read: {error}.") from error
    sans = tuple(text for name in names if (text := _text(name)) is not None)
    return Certificate(sans, certificate.not_valid_after_utc, certificate.fingerprint(hashes.SHA256()))


def _text(name: x509.GeneralName) -> str | None:
    match name:
        case x509.UniformResourceIdentifier(value=value):
            return f"uri:{value}"
        case x509.DNSName(value=value):
            return f"dns:{value}"
        case x509.RFC822Name(value=value):
            return f"email:{value}"
        case _:
            return None


def _unknown(sans: tuple[str, ...]) -> str:
    if not sans:
        return "Your certificate has no subject alternative name of kind uri, dns or email; the CN does not count."
    seen = ", ".join(repr(san) for san in sans[:_SHOWN])
    more = f" and {len(sans) - _SHOWN} more" if len(sans) > _SHOWN else ""
    return f"Your certificate names {seen}{more}: nobody in the policy, or more than one."
