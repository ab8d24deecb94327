"""Reads the items of a job, forward only, and cuts them into pieces of one message each.

Nothing is made for an item but what gRPC sends: between digests of one length stand the same four octets, so that a
piece is one `join`. That takes 16 ns a digest, where building the messages takes 360.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, Self

from segel._chunks import MAX_ID, Item, octets
from segel.errors import BadRequest

BLOCK: Final = 256
"""Items that the daemon keeps together: pieces are multiples of it."""
ROOM: Final = 1024 * 1024 - 256
"""Octets of items in one message; the rest is for the job's name and the offset."""

_TURN: Final = 1024
"""Items after which others in the event loop have a turn."""
_MAX_MESSAGE: Final = 65_536
_NAMED: Final = b"\x1a%c\x0a%c%b\x12%c%b"
"""An item with an id and a digest, if all lengths are below 128."""


class Piece(NamedTuple):
    """Items as field 3 of AppendItemsRequest."""

    prefix: bytes
    """What stands before each part."""
    parts: Sequence[bytes]

    @property
    def size(self) -> int:
        return len(self.parts)

    @property
    def body(self) -> bytes:
        """As on the wire."""
        return self.prefix + self.prefix.join(self.parts) if self.parts else b""

    def before(self, count: int) -> Self:
        """The first `count` items."""
        return self._replace(parts=self.parts[:count])

    def after(self, count: int) -> Self:
        """All but the first `count` items."""
        return self._replace(parts=self.parts[count:])


class Source:
    """The items of one job.

    :param size: octets of a digest; None if the items are messages.
    """

    def __init__(self, items: Iterable[Item] | AsyncIterable[Item], size: int | None) -> None:
        self._size = size
        self._prefix = b"" if size is None else bytes((0x1A, size + 2, 0x12, size))
        self._most = BLOCK if size is None else ROOM // (len(self._prefix) + size) // BLOCK * BLOCK
        self._largest = self._most if size is not None else ROOM // 64 // BLOCK * BLOCK
        self._items: Iterator[Item] | AsyncIterator[Item] = (
            aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        )
        self._held: list[Item] = []
        self.read = 0
        """Items that were taken or skipped."""

    async def take(self, most: int | None = None) -> Piece:
        """The next piece, of at most `most` items; an empty one at the end.

        :raises TypeError: for an item that is neither a digest nor a pair.
        :raises ValueError: for an id longer than 128 octets.
        :raises BadRequest: for an item of another length.
        """
        raw = await self._next(self._most if most is None else min(most, self._most))
        if self._prefix and set(map(type, raw)) == {bytes} and set(map(len, raw)) == {self._size}:
            self.read += len(raw)
            return Piece(self._prefix, raw)  # type: ignore[arg-type]  # they are bytes, every one
        parts: list[bytes] = []
        used = 0
        size, short = self._size or 0, 0 if self._size is None else 0x7F - 4 - self._size
        for item in raw:
            part = b""
            if type(item) is tuple:  # as most rows are: a short id and a digest, written down in one go
                name, data = item
                if type(name) is str and type(data) is bytes and len(data) == size:
                    marked = name.encode()
                    length = len(marked)
                    if 0 < length <= short:
                        part = _NAMED % (length + size + 4, length, marked, size, data)
            part = part or self._encode(item, self.read + len(parts))
            used += len(part)
            if used > ROOM:
                break
            parts.append(part)
        if len(parts) < len(raw):
            del parts[len(parts) // BLOCK * BLOCK or len(parts) :]
        elif used < ROOM // 2:
            self._most = min(2 * self._most, self._largest)  # short messages: more of them fit
        self._held = raw[len(parts) :] + self._held
        self.read += len(parts)
        return Piece(b"", parts)

    async def skip(self, count: int | None = None) -> int:
        """Passes over the next `count` items, or all; says how many there were."""
        skipped = 0
        while count is None or skipped < count:
            some = await self._next(self._most if count is None else min(count - skipped, self._most))
            if not some:
                break
            skipped += len(some)
        self.read += skipped
        return skipped

    async def _next(self, count: int) -> list[Item]:
        raw, self._held = self._held[:count], self._held[count:]
        while len(raw) < count:
            before = len(raw)
            turn = min(_TURN, count - before)
            if isinstance(self._items, AsyncIterator):
                async for item in self._items:
                    raw.append(item)
                    if len(raw) == before + turn:
                        break
            else:
                raw += islice(self._items, turn)
            if len(raw) < before + turn:
                break
            await asyncio.sleep(0)
        return raw

    def _encode(self, item: Item, index: int) -> bytes:
        name, content = item if isinstance(item, tuple) else ("", item)
        if not isinstance(name, str):
            raise TypeError(f"an id is a str, not {type(name).__name__}")
        marked = name.encode()
        if len(marked) > MAX_ID:
            raise ValueError(f"the id {name[:32]!r}… is longer than {MAX_ID} octets")
        data = octets(content, "a digest" if self._size else "a message")
        if len(data) != self._size and (self._size is not None or len(data) > _MAX_MESSAGE):
            raise _wrong_length(len(data), self._size, index)
        head = b"\x0a%c%b" % (len(marked), marked) if len(marked) < 0x80 else b"\x0a\x80\x01" + marked
        tag = b"\x1a" if self._size is None else b"\x12"
        inner = (head if marked else b"") + tag + _varint(len(data)) + data
        return b"\x1a" + _varint(len(inner)) + inner


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))


def _wrong_length(found: int, wanted: int | None, index: int) -> BadRequest:
    reason = "MESSAGE_TOO_LONG" if wanted is None else "DIGEST_LENGTH"
    text = f"Item {index} has {found} octets; "
    text += f"at most {_MAX_MESSAGE} are signed here" if wanted is None else f"its digest has {wanted}"
    facts = {"index": str(index), "octets": str(found), "wanted": str(wanted or _MAX_MESSAGE)}
    return BadRequest(text, reason=reason, code="INVALID_ARGUMENT", facts=facts)
