"""The policy in force as it is kept: the record `policy`."""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from segeld.model.principal import Role
from segeld.policy import Policy

RECORD: Final = "policy"


class Kept(msgspec.Struct, frozen=True):
    """A text and how it came into force."""

    toml: str
    at: float
    """Since when, seconds since the epoch."""
    requested_by: str = ""
    """Empty: it was taken from the file at the first start."""
    approved_by: str = ""
    """Empty if nobody had to."""
    number: int = 1
    """Which policy in a row it is: the same text in force a second time is another one."""
    entered: Mapping[str, int] = {}
    """By each officer's SAN: the number of the policy that let them in, for the last time. 1 if it is not here."""
    left: frozenset[str] = frozenset()
    """Callers who are in the policy no more, and whose jobs are cancelled: the last that it said of them."""
    later: bytes = b""
    """The hash of one that was in force after it, before a backup was restored that does not have it; empty if there is
    none, or another was put in force since.
    """

    @property
    def hash(self) -> bytes:
        return policy_hash(self.toml)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Kept)


def encode(kept: Kept) -> bytes:
    return _ENCODER.encode(kept)


def decode(value: bytes) -> Kept:
    """:raises msgspec.DecodeError: for a record of another version."""
    return _DECODER.decode(value)


def entered(policy: Policy, kept: Kept, after: Policy, number: int) -> dict[str, int]:
    """The same for the policy that comes after this one: whoever stays keeps their number."""
    officers = {san: who for san, who in after.principals.items() if who.role is Role.OFFICER}
    return {
        san: kept.entered.get(san, 1) if policy.principals.get(san) == who else number
        for san, who in officers.items()
    }


def left(policy: Policy, kept: Kept, after: Policy) -> frozenset[str]:
    """The same for the policy that comes after this one: whoever is in it again has not left."""
    gone = {name for name in policy.grants.keys() - after.grants.keys() if policy.cancels(name)}
    return frozenset((gone | kept.left) - after.grants.keys())


def policy_hash(toml: str) -> bytes:
    """SHA-256 of a policy's text, 32 octets."""
    return hashlib.sha256(toml.encode(errors="surrogateescape")).digest()
