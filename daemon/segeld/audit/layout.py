"""Where a log's files are, as C2SP tlog-tiles has it, and how many leaves are in each."""

from collections.abc import Iterator
from typing import Final

WIDTH: Final = 256
"""Hashes of a full tile, leaves of a full bundle."""

CHECKPOINT: Final = "checkpoint"
KEY: Final = "key.pub"
SALT: Final = "salt"
PREVIOUS: Final = "previous"
"""The last checkpoint of the log that this one continues, if it continues one."""
RESTORED: Final = "restored"
"""The log that the database belonged to which `segeld restore` put in place, if this log was begun by that."""
ARCHIVED: Final = "archived"
"""Signed: which bundles were archived. See `archived`."""

Level = int | str
"""A tile's level, or `ENTRIES`."""
ENTRIES: Final = "entries"


def path(level: Level, number: int, width: int = WIDTH) -> str:
    """`tile/0/x001/x234/067`, or with `.p/<width>` behind it if it is not full."""
    name = f"{number % 1000:03}"
    while number := number // 1000:
        name = f"x{number % 1000:03}/{name}"
    return f"tile/{level}/{name}" + ("" if width == WIDTH else f".p/{width}")


def widths(size: int, level: int) -> Iterator[tuple[int, int]]:
    """Number and width of each tile at a level in a log of `size` leaves. Bundles are as level 0."""
    hashes = size // WIDTH**level
    for number in range(hashes // WIDTH):
        yield number, WIDTH
    if hashes % WIDTH:
        yield hashes // WIDTH, hashes % WIDTH


def levels(size: int) -> range:
    """The levels that have tiles in a log of `size` leaves."""
    count = 0
    while size:
        count, size = count + 1, size // WIDTH
    return range(count)


def files(size: int) -> Iterator[str]:
    """Every tile and bundle of a log of `size` leaves."""
    for number, width in widths(size, 0):
        yield path(ENTRIES, number, width)
    for level in levels(size):
        for number, width in widths(size, level):
            yield path(level, number, width)
