"""The policy in force as it is kept: the record `policy`."""

import hashlib
from typing import Final

import msgspec

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


def policy_hash(toml: str) -> bytes:
    """SHA-256 of a policy's text, 32 octets."""
    return hashlib.sha256(toml.encode(errors="surrogateescape")).digest()
