"""What earlier logs record after some leaf: for a database that was restored and knows nothing of it.

The logs are found beside the present one by the checkpoints that each was begun with. Only what comes after the leaf is
read, bundle by bundle; the root that it leads to must be the one that was signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from segeld.audit import layout
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.frontier import Frontier, frontier_at
from segeld.audit.identity import FOLDER
from segeld.audit.layout import WIDTH
from segeld.audit.leaf import Act, BadLeaf, decode, encode
from segeld.audit.merkle import leaf_hash
from segeld.audit.note import BadNote, Verifier
from segeld.audit.tiles import BadFile, LogUnreadable, Tiles

_MOST_LOGS: Final = 100
"""Restores in a row that are followed."""
_TAG: Final = encode(Act(0, "", "", ""))[1:2]
"""Of an act, behind the head of its array."""


class Lost(Exception):
    """What came later cannot be known. The text says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Position:
    """A leaf of a log."""

    origin: str
    index: int

    def __str__(self) -> str:
        return f"leaf {self.index} of {self.origin}"


@dataclass(frozen=True, slots=True)
class _Log:
    folder: Path
    checkpoint: Checkpoint
    previous: bytes
    """The checkpoint of the log before; empty if there is none."""

    @classmethod
    def open(cls, folder: Path, note: bytes) -> Self:
        """:raises Lost: if its key did not sign the checkpoint, or it cannot be read."""
        try:
            verifier = Verifier.parse((folder / layout.KEY).read_text())
            return cls(folder, Checkpoint.open(note, verifier), _read(folder / layout.PREVIOUS))
        except OSError as error:
            raise Lost(f"{folder}: {(error.strerror or 'it cannot be read').lower()}") from None
        except ValueError as error:
            raise Lost(f"{folder}: {error}") from None


class Lookback:
    """Acts after the leaf `first - 1` of the log `of`, up to the end of the log whose last checkpoint is `last`."""

    def __init__(self, state_dir: Path, last: str, of: str, first: int) -> None:
        """:param last: the note that the present log was begun with; empty if it was linked to none.
        :param of: the origin of the log that the database belonged to.
        :param first: leaves that the database knows of it.
        :raises Lost: if these logs cannot be found.
        """
        self._logs: Final = _chain(state_dir, last.encode(), of)
        self._first = first
        if self._logs[0].checkpoint.size < first:
            raise Lost(
                f"{self._logs[0].folder} ends with leaf {self._logs[0].checkpoint.size - 1}, before the backup"
            )
        self.troubles: Final[list[str]] = []
        """What could not be read, or is not what was signed, when `acts` is through; without full stops."""

    @property
    def size(self) -> int:
        """Leaves to look at."""
        return sum(log.checkpoint.size for log in self._logs) - self._first

    def acts(self) -> Iterator[tuple[Position, Act]]:
        """In order. As long as it is not through, nobody knows whether they are what was signed."""
        for number, log in enumerate(self._logs):
            yield from self._of(log, 0 if number else self._first)

    def _of(self, log: _Log, first: int) -> Iterator[tuple[Position, Act]]:
        size, origin = log.checkpoint.size, log.checkpoint.origin
        tiles = Tiles(log.folder, size)
        try:
            frontier = frontier_at(first // WIDTH * WIDTH, tiles.hashes)
        except (BadFile, LogUnreadable) as error:
            frontier = None
            self.troubles.append(f"{log.folder}: {error}")
        for number in range(first // WIDTH, -(-size // WIDTH)):
            try:
                leaves = tiles.leaves(number)
            except (BadFile, LogUnreadable) as error:
                self.troubles.append(f"{log.folder}: {error}")
                frontier = _passed(frontier, tiles, number)
                continue
            for index, data in enumerate(leaves, number * WIDTH):
                if frontier is not None:
                    frontier.append(leaf_hash(data))
                act = _act(data) if index >= first else None
                if act is not None:
                    yield Position(origin, index), act
        if frontier is not None and frontier.root() != log.checkpoint.root:
            self.troubles.append(f"{log.folder} was changed: it has not the root that was signed")


def _act(data: bytes) -> Act | None:
    if data[1:2] != _TAG:  # most are not: nothing else of those is looked at
        return None
    try:
        leaf = decode(data)
    except BadLeaf:
        return None  # of a newer version
    return leaf if isinstance(leaf, Act) else None


def _passed(frontier: Frontier | None, tiles: Tiles, number: int) -> Frontier | None:
    """Behind a bundle whose leaves are lost, by their hashes; None if those are lost too."""
    try:
        hashes = tiles.hashes(0, number)
    except (BadFile, LogUnreadable):
        return None
    if frontier is not None:
        for each in hashes:
            frontier.append(each)
    return frontier


def _chain(state_dir: Path, last: bytes, of: str) -> list[_Log]:
    """From the log `of` to the one with the checkpoint `last`."""
    kept = {_read(folder / layout.CHECKPOINT): folder for folder in sorted(state_dir.glob(f"{FOLDER}-*"))}
    found: list[_Log] = []
    note = last
    while note and len(found) < _MOST_LOGS:
        folder = kept.get(note)
        if folder is None:
            raise Lost(f"the log {_origin(note)}, as it was at its end, is not in {state_dir} any more")
        found.insert(0, _Log.open(folder, note))
        if found[0].checkpoint.origin == of:
            return found
        note = found[0].previous
    raise Lost(f"no log that is kept continues {of or 'the log of the database'}")


def _origin(note: bytes) -> str:
    try:
        return Checkpoint.unverified(note).origin
    except BadNote:
        return "before"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # what it should lead to is missed
