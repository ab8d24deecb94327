"""Signed notes with Ed25519 keys, as C2SP signed-note has them."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ED25519: Final = b"\1"
_DASH: Final = "— "
MAX_NOTE: Final = 65_536
_KEY_ID: Final = 4


class BadNote(ValueError):
    """No signed note, no key, or a signature that is not right. The text says which."""


class OtherKey(BadNote):
    """A signed note that this key did not sign."""


class WrongSignature(BadNote):
    """A note that names this key, with a signature that is not right."""


def from_base64(text: str, what: str) -> bytes:
    """Only the one way to write it: a changed letter never reads as the same octets.

    :raises BadNote: for anything else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote(f"{what} is not base64") from None
    if to_base64(data) != text:
        raise BadNote(f"{what} is not base64 as it should be written")
    return data


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Verifier:
    """A log's public key with the log's name: written `<name>+<8 hex digits>+<base64>`."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises BadNote: if it is no such key, or its parts do not belong together."""
        name, _, rest = text.strip().partition("+")
        written, _, key = rest.partition("+")
        if not is_name(name) or not key:
            raise BadNote("this is no public key of a log: NAME+HASH+KEY is expected, as key.pub has it")
        data = from_base64(key, "the key")
        if len(data) != 33 or data[:1] != _ED25519:
            raise BadNote("this is no Ed25519 key of a log")
        found = cls(name, data[1:])
        if found.key_id.hex() != written:
            raise BadNote(
                "name, hash and key do not belong together: the text was changed or not copied whole"
            )
        return found

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(_ED25519 + self.public)}"

    def open(self, note: bytes) -> str:
        """The text that this key signed.

        :raises BadNote: if it did not.
        """
        text, signatures = _split(note)
        wanted, seen = f"{_DASH}{self.name} ", False
        for line in signatures:
            if not line.startswith(_DASH) or line.count(" ") != 2:
                raise BadNote("a signature line has not the form it should have")
            data = from_base64(line.rpartition(" ")[2], "a signature")
            if not line.startswith(wanted) or data[:_KEY_ID] != self.key_id:
                continue
            seen = True
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(data[_KEY_ID:], text.encode())
            except InvalidSignature:
                raise WrongSignature(
                    f"the signature by {self.name} is wrong: the text was changed after it"
                ) from None
        if not seen:
            names = ", ".join(sorted({line.split(" ")[1] for line in signatures}))
            raise OtherKey(f"it is not signed with this key of {self.name} but with one of {names}")
        return text


class Signer:
    """A log's private key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        if not is_name(name):
            raise BadNote(f"{name!r} is no name for a log: no spaces, no plus, not empty")
        self._key: Final = key
        self.verifier: Final = Verifier(name, key.public_key().public_bytes_raw())

    def derived(self, purpose: bytes) -> bytes:
        """32 octets that only who has this key can know, for something else than signing (HKDF, RFC 5869)."""
        return HKDF(SHA256(), 32, None, purpose).derive(self._key.private_bytes_raw())

    def sign(self, text: str) -> bytes:
        """:param text: with the line end of its last line."""
        signature = to_base64(self.verifier.key_id + self._key.sign(text.encode()))
        return f"{text}\n{_DASH}{self.verifier.name} {signature}\n".encode()


def is_name(name: str) -> bool:
    return bool(name) and "+" not in name and name.isprintable() and not any(map(str.isspace, name))


def _split(note: bytes) -> tuple[str, list[str]]:
    if len(note) > MAX_NOTE:
        raise BadNote("it is too long for a signed note")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise BadNote("it is no text") from None
    if any(letter < " " and letter != "\n" for letter in whole):
        raise BadNote("it has control characters")
    text, blank, signatures = whole.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise BadNote("it is no signed note, or it was cut")
    return f"{text}\n", signatures[:-1].split("\n")
