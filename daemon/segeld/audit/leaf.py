"""What the log records. A leaf's octets are written once and hashed as they are (RFC 6962 section 2.1).

A chunk has an intent before its first signature and one outcome after its last. Digests are never written plainly:
letters can be guessed, so what stands here is a commitment with the log's salt (see `Commitments`).
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

MAX_LEAF: Final = 65_535
"""Octets of one leaf: what an entry of a C2SP tile bundle can hold."""
MAX_FACT: Final = 500
"""Characters that are left of each text of an act that would be too long for a leaf."""
HASH: Final = 32


class PartRange(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Consecutive items of one job or one request."""

    work: bytes
    """A job's 16 octets, or the request_id of a request, or nothing for a request without one."""
    first: int
    count: int


class Leaf(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    at: int
    """Milliseconds since the epoch, by the daemon's clock."""


class Intent(Leaf, frozen=True, tag=1):
    """These items are about to be signed."""

    caller: str
    key: bytes
    """SHA-256 of the SubjectPublicKeyInfo."""
    algorithm: int
    """The number of `segel.v1.SignatureAlgorithm`."""
    token: str
    parts: tuple[PartRange, ...]
    items: bytes
    """`Commitments.of_list` over the inputs, in order."""


class Outcome(Leaf, frozen=True, tag=2):
    """What came of an intent. Positions count through its parts."""

    intent: int
    """The index of the intent's leaf."""
    commitments: bytes
    """`Commitments.of`, 32 octets for each input, in order."""
    signatures: bytes
    """SHA-256 of each signature, 32 octets each, in order, without the positions in `unsigned`."""
    unsigned: tuple[tuple[int, str], ...] = ()
    """Positions without a signature, ascending, with the Reason, or UNKNOWN or NOT_BEGUN."""


class Act(Leaf, frozen=True, tag=3):
    """Something that was done beside signing: by an officer, by a caller, or by the daemon itself."""

    what: str
    """One word or two, such as `token activated`, `pin refused`, `probe`, `job cancelled`, `daemon started`."""
    who: str
    """A principal's name; empty for the daemon."""
    subject: str
    """The resource's name; may be empty."""
    facts: dict[str, str] = {}


class Opened(Leaf, frozen=True, tag=4):
    """The first leaf of a log."""

    origin: str
    previous: str = ""
    """The last checkpoint of the log that this one continues, as a signed note; empty for the first."""


AnyLeaf = Intent | Outcome | Act | Opened

UNKNOWN: Final = "UNKNOWN"
"""The worker was lost: whether the token signed it is not known. It is tried again in a chunk of its own."""
NOT_BEGUN: Final = "NOT_BEGUN"
"""Surely not signed; it waits again."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[AnyLeaf]] = msgspec.msgpack.Decoder(AnyLeaf)


class BadLeaf(ValueError):
    """Octets that are no leaf."""


def encode(leaf: AnyLeaf) -> bytes:
    """An act is cut rather than lost.

    :raises BadLeaf: if it is longer than `MAX_LEAF`.
    """
    data = _ENCODER.encode(leaf)
    if len(data) > MAX_LEAF and isinstance(leaf, Act):
        data = _ENCODER.encode(_cut(leaf))
    if len(data) > MAX_LEAF:
        raise BadLeaf(f"a leaf of {len(data)} octets; {MAX_LEAF} is the limit")
    return data


def _cut(act: Act) -> Act:
    facts = {_short(name): _short(value) for name, value in act.facts.items()}
    return Act(act.at, _short(act.what), _short(act.who), _short(act.subject), facts)


def _short(text: str) -> str:
    return text if len(text) <= MAX_FACT else f"{text[:MAX_FACT]}…"


def decode(data: bytes) -> AnyLeaf:
    """:raises BadLeaf: if it is none of ours."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadLeaf(str(error)) from None


class Commitments:
    """SHA-256 over the log's salt and an input: who knows the salt can look for a digest, nobody else can guess one."""

    def __init__(self, salt: bytes) -> None:
        """:param salt: 32 random octets, made with the log and kept beside it."""
        if len(salt) != HASH:
            raise ValueError("a salt has 32 octets")
        self._salted: Final = hashlib.sha256(salt)

    def of(self, data: bytes) -> bytes:
        hasher = self._salted.copy()
        hasher.update(data)
        return hasher.digest()

    def of_list(self, commitments: Iterable[bytes]) -> bytes:
        """One value for a list of `of`."""
        hasher = self._salted.copy()
        hasher.update(b"".join(commitments))
        return hasher.digest()
