"""The card's control socket, from outside: one request and one answer a connection, each a line of JSON."""

import socket
from pathlib import Path
from typing import Any, Final

import msgspec

from segel_cards.errors import CardError
from segel_cards.status import CardStatus

_PATIENCE: Final = 30.0


class Order(msgspec.Struct, frozen=True):
    do: str
    arguments: tuple[Any, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    trouble: str | None = None
    status: CardStatus | None = None


class Control:
    """What a hand at the reader could do, and more. Each call returns when it is so."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def insert(self) -> None:
        """Ends when pcscd sees the card."""
        self._order("insert")

    def remove(self) -> None:
        """Ends when pcscd sees no card."""
        self._order("remove")

    def status(self) -> CardStatus:
        status = self._order("status").status
        assert status is not None
        return status

    def delay(self, seconds: float) -> None:
        """Every signature takes so much longer; 0 ends it."""
        self._order("delay", seconds)

    def mute(self, what: str = "any") -> None:
        """Commands are done and counted, but what they answer is kept back: `any`, `verify` (with a PIN), `sign`."""
        self._order("mute", what)

    def unmute(self) -> None:
        self._order("unmute")

    def wait_held(self, count: int = 1, seconds: float = 10.0) -> None:
        """Waits until so many answers are kept back.

        :raises CardError: if that does not come.
        """
        self._order("wait_held", count, seconds)

    def refuse_signatures(self, status: int, count: int = 1) -> None:
        """The next signatures are answered with this status word, such as 0x6F00."""
        self._order("refuse", status, count)

    def corrupt_signatures(self, count: int = 1) -> None:
        self._order("corrupt", count)

    def remove_in_next_signature(self) -> None:
        self._order("drop")

    def set_tries(self, left: int) -> None:
        """So many tries of the PIN are left, as if others had been spent elsewhere."""
        self._order("tries", left)

    def order(self, do: str, *words: str) -> CardStatus | None:
        """An order as people type it: numbers as words, a status word in hexadecimal.

        :raises CardError: if it is none.
        """
        try:
            return self._order(do, *_arguments(do, words)).status
        except ValueError as error:
            raise CardError(f"{do}: {error}") from None

    def _order(self, do: str, *arguments: object) -> Reply:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            try:
                connection.connect(str(self._path))
                connection.sendall(msgspec.json.encode(Order(do, arguments)) + b"\n")
                with connection.makefile("rb") as lines:
                    line = lines.readline()
            except OSError as error:
                raise CardError(f"the card's rig does not answer: {error}") from None
        if not line:
            raise CardError("the card's rig has ended")
        reply = msgspec.json.decode(line, type=Reply)
        if reply.trouble is not None:
            raise CardError(reply.trouble)
        return reply


def _arguments(do: str, words: tuple[str, ...]) -> list[object]:
    match do, words:
        case "refuse", (status, *count):
            return [int(status, 16), *(map(int, count) if count else (1,))]
        case "corrupt" | "tries", _:
            return [int(word) for word in words or ("1",)]
        case "delay", _:
            return [float(word) for word in words]
        case "mute", ():
            return ["any"]
        case _:
            return [*words]
