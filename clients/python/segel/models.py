"""What the daemon says about keys, slots, tokens, callers and jobs, as plain frozen values."""

import datetime as dt
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from segel._algorithms import Algorithm
from segel._job import Job, JobState
from segel.errors import SegelError

__all__ = [
    "Failure",
    "Job",
    "JobState",
    "Key",
    "KeyState",
    "Signature",
    "Slot",
    "SlotToken",
    "Slots",
    "Token",
    "TokenKey",
    "TokenState",
    "WhoAmI",
]


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Who the daemon thinks the client is."""

    caller: str
    """The policy's name."""
    role: str
    """``caller``, ``officer``, ``auditor`` or ``approver``."""
    identity: str
    """The name in the certificate that decided, for example ``uri:spiffe://example/backoffice``."""
    daemon_version: str


class KeyState(enum.StrEnum):
    """Whether a key can sign now."""

    ACTIVE = "active"
    UNAVAILABLE = "unavailable"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"
    """The daemon is newer than this library and says something that it cannot know."""


@dataclass(frozen=True, slots=True)
class Key:
    """One public key; its private half stays on tokens."""

    name: str
    """Immutable: ``keys/sha256-`` and 64 hex digits, SHA-256 of the SubjectPublicKeyInfo."""
    aliases: tuple[str, ...]
    """Names that an officer gave, for example ``keys/seal-2026``."""
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    certificate_chain: tuple[bytes, ...]
    """DER, the key's own certificate first; empty if there is none."""
    algorithms: tuple[Algorithm, ...]
    """What the caller may ask for, the default first."""
    state: KeyState
    state_reason: str
    """For people: why it cannot sign, and who can help. Empty when active."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One item that was signed. The daemon verified the signature before it released it."""

    value: bytes
    id: str = ""
    """The id that was given with the digest; empty if none was."""
    index: int | None = None
    """The place in the job, from 0; None outside of jobs."""
    log_origin: str = ""
    """The receipt: the audit log that records it, by the origin of its checkpoints; empty if there is none."""
    leaf_index: int | None = None
    """The receipt: the leaf of that log."""
    leaf_position: int | None = None
    """The receipt: the position in that leaf."""

    def __bytes__(self) -> bytes:
        return self.value


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that was not signed, and why."""

    error: SegelError
    id: str = ""
    """The id that was given with the digest; empty if none was."""
    index: int | None = None
    """The place in the job, from 0; None outside of jobs."""


@dataclass(frozen=True, slots=True)
class SlotToken:
    """What a slot says of the token in it (PKCS #11, CK_TOKEN_INFO)."""

    label: str
    serial: str
    manufacturer: str
    model: str
    flags: tuple[str, ...]
    """Those that are set, for example ``CKF_USER_PIN_COUNT_LOW``."""
    token: str | None
    """``tokens/…`` if the daemon is configured to use it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of a module (PKCS #11, CK_SLOT_INFO)."""

    name: str
    """``modules/{module}/slots/{slot id}``; ids may change when a module is loaded anew."""
    description: str
    manufacturer: str
    token: SlotToken | None
    """None if the slot is empty."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of every configured module. Iterates over the slots."""

    slots: tuple[Slot, ...]
    unreachable: tuple[str, ...]
    """Modules that could not be asked, one sentence each."""

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots)

    def __len__(self) -> int:
        return len(self.slots)


class TokenState(enum.StrEnum):
    """What a token is doing."""

    ABSENT = "absent"
    INACTIVE = "inactive"
    STARTING = "starting"
    ACTIVE = "active"
    RECOVERING = "recovering"
    LOCKED = "locked"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The daemon is newer than this library and says something that it cannot know."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key as it lies on one token."""

    name: str | None
    """``tokens/{token}/keys/sha256-…``; None if the public key is not known."""
    key: str | None
    """``keys/sha256-…``; None if the public key is not known."""
    label: str
    id: bytes
    """CKA_ID."""
    kind: str
    """For people, for example ``RSA-2048``."""
    unusable_reason: str
    """Empty if it can be used."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the daemon is configured to use."""

    name: str
    """``tokens/…``."""
    state: TokenState
    state_reason: str
    """For people: why, and what to do. Empty when active."""
    state_time: dt.datetime | None
    """When it came into this state, with time zone UTC."""
    label: str
    serial: str
    manufacturer: str
    model: str
    flags: tuple[str, ...]
    workers_ready: int
    workers_configured: int
    keys: tuple[TokenKey, ...]
    pin_source: str
    """``prompt``, ``file``, ``credential``, ``descriptor`` or ``pad``."""
    active_until: dt.datetime | None = None
    """When its activation ends by itself; None if an officer ends it."""
    signatures_left: int | None = None
    """How many signatures it may still make before it is deactivated; None: any number. Probes are not counted."""
    waiting_items: int = 0
    """How many items wait for its keys, those of jobs that are on disk too."""
    pin_tries: str = ""
    """What its flags say of the PIN tries that are left. Empty if it was not seen yet."""
