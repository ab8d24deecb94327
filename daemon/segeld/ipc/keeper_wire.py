"""Front and keeper: the front says which token may have its PIN; the PIN itself comes back to nobody."""

from typing import Final

import msgspec

from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Reason


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    token: str


class HoldPin(_Frame, frozen=True):
    """Hold this PIN, typed by an officer, for a token. Replaces the one held."""

    pin: msgspec.Raw


class HoldFile(_Frame, frozen=True):
    """Read the PIN from a file that belongs to root or this user and that nobody else can read."""

    path: str


class HoldDescriptor(_Frame, frozen=True):
    """Read the PIN from an inherited descriptor, to its end, and close it."""

    descriptor: int


class Lend(_Frame, frozen=True):
    """Give the PIN to one worker: the socket to it travels beside this frame (SCM_RIGHTS)."""

    worker: int


class Forget(_Frame, frozen=True):
    """Wipe the PIN; lends that wait are answered without an outcome."""

    refused_too: bool
    """Forget as well which PINs were refused: an officer's act."""


class Holding(_Frame, frozen=True):
    """The PIN is held."""


class NotHeld(_Frame, frozen=True):
    """The PIN is not held, and why: refused before, file unreadable, wrong length."""

    reason: Reason
    text: str


class Lent(_Frame, frozen=True):
    """A lend ended. `outcome` is None if no attempt was made (no PIN held), or the worker died meanwhile."""

    worker: int
    outcome: LoginOutcome | None
    ckr: int
    flags: tuple[str, ...]
    died: bool = False


class Forgotten(_Frame, frozen=True):
    pass


Request = HoldPin | HoldFile | HoldDescriptor | Lend | Forget
Answer = Holding | NotHeld | Lent | Forgotten

REQUESTS: Final = msgspec.msgpack.Decoder(Request)
ANSWERS: Final = msgspec.msgpack.Decoder(Answer)
