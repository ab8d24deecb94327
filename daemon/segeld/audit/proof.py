"""Proofs in the format of C2SP tlog-proof that a leaf is in a log: for those who have neither the log nor the daemon."""

from dataclasses import dataclass
from typing import Final, Self

from segeld.audit.checkpoint import Checkpoint
from segeld.audit.layout import WIDTH
from segeld.audit.merkle import inclusion_proof, leaf_hash, root_from_inclusion, root_of
from segeld.audit.note import BadNote, OtherKey, Verifier, WrongSignature, from_base64, to_base64
from segeld.audit.reader import Log
from segeld.audit.tiles import LogUnreadable

_HEAD: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF: Final = 256 * 1024


class BadProof(ValueError):
    """No proof, or one that proves nothing. The text says why."""


class NoProof(BadProof):
    """Nothing that could prove something with this key: another file, or a proof of another log."""


@dataclass(frozen=True, slots=True)
class Proof:
    index: int
    leaf: bytes
    """What is proven; travels as the format's extra data."""
    hashes: tuple[bytes, ...]
    note: bytes
    """The checkpoint, signed."""

    def text(self) -> bytes:
        lines = [
            _HEAD,
            f"extra {to_base64(self.leaf)}",
            f"index {self.index}",
            *map(to_base64, self.hashes),
            "",
            "",
        ]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """:raises NoProof: if it is no proof with its leaf."""
        head, _, note = data[:MAX_PROOF].partition(b"\n\n")
        kind, extra, index, *hashes = [*head.decode("ascii", "replace").split("\n"), "", ""]
        number = index.removeprefix("index ")
        if (
            kind != _HEAD
            or not extra.startswith("extra ")
            or not index.startswith("index ")
            or not (number.isascii() and number.isdigit())
            or str(int(number[:20])) != number
        ):
            raise NoProof(f"it is no proof ({_HEAD}) that holds its leaf, or it was cut")
        try:
            leaf = from_base64(extra.removeprefix("extra "), "the leaf")
            path = tuple(from_base64(one, "a hash of the proof") for one in hashes[:-2])
        except BadNote as error:
            raise NoProof(f"it is no proof, or was changed or cut: {error}") from None
        return cls(int(number), leaf, path, note)

    def check(self, verifier: Verifier) -> Checkpoint:
        """The checkpoint of the log of this key which the leaf is in.

        :raises NoProof: if it is of another log, or has no signed checkpoint.
        :raises BadProof: if this is not proven.
        """
        try:
            checkpoint = Checkpoint.open(self.note, verifier)
        except WrongSignature as error:
            raise BadProof(f"its checkpoint: {error}") from None
        except OtherKey as error:
            raise NoProof(f"it is a proof of another log: {error}") from None
        except BadNote as error:
            raise NoProof(f"its checkpoint: {error}") from None
        self.check_against(checkpoint)
        return checkpoint

    def check_against(self, checkpoint: Checkpoint) -> None:
        """:raises BadProof: if the leaf is not in that tree."""
        root = root_from_inclusion(leaf_hash(self.leaf), self.index, checkpoint.size, self.hashes)
        if root != checkpoint.root:
            raise BadProof(f"leaf {self.index} is not in the tree that the checkpoint was signed for")


def prove(log: Log, index: int) -> Proof:
    """:raises LogUnreadable: if there is no such leaf.
    :raises BadFile: if a file that is needed cannot be read.
    :raises BadProof: if the log's files do not prove it: some were changed.
    """
    if not 0 <= index < log.checkpoint.size:
        raise LogUnreadable(f"there is no leaf {index}: the log has {log.checkpoint.size}")
    hashes = inclusion_proof(index, log.checkpoint.size, log.tiles.node)
    proof = Proof(index, log.tiles.leaf(index), hashes, log.note)
    proof.check_against(log.checkpoint)
    return proof


def prove_bundle(log: Log, number: int, leaves: list[bytes]) -> None:
    """Proves all leaves of one bundle at once.

    :raises BadFile: if a file that is needed cannot be read.
    :raises BadProof: if they are not in the tree that the checkpoint was signed for.
    """
    hashes = tuple(map(leaf_hash, leaves))
    if log.tiles.hashes(0, number)[: len(hashes)] != hashes:
        raise BadProof(f"the leaves of bundle {number} are not those of the tree")
    prove(log, number * WIDTH)
    prove(log, number * WIDTH + len(leaves) - 1)
    if len(leaves) == WIDTH and log.checkpoint.size > WIDTH:
        upper = log.tiles.hashes(1, number // WIDTH)[number % WIDTH]
        if root_of(hashes) != upper:
            raise BadProof(f"the hashes of bundle {number} are not those of the tree")
