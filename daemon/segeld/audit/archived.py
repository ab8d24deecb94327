"""The mark beside a log that says which of its bundles were archived.

It is signed with the log's key: who can remove leaves, and has not that key, cannot say that they were archived.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from segeld.audit import layout
from segeld.audit.layout import WIDTH
from segeld.audit.merkle import HASH, Nodes, root_at
from segeld.audit.note import MAX_NOTE, BadNote, Signer, Verifier, from_base64, to_base64

_HEAD: Final = "segel archived bundles"
"""Where a checkpoint has its origin: neither can be taken for the other."""


@dataclass(frozen=True, slots=True)
class Mark:
    origin: str
    bundles: int
    """So many, from the first on, are whole in an archive. Some may still be beside the tree as well."""
    before: int
    """Milliseconds since the epoch: no leaf in them is of this time or later, by the daemon's clock."""
    root: bytes
    """Over their leaves."""
    by: str = ""
    """Who archived the last of them: a user of the machine. Empty in marks of earlier versions."""

    @property
    def leaves(self) -> int:
        return self.bundles * WIDTH

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises BadNote: if it is no mark."""
        lines = text.split("\n")
        if not 6 <= len(lines) <= 7 or lines[0] != _HEAD or lines[-1]:
            raise BadNote(f"it does not begin with {_HEAD!r} and four or five lines more")
        for number in lines[2:4]:
            if not (number.isascii() and number.isdigit()) or str(int(number[:20])) != number:
                raise BadNote("its third and fourth line are no numbers")
        root = from_base64(lines[4], "the root")
        if len(root) != HASH:
            raise BadNote(f"the root has {len(root)} octets; {HASH} are expected")
        return cls(lines[1], int(lines[2]), int(lines[3]), root, "".join(lines[5:]))

    @classmethod
    def open(cls, note: bytes, verifier: Verifier | None) -> Self:
        """:param verifier: without it, the signature is not looked at.
        :raises BadNote: if the key did not sign it, or it is another log's.
        """
        if verifier is None:
            try:
                return cls.parse(note.partition(b"\n\n")[0].decode() + "\n")
            except UnicodeDecodeError:
                raise BadNote("it is no text") from None
        found = cls.parse(verifier.open(note))
        if found.origin != verifier.name:
            raise BadNote(f"it is of {found.origin}, not of {verifier.name}")
        return found

    def sign(self, signer: Signer) -> bytes:
        by = f"{self.by}\n" if self.by else ""
        return signer.sign(
            f"{_HEAD}\n{self.origin}\n{self.bundles}\n{self.before}\n{to_base64(self.root)}\n{by}"
        )

    def contradiction(self, size: int, nodes: Nodes) -> str:
        """Why it is not of this tree of `size` leaves; empty if it is.

        :raises BadFile: if a tile that is needed cannot be read.
        """
        if self.leaves > size:
            return f"it speaks of {self.leaves} leaves, and the log has {size}"
        if root_at(self.leaves, nodes) != self.root:
            return f"the first {self.leaves} leaves of the log are others than those that it speaks of"
        return ""


def read_mark(folder: Path, verifier: Verifier | None) -> Mark | None:
    """None if nothing was archived.

    :raises BadNote: if the file is no such mark, or the key did not sign it.
    :raises OSError: if it cannot be read.
    """
    try:
        with (folder / layout.ARCHIVED).open("rb") as file:
            note = file.read(MAX_NOTE)
    except FileNotFoundError:
        return None
    return Mark.open(note, verifier)
