"""What must be remembered of PINs across restarts: written by the front, for the keeper reaches no file.

One file in the state folder, mode 0600, of its own and in no backup: fingerprints of refused PINs and of attempts that
are open, under a random key that is in it too. Whoever has the file can try short PINs against it, slowly (scrypt); so it
stays on the machine. An attempt is in it before C_Login is called, and with it the room for what becomes of it.

A device is its serial number, whatever name it is configured under.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from segeld.ipc.keeper_wire import Device, Record
from segeld.ipc.keeper_wire import Guard as Frame
from segeld.model.names import TokenName
from segeld.supervisor.guard_file import Damaged, GuardFile

FILE: Final = "pin-guard"
"""Its name in the state_dir."""
_KEY: Final = 32
_SO: Final = "\0so "
_log: Final = structlog.get_logger(__name__)


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    key: bytes
    devices: dict[str, Record]
    """By serial number."""
    tokens: dict[str, tuple[str, ...]]
    """By configured name: the devices at which its PIN was tried."""
    lost: bool = False
    """An earlier file was damaged: of what is not here nothing is known."""


_DECODER: Final = msgspec.msgpack.Decoder(_Content)


def so_of(serial: str) -> str:
    """Under what a device's SO PINs are remembered: as if it were another device."""
    return f"{_SO}{serial}"


class Guard:
    """Changes are written one after another; each is durable when `keep` returns without a text."""

    def __init__(self, path: Path) -> None:
        """:param path: in a folder that exists."""
        self._file: Final = GuardFile(path)
        self._known: _Content | None = None
        self._under_way: dict[str, bytes] = {}
        """The attempts that have not ended yet, by device."""
        self._turn: Final = asyncio.Lock()
        self._trouble = ""
        """Why it could not be written the last time."""

    async def load(self) -> None:
        """Reads what was written last, once: before anything else is asked."""
        async with self._turn:
            if self._known is None:
                self._known = await asyncio.to_thread(_read, self._file)

    def look(self) -> None:
        """Reads what was written last, and changes nothing.

        :raises Damaged: if it is not as it was written.
        """
        self._known = _decoded(self._file)

    @property
    def _content(self) -> _Content:
        assert self._known is not None, "load first"
        return self._known

    def frames(self) -> Iterator[Frame | Device]:
        """What a keeper must know before anything else. What another one had begun before it is over."""
        self._under_way.clear()
        content = self._content
        yield Frame(content.key, content.lost)
        for serial, record in content.devices.items():
            yield Device(serial, record)

    def of(self, serial: str) -> Record:
        """What is remembered of a device."""
        return self._content.devices.get(serial) or Record(unsure=self._content.lost)

    def is_unsure(self, token: TokenName, serial: str | None) -> bool:
        """Whether nothing is tried with it but by an officer: an earlier file was damaged, and it has taken no PIN since.

        :param serial: of the device that is there; None if none was seen yet.
        """
        content = self._known
        if content is None or not content.lost:
            return False
        serials = content.tokens.get(str(token), ()) if serial is None else (serial,)
        return all(self.of(each).unsure for each in serials)

    async def begin(self, token: str, serial: str, record: Record, attempted: bytes) -> str | None:
        """Makes an attempt durable, and takes the room for its outcome; if that could not be, gives why.

        :param attempted: the fingerprint of the PIN that is tried.
        """
        self._under_way[serial] = attempted
        self._set(token, serial, record)
        return await self._write(token, self._file.write)

    async def keep(self, token: str, serial: str, record: Record) -> str | None:
        """Makes it durable; if it could not be, gives why. It is written with the next one then."""
        self._under_way.pop(serial, None)
        self._set(token, serial, record)
        return await self._write(token, self._file.write_over)

    async def clear(self, token: TokenName, serial: str | None) -> tuple[tuple[str, ...], str | None]:
        """An officer's act: nothing that its devices refused before counts any more, under whatever name. An attempt that
        is under way stays open until it has ended.

        :param serial: of the device that is there.

        Gives the serial numbers of those; and if it could not be made durable, why: everything counts still then.
        """
        content = self._content
        present = () if serial is None else (serial,)
        serials = tuple(dict.fromkeys((*content.tokens.get(str(token), ()), *present)))
        before = {each: content.devices[each] for each in serials if each in content.devices}
        cleared = {
            each: Record(open=self._open_at(each), unsure=record.unsure) for each, record in before.items()
        }
        content.devices.update(cleared)
        trouble = await self._write(str(token), self._file.write_over)
        if trouble is None:
            return serials, None
        for each, record in before.items():
            if content.devices[each] is cleared[each]:  # else more has become known meanwhile
                content.devices[each] = record
        return (), trouble

    def _open_at(self, serial: str) -> dict[bytes, int]:
        attempted = self._under_way.get(serial)
        return {} if attempted is None else {attempted: 1}

    def _set(self, token: str, serial: str, record: Record) -> None:
        content = self._content
        content.devices[serial] = record
        known = content.tokens.get(token, ())
        if serial not in known:
            content.tokens[token] = (*known, serial)

    async def _write(self, token: str, write: Callable[[bytes], None]) -> str | None:
        async with self._turn:
            data = msgspec.msgpack.encode(self._content)
            try:
                await asyncio.to_thread(write, data)
            except OSError as error:
                why = f"{self._file.path} cannot be written ({error.strerror})"
                if why != self._trouble:  # once, not at every try
                    _log.error("pin guard not written", token=token, why=why)
                self._trouble = why
                return why
            if self._trouble:
                _log.info("pin guard is written again")
            self._trouble = ""
        return None


def trouble(path: Path, tokens: Iterable[TokenName]) -> str | None:
    """What officers should know of the file before a start; None if there is nothing, or no file yet.

    :param tokens: those that are configured.
    """
    guard = Guard(path)
    try:
        guard.look()
    except Damaged as damaged:
        return f"the PIN guard {path} is damaged ({damaged})"
    unsure = [str(token) for token in tokens if guard.is_unsure(token, None)]
    if not unsure:
        return None
    return f"the PIN guard {path} was damaged, and is new since: nothing is known of {', '.join(unsure)}"


def _read(file: GuardFile) -> _Content:
    """What was written last; something new if nothing was, or if it is damaged."""
    try:
        content = _decoded(file)
    except Damaged as damaged:
        _log.critical(
            "pin guard damaged",
            file=str(file.path),
            why=str(damaged),
            effect="no token is logged in by itself until an officer has activated it by hand",
        )
        return _Content(secrets.token_bytes(_KEY), {}, {}, lost=True)
    if content is None:
        return _Content(secrets.token_bytes(_KEY), {}, {})
    file.close_to_others()
    return content


def _decoded(file: GuardFile) -> _Content | None:
    """None if there is none.

    :raises Damaged: if it is not as it was written.
    """
    body = file.read()
    if body is None:
        return None
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged(str(error)) from None
    if len(content.key) != _KEY:
        raise Damaged("its key is none")
    return content
