"""Who was shut out: callers by name, certificates by fingerprint. Durable, and asked on every call."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records

PREFIX: Final = "revoked/"
REMEMBERED: Final = 30 * 86_400.0
"""Seconds for which it is kept that a certificate was let in again: ten times as long as an approval can be of use."""
_FINGERPRINT: Final = re.compile(r"sha256-[0-9a-f]{64}")


class Revocation(msgspec.Struct, frozen=True):
    at: float
    """Seconds since the epoch."""
    by: str
    """An officer's name."""
    why: str
    sans: tuple[str, ...] = ()
    """What a caller was known by: shut out with it, also under another name."""
    let_in: int = 0
    """How often a certificate was let in again."""
    over: float = 0.0
    """Since when it is let in, seconds since the epoch; 0: it is shut out."""

    @property
    def stamp(self) -> int:
        """When it was shut out, microseconds since the epoch: tells one revocation of a caller from another."""
        return round(self.at * 1e6)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Revocation)


def is_fingerprint(text: str) -> bool:
    """Whether it is a certificate's: sha256- and the SHA-256 of the DER in hex."""
    return _FINGERPRINT.fullmatch(text) is not None


def fingerprint_text(fingerprint: bytes) -> str:
    return f"sha256-{fingerprint.hex()}"


class Revocations:
    """By a caller's name or a certificate's `sha256-…`. Memory follows the database."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._names: dict[str, Revocation] = {}
        self._certificates: dict[bytes, Revocation] = {}
        self._over: dict[bytes, Revocation] = {}
        """Certificates that were let in again."""
        self._sans: dict[str, str] = {}
        """What revoked callers were known by, and their names."""

    async def load(self) -> None:
        for name, value in (await self._records.records(PREFIX)).items():
            self._set(name.removeprefix(PREFIX), _DECODER.decode(value))

    def of_name(self, name: str) -> Revocation | None:
        return self._names.get(name)

    def of_certificate(self, fingerprint: bytes) -> Revocation | None:
        return self._certificates.get(fingerprint)

    def of_sans(self, sans: Iterable[str]) -> str:
        """The name of a revoked caller who was known by one of these; empty if there is none."""
        return next((self._sans[san] for san in sans if san in self._sans), "")

    def let_in(self, fingerprint: bytes) -> int:
        """How often a certificate was let in again, lately."""
        found = self._certificates.get(fingerprint) or self._over.get(fingerprint)
        return 0 if found is None else found.let_in

    def of(self, subject: str) -> Revocation | None:
        """:param subject: a caller's name or a certificate's sha256-…."""
        return (
            self._certificates.get(_octets(subject)) if is_fingerprint(subject) else self._names.get(subject)
        )

    @property
    def names(self) -> dict[str, Revocation]:
        return dict(sorted(self._names.items()))

    @property
    def certificates(self) -> dict[bytes, Revocation]:
        return dict(sorted(self._certificates.items()))

    async def add(self, subject: str, revocation: Revocation, leaf: Act) -> None:
        """Shuts the subject out, and writes it with its leaf.

        :raises Fault: if it cannot be written: nothing has changed then.
        """
        if is_fingerprint(subject):
            revocation = replace(revocation, let_in=self.let_in(_octets(subject)))
        await self._records.keep({PREFIX + subject: _ENCODER.encode(revocation)}, leaf)
        self._set(subject, revocation)

    async def end(self, subject: str, leaf: Act, at: float) -> None:
        """Lets the subject in again, and writes it with its leaf. Of a certificate it stays known for a while.

        :raises Fault: if it cannot be written: nothing has changed then.
        """
        over, writes = None, dict.fromkeys(self._forgotten(at))
        if is_fingerprint(subject):
            before = self._certificates[_octets(subject)]
            over = replace(before, let_in=before.let_in + 1, over=at)
        writes[PREFIX + subject] = None if over is None else _ENCODER.encode(over)
        await self._records.keep(writes, leaf)
        self._set(subject, over)
        for name in writes.keys() - {PREFIX + subject}:
            self._set(name.removeprefix(PREFIX), None)

    def _forgotten(self, at: float) -> list[str]:
        """Records that nobody needs any more."""
        return [
            PREFIX + fingerprint_text(fingerprint)
            for fingerprint, each in self._over.items()
            if at - each.over > REMEMBERED
        ]

    def _set(self, subject: str, revocation: Revocation | None) -> None:
        if is_fingerprint(subject):
            fingerprint = _octets(subject)
            self._certificates.pop(fingerprint, None)
            self._over.pop(fingerprint, None)
            if revocation is not None:
                (self._over if revocation.over else self._certificates)[fingerprint] = revocation
            return
        self._names.pop(subject, None)
        if revocation is not None:
            self._names[subject] = revocation
        self._sans = {san: name for name, each in self._names.items() for san in each.sans}


def _octets(subject: str) -> bytes:
    return bytes.fromhex(subject.removeprefix("sha256-"))
