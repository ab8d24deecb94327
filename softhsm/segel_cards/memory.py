"""What the card remembers without power: PINs, tries, keys, and what it has counted. One JSON file, written at once."""

import secrets
from pathlib import Path
from typing import Final, Self

import msgspec

from segel_cards import keys
from segel_cards.errors import CardError
from segel_cards.status import Counters

PIN: Final = "123456"
PUK: Final = "12345678"
SLOTS: Final = {"9A": "rsa2048", "9C": "rsa2048", "9D": "p256", "9E": "p256"}
"""Authentication, signature (the PIN before each), key management, card authentication (no PIN)."""
CARD_NAME: Final = "segel test card"
"""Common name of the certificate in 9A. OpenSC makes the token's label of it."""


class Key(msgspec.Struct):
    kind: str
    private: bytes
    certificate: bytes


class Memory(msgspec.Struct):
    """The card's state. Change it, then `save`: it is on disk before the card answers."""

    guid: bytes
    number: int
    """The serial number that a YubiKey shows."""
    keys: dict[str, Key]
    pin: str = PIN
    puk: str = PUK
    pin_tries: int = 3
    puk_tries: int = 3
    max_tries: int = 3
    counters: Counters = msgspec.field(default_factory=Counters)

    @classmethod
    def open(cls, folder: Path, slots: dict[str, str]) -> "Stored":
        """The card of this folder; made if there is none.

        :raises CardError: if what is there is no card.
        """
        path = folder / "card.json"
        if path.exists():
            try:
                return Stored(path, msgspec.json.decode(path.read_bytes(), type=cls))
            except msgspec.DecodeError as error:
                raise CardError(f"{path} is not a card: {error}. Delete it to make a new one.") from None
        stored = Stored(path, cls._new(slots))
        stored.save()
        return stored

    @classmethod
    def _new(cls, slots: dict[str, str]) -> Self:
        made = {}
        for slot, kind in slots.items():
            private = keys.generate(kind)
            name = CARD_NAME if slot == "9A" else f"{CARD_NAME} {slot}"
            made[slot] = Key(kind, private, keys.certify(keys.load(private), name, int(slot, 16)))
        return cls(secrets.token_bytes(16), 10_000_000 + secrets.randbelow(10_000_000), made)


class Stored:
    """A card's memory and its file."""

    def __init__(self, path: Path, memory: Memory) -> None:
        self._path: Final = path
        self.memory: Final = memory

    def save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self.memory))
        new.replace(self._path)
