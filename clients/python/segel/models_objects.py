"""What officers see of a token beside its keys."""

from dataclasses import dataclass

from segel.models import Token

__all__ = ["PinChanged", "TokenObject"]


@dataclass(frozen=True, slots=True)
class PinChanged:
    """A PIN was changed."""

    token: Token
    advice: str
    """What the officer has to do now; empty if there is nothing."""


@dataclass(frozen=True, slots=True)
class TokenObject:
    """One object on a token."""

    object_class: str
    """For people: private key, public key, certificate, secret key, data, other."""
    label: str
    id: bytes
    """CKA_ID."""
    kind: str
    """For people, such as RSA-2048; empty if there is no word for it."""
    key: str
    """The key that it belongs to, ``keys/sha256-…``; empty if that is not known."""
    attributes: tuple[str, ...]
    """Names of attributes that are true, without CKA_."""
    warnings: tuple[str, ...]
    """What makes it weak, a sentence each."""
