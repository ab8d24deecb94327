"""Whether leaves, tiles and the signed root agree, bundle after bundle, in memory that does not grow with the log."""

from segeld.audit import layout
from segeld.audit.frontier import Frontier, Tile
from segeld.audit.layout import ENTRIES, WIDTH, Level
from segeld.audit.merkle import leaf_hash
from segeld.audit.report import KEPT, Report
from segeld.audit.tiles import Archived, BadFile, Tiles
from segeld.model.counts import fitting


class TreeCheck:
    """Computes the tree out of the leaves; and, from the first difference on, out of the tiles as well."""

    def __init__(self, tiles: Tiles, report: Report) -> None:
        self._tiles = tiles
        self._report = report
        self._leaves = Frontier()
        self._stored: Frontier | None = None
        self._different: list[int] = []
        """Leaves that have not the hash that the tiles have for them; whose fault it is only the root tells."""
        self._different_count = 0
        self._lost = False
        """Neither leaves nor hashes of some part can be read: there is no root."""
        self.lacks_leaves = False
        """Leaves of some part cannot be read."""
        self._has_leaves = False

    def take(self, number: int) -> list[bytes]:
        """Checks one bundle and the tiles that it completes; gives its leaves, none if they cannot be read."""
        leaves = self._read_leaves(number)
        stored = self._read_hashes(0, number)
        computed = None if leaves is None else tuple(map(leaf_hash, leaves))
        if computed is not None and stored is not None and computed != stored:
            self._differences(number, computed, stored)
        if self._lost or (one := computed or stored) is None:
            self._lost = True
            return leaves or []
        other = stored or one
        if self._stored is None and one != other:
            self._stored = self._leaves.copy()
        if self._stored is None:
            for hash_ in one:
                if closed := self._leaves.append(hash_):
                    self._compare_all(closed, closed)
        else:
            for hash_, as_stored in zip(one, other, strict=True):
                self._compare_all(self._leaves.append(hash_), self._stored.append(as_stored))
        return leaves or []

    def finish(self, root: bytes) -> None:
        stored = self._stored or self._leaves
        if self._lost:
            self._blame(ENTRIES, "it and its hash in the tiles differ: one of both was changed")
            self._report.add("the root cannot be computed, because files of the log are missing or damaged")
            return
        self._compare_all(tuple(self._leaves.partial()), tuple(stored.partial()))
        if self._leaves.root() == root:
            self._blame(0, "its hash here was changed; the leaf itself is as it was signed")
        elif stored.root() == root:
            self._blame(ENTRIES, "it was changed after it was signed: its hash is another")
        else:
            self._blame(ENTRIES, "it and its hash in the tiles differ, and neither leads to the signed root")
            self._report.add(
                "the leaves have not the root that the checkpoint was signed with", layout.CHECKPOINT
            )

    def _blame(self, level: Level, text: str) -> None:
        for index in self._different:
            number = index // WIDTH
            width = min(WIDTH, self._tiles.size - number * WIDTH)
            self._report.add(text, self._tiles.file(level, number, width), index)
        if (more := self._different_count - len(self._different)) > 0:
            self._report.add(
                f"{more} more {fitting(more, 'leaf differs from its hash', 'leaves differ from their hashes')}"
            )

    def _differences(self, number: int, computed: tuple[bytes, ...], stored: tuple[bytes, ...]) -> None:
        for at, (left, right) in enumerate(zip(computed, stored, strict=True)):
            if left != right:
                self._different_count += 1
                if len(self._different) < KEPT:
                    self._different.append(number * WIDTH + at)

    def _compare_all(self, computed: tuple[Tile, ...], as_stored: tuple[Tile, ...]) -> None:
        """Level 0 was compared leaf by leaf."""
        for tile, other in zip(computed, as_stored, strict=True):
            if not tile.level:
                continue
            stored = self._read_hashes(tile.level, tile.number)
            if stored is not None and stored not in {tile.hashes, other.hashes}:
                name = self._tiles.file(tile.level, tile.number, len(tile.hashes))
                self._report.add("it does not hold the hashes of what is below it", name)

    def _read_leaves(self, number: int) -> list[bytes] | None:
        try:
            leaves = self._tiles.leaves(number)
        except Archived:
            self.lacks_leaves |= self._has_leaves  # an earlier intent may have its outcome there
            self._report.away_bundle(number, WIDTH)
            return None
        except BadFile as error:
            self.lacks_leaves = True
            self._report.add(error.text, error.path)
            return None
        self._has_leaves = True
        return leaves

    def _read_hashes(self, level: int, number: int) -> tuple[bytes, ...] | None:
        try:
            return self._tiles.hashes(level, number)
        except BadFile as error:
            self._report.add(error.text, error.path)
            return None
