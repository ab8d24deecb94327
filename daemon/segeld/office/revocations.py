"""Who was shut out: callers by name, certificates by fingerprint. Durable, and asked on every call."""

import re
from typing import Final

import msgspec

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records

PREFIX: Final = "revoked/"
_FINGERPRINT: Final = re.compile(r"sha256-[0-9a-f]{64}")


class Revocation(msgspec.Struct, frozen=True):
    at: float
    """Seconds since the epoch."""
    by: str
    """An officer's name."""
    why: str


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

    async def load(self) -> None:
        for name, value in (await self._records.records(PREFIX)).items():
            self._set(name.removeprefix(PREFIX), _DECODER.decode(value))

    def of_name(self, name: str) -> Revocation | None:
        return self._names.get(name)

    def of_certificate(self, fingerprint: bytes) -> Revocation | None:
        return self._certificates.get(fingerprint)

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

    async def keep(self, subject: str, revocation: Revocation | None, leaf: Act) -> None:
        """Writes it with its leaf; None lets the subject in again.

        :raises Fault: if it cannot be written: nothing has changed then.
        """
        value = None if revocation is None else _ENCODER.encode(revocation)
        await self._records.keep({PREFIX + subject: value}, leaf)
        self._set(subject, revocation)

    def _set(self, subject: str, revocation: Revocation | None) -> None:
        if is_fingerprint(subject):
            self._certificates.pop(_octets(subject), None)
            if revocation is not None:
                self._certificates[_octets(subject)] = revocation
        else:
            self._names.pop(subject, None)
            if revocation is not None:
                self._names[subject] = revocation


def _octets(subject: str) -> bytes:
    return bytes.fromhex(subject.removeprefix("sha256-"))
