"""Names of resources as values. Strings end here: below the edge nobody compares text."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

_WORD: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_FINGERPRINT: Final = re.compile(r"sha256-[0-9a-f]{64}")
_JOB: Final = re.compile(r"jobs/[0-9a-f]{32}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class BadName(ValueError):
    """A name that has not the form its kind asks for. The text says which form."""


def _word(text: str, what: str) -> str:
    if not _WORD.fullmatch(text) or _FINGERPRINT.fullmatch(text):
        raise BadName(
            f"{text!r} is no name for {what}: 1 to 63 of a-z 0-9 . _ - that begin and end with a letter or digit"
        )
    return text


@dataclass(frozen=True, slots=True, order=True)
class KeyName:
    """A key's immutable name: SHA-256 of its DER SubjectPublicKeyInfo (RFC 5280 section 4.1)."""

    fingerprint: bytes

    @classmethod
    def of(cls, public_key: bytes) -> Self:
        return cls(hashlib.sha256(public_key).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `keys/sha256-…` or `sha256-…`.

        :raises BadName: for anything else.
        """
        tail = text.removeprefix("keys/")
        if not _FINGERPRINT.fullmatch(tail):
            raise BadName(f"{text!r} is no key name: keys/sha256- and 64 hex digits in lower case")
        return cls(bytes.fromhex(tail.removeprefix("sha256-")))

    def __str__(self) -> str:
        return f"keys/sha256-{self.fingerprint.hex()}"


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """An officer-given name for one or more keys: `keys/seal-2026`."""

    word: str

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_word(text.removeprefix("keys/"), "an alias"))

    def __str__(self) -> str:
        return f"keys/{self.word}"


def parse_key_or_alias(text: str) -> KeyName | Alias:
    """Reads what a caller may put in a `key` field.

    :raises BadName: if it is neither.
    """
    if not text.startswith("keys/"):
        raise BadName(f"{text!r} is no key: it begins with keys/")
    return KeyName.parse(text) if _FINGERPRINT.fullmatch(text.removeprefix("keys/")) else Alias.parse(text)


@dataclass(frozen=True, slots=True, order=True)
class TokenName:
    """The configured name of a token: `tokens/payroll`."""

    word: str

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_word(text.removeprefix("tokens/"), "a token"))

    def __str__(self) -> str:
        return f"tokens/{self.word}"


@dataclass(frozen=True, slots=True, order=True)
class JobName:
    """The name of a job: 128 random bits, so that none can be guessed."""

    token: bytes

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_bytes(16))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `jobs/…`.

        :raises BadName: for anything else.
        """
        if not _JOB.fullmatch(text):
            raise BadName(f"{text!r} is no job name: jobs/ and 32 hex digits in lower case")
        return cls(bytes.fromhex(text.removeprefix("jobs/")))

    def __str__(self) -> str:
        return f"jobs/{self.token.hex()}"


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None
