"""Cuts a long row of digests into pieces of one message each, without holding the row."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final

SIZE: Final = 1_000
MAX_ID: Final = 128
"""Octets of an item's id."""

Item = bytes | tuple[str, bytes]
"""A digest, or an id and a digest."""
Chunk = tuple[list[bytes], list[str] | None]


def octets(value: object, what: str) -> bytes:
    """`value` as bytes.

    :raises TypeError: if it is something else: the hexadecimal text of a digest is no digest.
    """
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{what} is bytes, not {type(value).__name__}")
    return bytes(value)


async def chunked(items: Iterable[Item] | AsyncIterable[Item], size: int = SIZE) -> AsyncIterator[Chunk]:
    """Yields up to `size` digests at a time, with their ids if any of them has one.

    :raises TypeError: for an item that is neither a digest nor a pair.
    :raises ValueError: for an id longer than 128 octets.
    """
    data: list[bytes] = []
    ids: list[str] = []
    named = False
    async for item in _each(items):
        if isinstance(item, tuple):
            name, digest = item
            if not isinstance(name, str):
                raise TypeError(f"an id is a str, not {type(name).__name__}")
            if len(name.encode()) > MAX_ID:
                raise ValueError(f"the id {name[:32]!r}… is longer than {MAX_ID} octets")
            named = named or bool(name)
        else:
            name, digest = "", item
        ids.append(name)
        data.append(octets(digest, "a digest"))
        if len(data) == size:
            yield data, ids if named else None
            data, ids, named = [], [], False
    if data:
        yield data, ids if named else None


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
