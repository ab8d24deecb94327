"""The growing edge of the tree, in rows as the tiles have them: what it takes to append a leaf and to know the root."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from segeld.audit.layout import WIDTH
from segeld.audit.merkle import EMPTY_ROOT, root_of


@dataclass(frozen=True, slots=True)
class Tile:
    """Consecutive hashes of one level; a full one never changes again."""

    level: int
    number: int
    hashes: tuple[bytes, ...]


@dataclass(slots=True)
class Frontier:
    """At each level the hashes since the last full tile."""

    size: int = 0
    rows: list[list[bytes]] = field(default_factory=list)

    def copy(self) -> Self:
        return type(self)(self.size, [list(row) for row in self.rows])

    def append(self, leaf: bytes) -> tuple[Tile, ...]:
        """Takes a leaf's hash; gives the tiles that are full now, the lowest first."""
        self.size += 1
        if not self.rows:
            self.rows.append([])
        row = self.rows[0]
        row.append(leaf)
        return () if len(row) < WIDTH else tuple(self._close())

    def _close(self) -> Iterator[Tile]:
        level = 0
        while len(self.rows[level]) == WIDTH:
            hashes, self.rows[level] = self.rows[level], []
            yield Tile(level, self.size // WIDTH ** (level + 1) - 1, tuple(hashes))
            level += 1
            if level == len(self.rows):
                self.rows.append([])
            self.rows[level].append(root_of(hashes))

    def partial(self) -> Iterator[Tile]:
        """The tiles that are not full."""
        for level, row in enumerate(self.rows):
            if row:
                yield Tile(level, self.size // WIDTH ** (level + 1), tuple(row))

    def root(self) -> bytes:
        below: list[bytes] = []
        for row in self.rows:
            if row or below:
                below = [root_of([*row, *below])]
        return below[0] if below else EMPTY_ROOT


def frontier_at(whole: int, hashes: Callable[[int, int], Sequence[bytes]]) -> Frontier:
    """Behind the last of some full bundles. Each level's row is computed from the full tiles of the level below.

    :param whole: leaves in full bundles.
    :param hashes: of the full tile at a level, by its number.
    """
    rows: list[list[bytes]] = [[]] if whole else []
    level = 1
    while count := whole // WIDTH**level:
        rows.append([root_of(hashes(level - 1, number)) for number in range(count // WIDTH * WIDTH, count)])
        level += 1
    return Frontier(whole, rows)
