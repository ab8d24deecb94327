"""What must be remembered of PINs across restarts: written by the front, for the keeper reaches no file.

One file in the state folder, mode 0600, of its own and in no backup: fingerprints of refused PINs and of attempts that
are open, under a random key that is in it too. Whoever has the file can try short PINs against it, slowly (scrypt); so it
stays on the machine. An attempt is in it before C_Login is called.
"""

import asyncio
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from segeld.ipc.keeper_wire import Guard as Frame
from segeld.ipc.keeper_wire import Record
from segeld.model.names import TokenName

FILE: Final = "pin-guard"
"""Its name in the state_dir."""
_KEY: Final = 32
_MOST: Final = 4 * 1024 * 1024
_log: Final = structlog.get_logger(__name__)


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    key: bytes
    tokens: dict[str, dict[str, Record]]
    """By configured name, then by serial number."""
    lost: bool = False
    """An earlier file was damaged: of what is not here nothing is known."""


_DECODER: Final = msgspec.msgpack.Decoder(_Content)


class Guard:
    """Changes are written one after another; each is durable when `keep` returns without a text."""

    def __init__(self, path: Path) -> None:
        """:param path: in a folder that exists."""
        self._path: Final = path
        self._known: _Content | None = None
        self._turn: Final = asyncio.Lock()

    async def load(self) -> None:
        """Reads what was written last, once: before anything else is asked."""
        async with self._turn:
            if self._known is None:
                self._known = await asyncio.to_thread(_read, self._path)

    @property
    def _content(self) -> _Content:
        assert self._known is not None, "load first"
        return self._known

    @property
    def lost(self) -> bool:
        """An earlier file was damaged: nothing is tried with a token of which nothing is known, but by an officer."""
        return self._content.lost

    def frame(self, token: TokenName) -> Frame:
        """What a keeper must know of a token."""
        content = self._content
        return Frame(str(token), content.key, dict(content.tokens.get(str(token), {})), content.lost)

    async def keep(self, token: TokenName | str, serial: str, record: Record) -> str | None:
        """Makes it durable; if it could not be, gives why. It is written with the next one then."""
        return await self._change(str(token), {**self._content.tokens.get(str(token), {}), serial: record})

    async def clear(self, token: TokenName) -> str | None:
        """An officer's act: nothing that was refused before counts any more."""
        known = self._content.tokens.get(str(token), {})
        return await self._change(str(token), dict.fromkeys(known, Record()))

    async def _change(self, token: str, records: Mapping[str, Record]) -> str | None:
        self._content.tokens[token] = dict(records)
        async with self._turn:
            data = msgspec.msgpack.encode(self._content)
            try:
                await asyncio.to_thread(_write, self._path, data)
            except OSError as error:
                why = f"{self._path} cannot be written ({error.strerror})"
                _log.error("pin guard not written", token=token, why=why)
                return why
        return None


def _read(path: Path) -> _Content:
    """What was written last; something new if nothing was, or if it is damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        return _Content(secrets.token_bytes(_KEY), {})
    except OSError as error:
        return _damaged(path, str(error.strerror))
    body = data[4:]
    if len(data) > _MOST or zlib.crc32(body).to_bytes(4, "big") != data[:4]:
        return _damaged(path, "its checksum is wrong")
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        return _damaged(path, str(error))
    return content if len(content.key) == _KEY else _damaged(path, "its key is none")


def _damaged(path: Path, why: str) -> _Content:
    _log.critical(
        "pin guard damaged",
        file=str(path),
        why=why,
        effect="no token is logged in by itself until an officer has activated it by hand",
    )
    return _Content(secrets.token_bytes(_KEY), {}, lost=True)


def _write(path: Path, body: bytes) -> None:
    """A new file in the old one's place, and both durable: fsync(2) of the file, rename(2), fsync of the folder."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        data = memoryview(zlib.crc32(body).to_bytes(4, "big") + body)
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
