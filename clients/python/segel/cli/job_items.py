"""What a job is made of: lines of digests, or files that are hashed here.

Everything is read twice: first for the request id, which is made of it, then to be sent. So what cannot be rewound, a
pipe or standard input, is copied to a temporary file first.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

from segel.cli import sources
from segel.cli.digest_lines import Named, digest_lines, item_id
from segel.cli.failures import FileRefused
from segel.cli.plan import STANDARD

_IN_MEMORY: Final = 64 << 20
_AT_ONCE: Final = 1 << 20
_MAX_MESSAGE: Final = 65_536


class Items(Protocol):
    """Can be read again and again."""

    def __iter__(self) -> Iterator[Named]: ...


class _Lines:
    """Of a file that can be rewound. Nothing of it is held."""

    def __init__(self, stream: BinaryIO, size: int, source: str) -> None:
        self._stream = stream
        self._size = size
        self._source = source

    def __iter__(self) -> Iterator[Named]:
        self._stream.seek(0)
        return digest_lines(self._stream, self._size, self._source)


@contextlib.asynccontextmanager
async def of_lines(source: str, size: int) -> AsyncIterator[Items]:
    """The digests in a file; ``-`` is standard input.

    :raises OSError: if it cannot be read.
    """
    path = None if source == STANDARD else Path(source)
    name = "standard input" if path is None else source
    async with sources.seekable(path) as stream:
        if stream.seekable():
            yield _Lines(stream, size, name)
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            await asyncio.to_thread(_copy, stream, copy)
            yield _Lines(cast("BinaryIO", copy), size, name)


def _copy(stream: BinaryIO, copy: Any) -> None:
    while block := stream.read(_AT_ONCE):
        copy.write(block)


async def of_files(files: Sequence[str], hash_name: str | None) -> Sequence[Named]:
    """Each file's digest, or the file itself where messages are signed; its name is the id.

    :raises OSError: if one cannot be read.
    :raises FileRefused: if one is too long to be signed as it is.
    """
    items: list[Named] = []
    for name in files:
        with sources.opened(None if name == STANDARD else Path(name)) as stream:
            if hash_name is not None:
                items.append((item_id(name), await sources.digest(stream, hash_name)))
                continue
            message = await sources.read_up_to(stream, _MAX_MESSAGE + 1)
            if len(message) > _MAX_MESSAGE:
                raise FileRefused(
                    f"{name}: Ed25519 signs the file itself, and only up to {_MAX_MESSAGE} octets"
                )
            items.append((item_id(name), message))
    return items
