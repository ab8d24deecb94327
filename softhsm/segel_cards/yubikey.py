"""The same card posing as a YubiKey 5.2.7, as Yubico's own module wants it."""

from segel_cards.apdu import Command, Refusal, Sw
from segel_cards.piv import PivCard

_VERSION, _SERIAL = 0xFD, 0xF8


class YubiKey(PivCard):
    def extra(self, command: Command) -> bytes:
        if command.ins == _VERSION:
            return bytes([5, 2, 7])
        if command.ins == _SERIAL:
            return self._memory.number.to_bytes(4, "big")
        raise Refusal(Sw.UNKNOWN_COMMAND)
