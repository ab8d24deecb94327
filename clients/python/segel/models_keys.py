"""What officers are told of keys and certificates, as plain frozen values."""

import datetime as dt
from dataclasses import dataclass

from segel.models import Key

__all__ = ["Csr", "Imported", "ManagedKey", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A private key on one token."""

    token: str
    """``tokens/…``."""
    label: str
    id: bytes
    """CKA_ID."""


@dataclass(frozen=True, slots=True)
class ManagedKey:
    """A key as officers see it."""

    key: Key
    """With all its aliases and all that it can do."""
    places: tuple[Place, ...]
    disable_time: dt.datetime | None
    """None if it is enabled."""
    disabled_by: str
    csr_time: dt.datetime | None
    """When the newest request for a certificate was made; None if none is waited for."""
    not_before: dt.datetime | None
    """None without a certificate."""
    not_after: dt.datetime | None
    subject: str
    """RFC 4514."""
    issuer: str
    """RFC 4514."""
    revocation: str
    """``good``, ``revoked`` or ``unknown``; empty if it was never asked."""
    warnings: tuple[str, ...]
    callers: tuple[str, ...]
    """Callers that may use it."""
    disable_reason: str = ""
    """As whoever disabled it said; empty if it is enabled."""
    chain_gap: str = ""
    """Which certificate is missing in its chain: a sentence, which is among the warnings too. Empty if none is."""
    kind: str = ""
    """For people, such as RSA-2048; empty if segel does not sign with such keys."""


@dataclass(frozen=True, slots=True)
class Csr:
    """A request for a certificate."""

    pem: str
    subject: str
    """RFC 4514."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a certificate."""

    key: ManagedKey
    stored: tuple[str, ...]
    """``tokens/…``, or ``state folder``; empty if nothing was to be stored."""
    warnings: tuple[str, ...]
