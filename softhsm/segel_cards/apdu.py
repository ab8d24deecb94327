"""Commands and answers of a smart card (ISO/IEC 7816-4): short and extended lengths, chaining, GET RESPONSE."""

import enum
from dataclasses import dataclass
from typing import Final, Self

_CHAINED: Final = 0x10
_GET_RESPONSE: Final = 0xC0


class Sw(enum.IntEnum):
    """Status words."""

    OK = 0x9000
    TRIES_LEFT = 0x63C0
    """With the number of tries in the last four bits."""
    WRONG_LENGTH = 0x6700
    NOT_ALLOWED = 0x6982
    BLOCKED = 0x6983
    WRONG_DATA = 0x6A80
    NOT_FOUND = 0x6A82
    WRONG_P1_P2 = 0x6A86
    NO_REFERENCE = 0x6A88
    UNKNOWN_COMMAND = 0x6D00
    INTERNAL = 0x6F00


class Refusal(Exception):
    """The card answers with a status word other than 9000."""

    def __init__(self, word: int) -> None:
        super().__init__(f"{word:04x}")
        self.word: Final = word


@dataclass(frozen=True, slots=True)
class Command:
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    expected: int
    """Octets that the host takes at once."""

    @classmethod
    def parse(cls, frame: bytes) -> Self:
        """:raises Refusal: if it is none."""
        if len(frame) < 4:
            raise Refusal(Sw.WRONG_LENGTH)
        data, expected = _body(frame[4:])
        cla, ins, p1, p2 = frame[:4]
        return cls(cla, ins, p1, p2, data, expected)

    @property
    def chained(self) -> bool:
        """More of it follows."""
        return bool(self.cla & _CHAINED)


class Chaining:
    """Puts chained commands together, and takes long answers apart."""

    def __init__(self) -> None:
        self._begun = b""
        self._left = b""

    def whole(self, command: Command) -> Command | None:
        """The command with the data of those before it; None if more of it follows, or it asks for the rest."""
        if command.ins == _GET_RESPONSE:
            return None
        self._left = b""
        self._begun += command.data
        if command.chained:
            return None
        data, self._begun = self._begun, b""
        return Command(command.cla, command.ins, command.p1, command.p2, data, command.expected)

    def keep(self, answer: bytes) -> None:
        self._left = answer

    def next(self, expected: int) -> bytes:
        """What of the answer goes out now, with its status word."""
        now, self._left = self._left[:expected], self._left[expected:]
        if self._left:
            return now + bytes([0x61, min(len(self._left), 0x100) & 0xFF])
        return now + word(Sw.OK)


def word(status: int) -> bytes:
    return status.to_bytes(2, "big")


def _body(body: bytes) -> tuple[bytes, int]:
    """Lc, data and Le (section 5.1): what was sent, and how much may come back."""
    if not body:
        return b"", 0x100
    if len(body) == 1:
        return b"", body[0] or 0x100
    if body[0] == 0 and len(body) >= 3:
        size = int.from_bytes(body[1:3], "big")
        if len(body) == 3:
            return b"", size or 0x10000
        return _cut(body[3:], size), 0x10000
    data = _cut(body[1:], body[0])
    return data, (body[1 + len(data)] or 0x100) if len(body) > 1 + len(data) else 0x100


def _cut(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise Refusal(Sw.WRONG_LENGTH)
    return data[:size]
