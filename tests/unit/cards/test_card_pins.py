"""The card's PIN against everything a host may send: no order of commands gets more tries than there are."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import sampled_from

from segel_cards.memory import PIN, PUK, Memory, Stored
from segel_cards.piv import PivCard

SELECT = bytes.fromhex("00A4040005A000000308")
OTHERS = ("000000", "654321", "12345678", PIN)
PINS = sampled_from((PIN, *OTHERS))
PUKS = sampled_from((PUK, "87654321", "00000000"))


class Kept(Stored):
    """A memory without a disk."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(Path("/nowhere"), memory)
        self.saved = 0

    def save(self) -> None:
        self.saved += 1


def padded(pin: str) -> bytes:
    return pin.encode().ljust(8, b"\xff")


def verify(card: PivCard, pin: str) -> bytes:
    return card.answer(bytes([0, 0x20, 0, 0x80, 8]) + padded(pin))


def change(card: PivCard, what: int, old: str, new: str) -> bytes:
    return card.answer(bytes([0, 0x24, 0, what, 16]) + padded(old) + padded(new))


def unblock(card: PivCard, puk: str, new: str) -> bytes:
    return card.answer(bytes([0, 0x2C, 0, 0x80, 16]) + padded(puk) + padded(new))


class Tries(RuleBasedStateMachine):
    """Against a model of three numbers."""

    @initialize()
    def insert(self) -> None:
        self.memory = Memory(bytes(16), 1, {})
        self.card = PivCard(Kept(self.memory))
        self.pin, self.puk, self.tries, self.puk_tries = PIN, PUK, 3, 3
        assert self.card.answer(SELECT)[-2:] == b"\x90\0"

    @rule(pin=PINS)
    def verify(self, pin: str) -> None:
        assert verify(self.card, pin) == self._expected(pin)

    @rule(old=PINS, new=PINS)
    def change(self, old: str, new: str) -> None:
        expected = self._expected(old)
        assert change(self.card, 0x80, old, new) == expected
        if expected == b"\x90\0":
            self.pin = new

    @rule(puk=PUKS, new=PINS)
    def unblock(self, puk: str, new: str) -> None:
        answer = unblock(self.card, puk, new)
        if not self.puk_tries:
            assert answer == b"\x69\x83"
        elif puk == self.puk:
            assert answer == b"\x90\0"
            self.pin, self.tries, self.puk_tries = new, 3, 3
        else:
            self.puk_tries -= 1
            assert answer == (bytes([0x63, 0xC0 | self.puk_tries]) if self.puk_tries else b"\x69\x83")

    @rule()
    def lose_power(self) -> None:
        self.card.reset()
        assert self.card.answer(SELECT)[-2:] == b"\x90\0"

    @rule()
    def ask_for_tries(self) -> None:
        """Costs none."""
        assert self.card.answer(bytes([0, 0x20, 0, 0x80]))[:1] in (b"\x90", b"\x63", b"\x69")

    @invariant()
    def counts_agree(self) -> None:
        assert (self.memory.pin_tries, self.memory.puk_tries) == (self.tries, self.puk_tries)
        assert 0 <= self.memory.pin_tries <= 3

    def _expected(self, pin: str) -> bytes:
        if not self.tries:
            return b"\x69\x83"
        self.tries = 3 if pin == self.pin else self.tries - 1
        if self.tries == 3:
            return b"\x90\0"
        return bytes([0x63, 0xC0 | self.tries]) if self.tries else b"\x69\x83"


TestTries = Tries.TestCase
TestTries.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_new_pin_that_is_none_costs_no_try() -> None:
    memory = Memory(bytes(16), 1, {})
    card = PivCard(Kept(memory))
    card.answer(SELECT)
    assert change(card, 0x80, "999999", "123") == b"\x6a\x80"
    assert memory.pin_tries == 3


@pytest.mark.parametrize("new", ["123456", "12345678"])
def test_the_memory_is_saved_before_the_answer(new: str) -> None:
    kept = Kept(Memory(bytes(16), 1, {}))
    card = PivCard(kept)
    card.answer(SELECT)
    verify(card, "999999")
    assert kept.saved == 1
    change(card, 0x80, PIN, new)
    assert kept.saved == 3
