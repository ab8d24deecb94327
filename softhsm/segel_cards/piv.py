"""The card's own side of NIST SP 800-73: enough to list it, verify, change and unblock the PIN, and sign.

Nothing here knows of readers, sockets or faults.
"""

from collections.abc import Callable
from typing import Final

from segel_cards import keys
from segel_cards.apdu import Chaining, Command, Refusal, Sw, word
from segel_cards.memory import Stored
from segel_cards.objects import AID, answer_to_select, data_objects
from segel_cards.tlv import read, tlv

SIGNS: Final = 0x87
VERIFIES: Final = 0x20
_PIN, _PUK = 0x80, 0x81
_PIN_OCTETS: Final = 8
_NO_PIN: Final = "9E"
_PIN_ALWAYS: Final = "9C"


class PivCard:
    """The application. `reset` is what loss of power does."""

    def __init__(self, stored: Stored) -> None:
        self._stored: Final = stored
        self._memory: Final = stored.memory
        self._keys: Final = {slot: keys.load(key.private) for slot, key in self._memory.keys.items()}
        self._objects: Final = data_objects(self._memory)
        self._commands: Final[dict[int, Callable[[Command], bytes]]] = {
            0xA4: self._select,
            0xCB: self._get_data,
            VERIFIES: self._verify,
            0x24: self._change,
            0x2C: self._unblock,
            SIGNS: self._sign,
        }
        self.reset()

    def reset(self) -> None:
        self._selected = self._verified = self._fresh = False
        self._chaining = Chaining()

    def answer(self, frame: bytes) -> bytes:
        """One command's answer, with its status word."""
        try:
            command = Command.parse(frame)
            whole = self._chaining.whole(command)
            if whole is not None:
                self._chaining.keep(self._do(whole))
            return self._chaining.next(command.expected)
        except Refusal as refusal:
            return word(refusal.word)

    def slot_of(self, frame: bytes) -> str | None:
        """The key that a command signs with; None if it does not, or more of it follows."""
        signs = len(frame) > 4 and frame[1] == SIGNS and not frame[0] & 0x10
        return f"{frame[3]:02X}" if signs else None

    def _do(self, command: Command) -> bytes:
        if command.ins != 0xA4 and not self._selected:
            raise Refusal(Sw.UNKNOWN_COMMAND)
        does = self._commands.get(command.ins, self.extra)
        try:
            return does(command)
        finally:
            # Only the command right before a signature with 9C may have been its VERIFY.
            self._fresh = self._fresh and command.ins == VERIFIES

    def extra(self, command: Command) -> bytes:  # noqa: ARG002
        """What a vendor's card understands besides."""
        raise Refusal(Sw.UNKNOWN_COMMAND)

    def _select(self, command: Command) -> bytes:
        if command.data[:5] != AID[:5]:
            raise Refusal(Sw.NOT_FOUND)
        self._selected = True
        return answer_to_select()

    def _get_data(self, command: Command) -> bytes:
        tag = command.data[2 : 2 + command.data[1]] if len(command.data) > 2 else b""
        try:
            return self._objects[int.from_bytes(tag, "big")]
        except KeyError:
            raise Refusal(Sw.NOT_FOUND) from None

    def _verify(self, command: Command) -> bytes:
        if command.p2 != _PIN:
            raise Refusal(Sw.NO_REFERENCE)
        if command.p1 == 0xFF:
            self._verified = False
        elif command.data:
            self._memory.counters.verifies += 1
            self._match_pin(command.data)
            self._verified = self._fresh = True
        elif not self._verified:
            raise Refusal(_tries_left(self._memory.pin_tries))
        return b""

    def _change(self, command: Command) -> bytes:
        self._memory.counters.changes += 1
        old, new = _two(command.data)
        if command.p2 == _PIN:
            self._match_pin(old)
            self._memory.pin = new.rstrip(b"\xff").decode()
            self._verified = True
        elif command.p2 == _PUK:
            self._match_puk(old)
            self._memory.puk = new.rstrip(b"\xff").decode("latin-1")
        else:
            raise Refusal(Sw.NO_REFERENCE)
        self._stored.save()
        return b""

    def _unblock(self, command: Command) -> bytes:
        if command.p2 != _PIN:
            raise Refusal(Sw.NO_REFERENCE)
        self._memory.counters.unblocks += 1
        puk, new = _two(command.data)
        self._match_puk(puk)
        self._memory.pin, self._memory.pin_tries = new.rstrip(b"\xff").decode(), self._memory.max_tries
        self._stored.save()
        return b""

    def _sign(self, command: Command) -> bytes:
        slot = f"{command.p2:02X}"
        key = self._keys.get(slot)
        if key is None:
            raise Refusal(Sw.NO_REFERENCE)
        if command.p1 != keys.ALGORITHMS[self._memory.keys[slot].kind]:
            raise Refusal(Sw.WRONG_P1_P2)
        if (slot != _NO_PIN and not self._verified) or (slot == _PIN_ALWAYS and not self._fresh):
            raise Refusal(Sw.NOT_ALLOWED)
        try:
            data = read(read(command.data)[0x7C])[0x81]
        except (KeyError, ValueError):
            raise Refusal(Sw.WRONG_DATA) from None
        signature = keys.sign(key, data)
        if signature is None:
            raise Refusal(Sw.WRONG_DATA)
        signatures = self._memory.counters.signatures
        signatures[slot] = signatures.get(slot, 0) + 1
        return tlv(0x7C, tlv(0x82, signature))

    def _match_pin(self, given: bytes) -> None:
        """:raises Refusal: unless it is the PIN. A try is gone before the PIN is looked at, as on a real card."""
        memory = self._memory
        if len(given) != _PIN_OCTETS:
            raise Refusal(Sw.WRONG_DATA)
        if memory.pin_tries == 0:
            self._stored.save()
            raise Refusal(Sw.BLOCKED)
        memory.pin_tries -= 1
        right = given == _padded(memory.pin)
        if right:
            memory.pin_tries = memory.max_tries
        else:
            memory.counters.wrong_pins += 1
        self._stored.save()
        if not right:
            self._verified = False
            raise Refusal(_tries_left(memory.pin_tries))

    def _match_puk(self, given: bytes) -> None:
        memory = self._memory
        if memory.puk_tries == 0:
            raise Refusal(Sw.BLOCKED)
        right = given == _padded(memory.puk)
        memory.puk_tries = memory.max_tries if right else memory.puk_tries - 1
        self._stored.save()
        if not right:
            raise Refusal(_tries_left(memory.puk_tries))


def _two(data: bytes) -> tuple[bytes, bytes]:
    """What is there and what is to be. A new PIN that is none costs no try."""
    old, new = data[:_PIN_OCTETS], data[_PIN_OCTETS:]
    if len(new) != _PIN_OCTETS or len(new.rstrip(b"\xff")) < 6:
        raise Refusal(Sw.WRONG_DATA)
    return old, new


def _padded(pin: str) -> bytes:
    return pin.encode("latin-1").ljust(_PIN_OCTETS, b"\xff")


def _tries_left(tries: int) -> int:
    return Sw.TRIES_LEFT | tries if tries else Sw.BLOCKED
