"""Writes a log's files, so that at any moment they are those of its checkpoint, whatever stops the daemon.

The order makes it so. First full tiles and bundles, durably; they never change again. Then partial ones, whose leaves
the database still has. Then the checkpoint, durably. At last the partial files of earlier checkpoints go.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from segeld.audit import bundle, files, layout
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.find_index import IndexBusy, IndexWriter
from segeld.audit.frontier import Frontier, Tile
from segeld.audit.guard import Guard
from segeld.audit.layout import ENTRIES, WIDTH, Level
from segeld.audit.merkle import leaf_hash
from segeld.audit.note import Signer
from segeld.audit.tiles import BadFile, LogUnreadable, Tiles

_INDEXED_AT_ONCE: Final = 8
"""Bundles that a round puts into the index: a large log without one is caught up with bit by bit."""


class Writer:
    """The only one who writes to the folder. Called from threads; a call that fails has changed nothing that counts."""

    def __init__(self, folder: Path, signer: Signer, frontier: Frontier, pending: Sequence[bytes]) -> None:
        """Reads files.

        :param pending: the leaves since the last full bundle.
        """
        self._folder = folder
        self._signer = signer
        self._frontier = frontier
        self._pending = list(pending)
        self._partial: set[Path] | None = None
        """The partial files of the last checkpoint; None: there may be others from before this run."""
        self._guard = Guard(folder)
        self._turn = threading.Lock()
        self._index: IndexWriter | None = None

    @property
    def size(self) -> int:
        """Leaves that the files hold and the checkpoint is signed for."""
        return self._frontier.size

    @property
    def durable(self) -> int:
        """Leaves in full bundles: nobody else needs to keep these."""
        return self.size // WIDTH * WIDTH

    def check(self) -> None:
        """:raises LogMeddled: if somebody else removed or changed files."""
        with self._turn:
            self._guard.check(self.size)

    def index(self) -> bool:
        """Brings the index of `find` nearer to the log; whether there is more to do. Nothing depends on it."""
        with self._turn, contextlib.suppress(OSError, BadFile, LogUnreadable, IndexBusy):
            if self._index is None:
                self._index = IndexWriter.open(self._folder, self._signer.verifier.name)
            return self._index.catch_up(Tiles(self._folder, self.size), _INDEXED_AT_ONCE) == _INDEXED_AT_ONCE
        return False

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def publish(self, first: int, leaves: Sequence[bytes]) -> None:
        """Appends leaves, the first of which has the index `first`, and signs.

        :raises OSError: if something cannot be written; to be called again.
        """
        with self._turn:
            fresh = leaves[self.size - first :]
            frontier, pending = self._frontier.copy(), list(self._pending)
            full = self._full_files(frontier, pending, fresh)
            folders = []
            for path, data in full:
                files.write(path, data, durable=True)
                folders.append(path.parent)
            files.sync(folders)
            partial = dict(self._partial_files(frontier, pending))
            for path, data in partial.items():
                files.write(path, data, durable=False)
            note = Checkpoint(self._signer.verifier.name, frontier.size, frontier.root()).sign(self._signer)
            self._guard.writing(note)
            files.write(self._folder / layout.CHECKPOINT, note, durable=True)
            files.sync([self._folder])
            self._guard.written(note)
            self._frontier, self._pending = frontier, pending
            self._clean(set(partial))

    def _full_files(
        self, frontier: Frontier, pending: list[bytes], leaves: Sequence[bytes]
    ) -> Iterator[tuple[Path, bytes]]:
        """Appends to `frontier` and `pending`; gives what became full, in that order."""
        for leaf in leaves:
            pending.append(leaf)
            for tile in frontier.append(leaf_hash(leaf)):
                if not tile.level:
                    yield self._path(ENTRIES, tile.number), bundle.pack(pending)
                    pending.clear()
                yield self._path(tile.level, tile.number), b"".join(tile.hashes)

    def _partial_files(self, frontier: Frontier, pending: list[bytes]) -> Iterator[tuple[Path, bytes]]:
        if pending:
            yield self._path(ENTRIES, frontier.size // WIDTH, len(pending)), bundle.pack(pending)
        for tile in frontier.partial():
            yield self._path_of(tile), b"".join(tile.hashes)

    def _path(self, level: Level, number: int, width: int = WIDTH) -> Path:
        return self._folder / layout.path(level, number, width)

    def _path_of(self, tile: Tile) -> Path:
        return self._path(tile.level, tile.number, len(tile.hashes))

    def _clean(self, partial: set[Path]) -> None:
        if self._partial is None:
            self._partial = set(self._leftovers())
        for path in self._partial - partial:
            files.remove(path)
        self._partial = partial

    def _leftovers(self) -> Iterator[Path]:
        """What a run that was killed may have left: at the edge of each level, in its last folder and the one before."""
        for level in (ENTRIES, *layout.levels(self.size)):
            edge = self.size // WIDTH ** (level + 1 if isinstance(level, int) else 1)
            for folder in {self._path(level, max(number, 0)).parent for number in (edge, edge - 100)}:
                yield from folder.glob(f"*{files.NEW}")
                yield from folder.glob("*.p/*")
