"""What must be remembered of PINs across restarts: written by the front, for the keeper reaches no file.

One file in the state folder, mode 0600, of its own and in no backup: fingerprints of refused PINs and of attempts that
are open, under a random key that is in it too. Whoever has the file can try short PINs against it, slowly (scrypt); so it
stays on the machine. An attempt is in it before C_Login is called.
"""

import asyncio
import contextlib
import os
import secrets
import stat
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
        self._trouble = ""
        """Why it could not be written the last time."""

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
                if why != self._trouble:  # once, not at every try
                    _log.error("pin guard not written", token=token, why=why)
                self._trouble = why
                return why
            if self._trouble:
                _log.info("pin guard is written again")
            self._trouble = ""
        return None


def damage(path: Path) -> str | None:
    """Why the file cannot be used; None if it can, or if there is none yet."""
    try:
        _decoded(path)
    except FileNotFoundError:
        return None
    except _Damaged as damaged:
        return str(damaged)
    return None


def _read(path: Path) -> _Content:
    """What was written last; something new if nothing was, or if it is damaged."""
    try:
        content = _decoded(path)
    except FileNotFoundError:
        return _Content(secrets.token_bytes(_KEY), {})
    except _Damaged as damaged:
        return _anew(path, str(damaged))
    with contextlib.suppress(OSError):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & (stat.S_IRWXG | stat.S_IRWXO):
            _log.warning("others could read the pin guard", file=str(path), mode=f"{mode:04o}")
            path.chmod(0o600)
    return content


class _Damaged(Exception):
    """The file is there, and cannot be used; the text says why."""


def _decoded(path: Path) -> _Content:
    """:raises FileNotFoundError: if there is none.
    :raises _Damaged: if it is not as it was written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # as it was opened: no link, no waiting
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _Damaged("it is no regular file")
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Damaged(error.strerror) from None
    body = data[4:]
    if len(data) > _MOST or zlib.crc32(body).to_bytes(4, "big") != data[:4]:
        raise _Damaged("its checksum is wrong")
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise _Damaged(str(error)) from None
    if len(content.key) != _KEY:
        raise _Damaged("its key is none")
    return content


def _anew(path: Path, why: str) -> _Content:
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
