"""Checkpoints of C2SP tlog-checkpoint: how many leaves a log has, and their root, in a signed note."""

from dataclasses import dataclass
from typing import Self

from segeld.audit.merkle import HASH
from segeld.audit.note import BadNote, Signer, Verifier, from_base64, to_base64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the text of a note, whoever signed it.

        :raises BadNote: if it is no checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise BadNote("it is no checkpoint: origin, size and root are expected on three lines")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or str(int(size[:20])) != size or not origin:
            raise BadNote("it is no checkpoint: its second line is no size")
        data = from_base64(root, "the root")
        if len(data) != HASH:
            raise BadNote(f"the root has {len(data)} octets; {HASH} are expected")
        return cls(origin, int(size), data)

    @classmethod
    def unverified(cls, note: bytes) -> Self:
        """What a note says, without looking at its signature.

        :raises BadNote: if it is no checkpoint.
        """
        text = note.partition(b"\n\n")[0] + b"\n"
        try:
            return cls.parse(text.decode())
        except UnicodeDecodeError:
            raise BadNote("it is no text") from None

    @classmethod
    def open(cls, note: bytes, verifier: Verifier) -> Self:
        """:raises BadNote: if the key did not sign it, or it is another log's."""
        found = cls.parse(verifier.open(note))
        if found.origin != verifier.name:
            raise BadNote(f"it is a checkpoint of {found.origin}, not of {verifier.name}")
        return found

    def sign(self, signer: Signer) -> bytes:
        return signer.sign(f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n")
