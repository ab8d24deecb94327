"""Reads the tiles and bundles of a log; what is not there, not whole or not allowed has a text that says so."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from segeld.audit import bundle, layout
from segeld.audit.layout import ENTRIES, WIDTH, Level
from segeld.audit.merkle import HASH, root_of

_TRIES: Final = 5
"""The daemon may replace a partial file by a wider one at any moment."""


class LogUnreadable(Exception):
    """There is no log, or not the one that was meant, or it may not be read. The text says which."""


class BadFile(Exception):
    """A file of the log that is not as it must be."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path: Final = path
        self.text: Final = text


class Archived(BadFile):
    """A bundle that was moved to an archive, and is in none that was given."""

    def __init__(self, path: str, number: int) -> None:
        super().__init__(
            path,
            f"leaves {number * WIDTH} to {number * WIDTH + WIDTH - 1} were archived: give --archive with the folder that has "
            "them",
        )
        self.number: Final = number


def not_permitted(path: Path) -> LogUnreadable:
    return LogUnreadable(
        f"{path}: permission denied. The log belongs to the daemon's user: read it as root, or read a copy"
    )


class Tiles:
    """The files under `tile/` in the folder of a log of `size` leaves. Some tiles are kept in memory, not many."""

    def __init__(
        self,
        folder: Path,
        size: int,
        archives: tuple[Path, ...] = (),
        archived: Callable[[], int] = lambda: 0,
    ) -> None:
        """:param archives: where bundles are looked for that are not in the folder.
        :param archived: how many bundles were archived; asked when one is missing.
        """
        self._folder = folder
        self._archives = archives
        self._archived = archived
        self._known_archived = 0
        self.size: Final = size
        self._cached = lru_cache(64)(self._hashes)

    def leaves(self, number: int) -> list[bytes]:
        """The leaves of one bundle.

        :raises Archived: if they were archived, and are in none of the archives.
        :raises BadFile: if they are not all there.
        :raises LogUnreadable: if they may not be read.
        """
        width = self._width(0, number)
        name, data = self._read(ENTRIES, number, width)
        try:
            found = bundle.unpack(data)
        except bundle.BadBundle as error:
            raise BadFile(name, f"it is cut or was changed: it {error}") from None
        if len(found) < width or (len(found) > width and name == layout.path(ENTRIES, number, width)):
            raise BadFile(name, f"it has {len(found)} leaves where {width} are expected")
        return found[:width]

    def leaf(self, index: int) -> bytes:
        """:raises BadFile: if its bundle cannot be read."""
        return self.leaves(index // WIDTH)[index % WIDTH]

    def hashes(self, level: int, number: int) -> tuple[bytes, ...]:
        """The hashes of one tile.

        :raises BadFile: if they are not all there.
        """
        return self._cached(level, number)

    def node(self, height: int, index: int) -> bytes:
        """`merkle.Nodes`, out of the tiles.

        :raises BadFile: if a tile cannot be read.
        """
        level, above = divmod(height, 8)
        first, count = index << above, 1 << above
        start = first % WIDTH
        return root_of(self.hashes(level, first // WIDTH)[start : start + count])

    def _hashes(self, level: int, number: int) -> tuple[bytes, ...]:
        width = self._width(level, number)
        name, data = self._read(level, number, width)
        exact = name == layout.path(level, number, width)
        if len(data) % HASH or len(data) < width * HASH or (exact and len(data) > width * HASH):
            raise BadFile(name, f"it has {len(data)} octets where {width * HASH} are expected")
        return tuple(data[at : at + HASH] for at in range(0, width * HASH, HASH))

    def _width(self, level: int, number: int) -> int:
        return min(WIDTH, int(self.size // WIDTH**level) - number * WIDTH)

    def file(self, level: Level, number: int, width: int) -> str:
        """The file that holds these: the full one, the one of this width, or a wider one that came after it."""
        full, exact = layout.path(level, number), layout.path(level, number, width)
        if width == WIDTH or (self._folder / exact).exists():
            return exact
        if (self._folder / full).exists():
            return full
        folder = (self._folder / exact).parent
        try:
            names = [entry.name for entry in folder.iterdir()]
        except FileNotFoundError:
            return exact
        wider = [int(name) for name in names if name.isascii() and name.isdigit() and int(name) > width]
        return layout.path(level, number, min(wider, default=width))

    def _read(self, level: Level, number: int, width: int) -> tuple[str, bytes]:
        for _ in range(_TRIES):
            name = layout.path(level, number, width)
            try:
                name = self.file(level, number, width)
                return name, self.where(name).read_bytes()
            except FileNotFoundError:
                continue
            except PermissionError:
                raise not_permitted(self._folder / name) from None
            except OSError as error:
                raise BadFile(name, (error.strerror or "it cannot be read").lower()) from None
        if level == ENTRIES and self.is_away(number):
            raise Archived(layout.path(level, number), number)
        raise BadFile(layout.path(level, number, width), "it is missing")

    def is_away(self, number: int) -> bool:
        """Whether a bundle was archived, and is in none of the archives that were given."""
        if number >= self._known_archived:
            self._known_archived = self._archived()
        return number < self._known_archived and not self.where(layout.path(ENTRIES, number)).exists()

    def where(self, name: str) -> Path:
        """Where a file is: in the folder, or in the first archive that has it; in the folder if nobody has it."""
        own = self._folder / name
        if not self._archives or own.exists():
            return own
        return next((path for each in self._archives if (path := each / name).exists()), own)
