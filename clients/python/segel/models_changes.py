"""What the daemon says about changes, as plain frozen values; and what can be asked for."""

import datetime as dt
import enum
from dataclasses import dataclass

__all__ = [
    "Action",
    "AdoptLog",
    "ApplyPolicy",
    "Change",
    "ChangeState",
    "Changes",
    "DestroyKey",
    "EnableKey",
    "InitializeToken",
    "UnblockPin",
    "UnrevokeCaller",
]


@dataclass(frozen=True, slots=True)
class InitializeToken:
    """Erases a token, or makes a blank one usable. Secrets: so_pin, new_pin."""

    token: str
    """``tokens/…``, as configured."""
    slot: str = ""
    """``modules/…/slots/…`` of a blank token; empty: the token is found as configured."""
    label: str = ""
    """Empty: the configured one."""


@dataclass(frozen=True, slots=True)
class UnblockPin:
    """Sets a new user PIN by the SO PIN. Secrets: so_pin, new_pin."""

    token: str


@dataclass(frozen=True, slots=True)
class DestroyKey:
    """Removes a key from its tokens for ever. It must have been disabled for 30 days."""

    key: str
    """``keys/sha256-…``"""


@dataclass(frozen=True, slots=True)
class EnableKey:
    """Lets a disabled key sign again."""

    key: str


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """Puts a policy in force."""

    toml: str
    base: bytes = b""
    """SHA-256 of the policy that it was made from; empty when it is asked for: the one in force."""


@dataclass(frozen=True, slots=True)
class UnrevokeCaller:
    """Lets a revoked caller or certificate in again."""

    caller: str
    """A caller's name, or ``sha256-…`` of a certificate."""


@dataclass(frozen=True, slots=True)
class AdoptLog:
    """Lets a restored database begin a new log that continues the old one."""


Action = InitializeToken | UnblockPin | DestroyKey | EnableKey | ApplyPolicy | UnrevokeCaller | AdoptLog


class ChangeState(enum.StrEnum):
    """How far a change has come."""

    WAITING = "waiting"
    """It waits for another officer."""
    APPROVED = "approved"
    """Whoever asked for it can run it."""
    RUNNING = "running"
    """It is being run; after a crash of the daemon it may have been run, wholly or in part."""
    DONE = "done"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    """It was run and failed in a way that left something changed."""
    UNKNOWN = "unknown"
    """The daemon is newer than this library and says something that it cannot know."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one officer asks for, another approves, and the first then runs."""

    name: str
    """``changes/…``; empty for what was only asked about."""
    state: ChangeState
    state_reason: str
    """For people: why, and what comes next with the command to run."""
    action: Action | None
    """In a list, a policy's text is left out. None if this library does not know it."""
    summary: tuple[str, ...]
    """The first line says it all; the others, which a list leaves out, name what is gained or lost."""
    action_hash: bytes
    """What an approval is for."""
    requested_by: str
    decided_by: str
    """Empty if nobody had to decide, or nobody has."""
    create_time: dt.datetime | None
    decide_time: dt.datetime | None
    end_time: dt.datetime | None
    expire_time: dt.datetime | None
    secrets: tuple[str, ...]
    """What running it needs: ``so_pin``, ``new_pin``."""

    @property
    def number(self) -> str:
        return self.name.removeprefix("changes/")


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes, the newest first."""

    changes: tuple[Change, ...]
    two_person: bool
    """False if one officer can do everything."""
