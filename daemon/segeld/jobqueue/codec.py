"""Items, outcomes and claims as octets of the database, each with a checksum over itself and the row it belongs to.

Pure. A flipped bit, or a row that stands in another's place, is `Damaged` when it is read, never a wrong answer.
"""

import zlib
from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from segeld.model.faults import Reason
from segeld.model.job import NO_RECEIPT, Ended, Failure, Items, Receipt, Signature

T = TypeVar("T")

_CHECKSUM: Final = 4


class Damaged(Exception):
    """What the database holds is not what was written."""


class _Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Fields by position: short, and quick to read."""


_LEAF_BITS: Final = 48
_LEAF_MASK: Final = (1 << _LEAF_BITS) - 1


class Run(_Row, frozen=True):
    """Signatures of consecutive items that one claim brought."""

    offset: int
    """Of the first, in its block or request."""
    leaf: int
    """The index of the leaf, and above it the number of the log: see `in_log`."""
    position: int
    """Of the first, in the leaf."""
    signatures: tuple[bytes, ...]


class Fail(_Row, frozen=True):
    offset: int
    reason: Reason
    text: str


class Outcomes(_Row, frozen=True):
    """What came of some items of a block, or of a request."""

    signed: tuple[Run, ...] = ()
    failed: tuple[Fail, ...] = ()

    @property
    def count(self) -> int:
        return sum(len(run.signatures) for run in self.signed) + len(self.failed)


class ClaimedPart(_Row, frozen=True):
    job: int
    """Its id; 0 for a request."""
    answer: int
    """The row of the request; 0 for a job, and for a request without an id."""
    first: int
    count: int


class ClaimedChunk(_Row, frozen=True):
    """What must be known of a claim to write its outcome's leaf, even after a restart."""

    key: bytes
    parts: tuple[ClaimedPart, ...]
    commitments: bytes


class _Items(_Row, frozen=True):
    inputs: tuple[bytes, ...]
    ids: tuple[str, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_ITEMS: Final[msgspec.msgpack.Decoder[_Items]] = msgspec.msgpack.Decoder(_Items)
_OUTCOMES: Final[msgspec.msgpack.Decoder[Outcomes]] = msgspec.msgpack.Decoder(Outcomes)
_CLAIM: Final[msgspec.msgpack.Decoder[ClaimedChunk]] = msgspec.msgpack.Decoder(ClaimedChunk)


def checksum(owner: int, data: bytes | memoryview) -> int:
    return zlib.crc32(data, zlib.crc32(owner.to_bytes(8, "big")))


def seal(owner: int, data: bytes) -> bytes:
    """:param owner: the id of the row whose it is; a blob is valid there only."""
    return checksum(owner, data).to_bytes(_CHECKSUM, "big") + data


def unseal(owner: int, blob: bytes) -> memoryview:
    """:raises Damaged: if it is not what `seal` made for that row."""
    data = memoryview(blob)[_CHECKSUM:]
    if blob[:_CHECKSUM] != checksum(owner, data).to_bytes(_CHECKSUM, "big"):
        raise Damaged("a checksum is wrong")
    return data


def checksum_of(owner: int, values: tuple[object, ...]) -> int:
    """Of the columns of a row."""
    return checksum(owner, _ENCODER.encode(values))


def encode_items(owner: int, items: Items) -> bytes:
    return seal(owner, _ENCODER.encode((items.inputs, items.ids)))


def decode_items(owner: int, blob: bytes) -> Items:
    """:raises Damaged:"""
    found = _decoded(_ITEMS, owner, blob)
    return Items(found.inputs, found.ids)


def encode_outcomes(owner: int, outcomes: Outcomes) -> bytes:
    return seal(owner, _ENCODER.encode(outcomes))


def decode_outcomes(owner: int, blob: bytes) -> Outcomes:
    """:raises Damaged:"""
    return _decoded(_OUTCOMES, owner, blob)


def encode_claim(owner: int, claim: ClaimedChunk) -> bytes:
    return seal(owner, _ENCODER.encode(claim))


def decode_claim(owner: int, blob: bytes) -> ClaimedChunk:
    """:raises Damaged:"""
    return _decoded(_CLAIM, owner, blob)


def merged(pieces: Iterable[Outcomes]) -> Outcomes:
    """One for all, in the order of the items."""
    runs: list[Run] = []
    fails: list[Fail] = []
    for piece in pieces:
        runs += piece.signed
        fails += piece.failed
    return Outcomes(
        tuple(sorted(runs, key=lambda run: run.offset)), tuple(sorted(fails, key=lambda fail: fail.offset))
    )


def in_log(log: int, leaf: int) -> int:
    """A leaf, and which log it is in: a restored database begins another log, and numbers its leaves anew."""
    return log << _LEAF_BITS | leaf


def ended(outcomes: Outcomes, log: int) -> dict[int, Ended]:
    """As the layers above see them, by offset.

    :param log: the number of the present log. Receipts of an earlier one are not given out.
    """
    found: dict[int, Ended] = {}
    for run in outcomes.signed:
        for step, value in enumerate(run.signatures):
            here = run.leaf >> _LEAF_BITS == log
            receipt = Receipt(run.leaf & _LEAF_MASK, run.position + step) if here else NO_RECEIPT
            found[run.offset + step] = Signature(value, receipt)
    for fail in outcomes.failed:
        found[fail.offset] = Failure(fail.reason, fail.text)
    return found


def offsets(outcomes: Outcomes) -> set[int]:
    """Which items have an outcome."""
    found = {fail.offset for fail in outcomes.failed}
    for run in outcomes.signed:
        found.update(range(run.offset, run.offset + len(run.signatures)))
    return found


def _decoded(decoder: "msgspec.msgpack.Decoder[T]", owner: int, blob: bytes) -> T:
    try:
        return decoder.decode(unseal(owner, blob))
    except msgspec.DecodeError as error:
        raise Damaged(str(error)) from None
