"""Front and keeper: the front says which token may have its PIN; the PIN itself comes back to nobody.

The keeper reaches no file. What it must remember across restarts, a `Record` for each device, the front is told before a
login and after it, and writes down; the keeper goes on when it hears `Recorded`.
"""

import enum
from typing import Final

import msgspec

from segeld.ipc.pin_wire import NO_PIN, LoginOutcome
from segeld.model.faults import Reason


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered of one device's PINs, each by its fingerprint: never a PIN."""

    refused: tuple[bytes, ...] = ()
    """The token did not take these: none is tried again by itself."""
    open: dict[bytes, int] = {}
    """How many attempts with these ended without an answer, the one under way among them."""
    unsure: bool = False
    """There may be more: an earlier record was lost, and the token has taken no PIN since."""


class NotLent(enum.StrEnum):
    """Why a worker got no PIN. But for GONE and UNRECORDED, the keeper has wiped the PIN."""

    GONE = "gone"
    """No PIN is held."""
    REFUSED = "refused"
    """The token refused this PIN before."""
    OPEN = "open"
    """Two attempts with it ended without an answer."""
    DISTRUST = "distrust"
    """One attempt ended without an answer, and the token's flags are not known to tell how many tries are left."""
    UNRECORDED = "unrecorded"
    """The front could not write the attempt down."""
    FULL = "full"
    """Too many PINs are remembered."""
    UNKNOWN = "unknown"
    """What was refused before is not known: the front's record of it is damaged."""


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    token: str


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The first frame of all. A `Device` frame follows for each that something is remembered of."""

    key: bytes
    """Of the fingerprints; random, one for each state folder."""
    lost: bool
    """What was remembered is lost: of a device that no frame comes about, nothing is known."""


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """What is remembered of a device, under whatever name it is configured: before any frame about a token."""

    serial: str
    record: Record


class HoldPin(_Frame, frozen=True):
    """Hold this PIN, typed by an officer, for a token. Replaces the one held."""

    pin: msgspec.Raw
    serial: str | None
    """Of the token that is there; None if none was seen yet."""


class HoldFile(_Frame, frozen=True):
    """Read the PIN from a file that belongs to root or this user and that nobody else can read."""

    path: str
    serial: str | None
    by_officer: bool


class HoldDescriptor(_Frame, frozen=True):
    """Read the PIN from an inherited descriptor, to its end, and close it."""

    descriptor: int
    serial: str | None
    by_officer: bool


class HoldPad(_Frame, frozen=True):
    """The PIN is typed at the reader's own pad: one login is allowed, and the officer stands there."""


class Lend(_Frame, frozen=True):
    """Give the PIN to one worker: the socket to it travels beside this frame (SCM_RIGHTS)."""

    worker: int
    serial: str
    """Of the token that the worker has opened."""
    trusted: bool
    """Whether the token's flags are known to tell how many tries are left."""
    pin: msgspec.Raw = NO_PIN
    """For this one login, in place of the PIN that is held: an officer typed it. It is not kept."""


class Sever(_Frame, frozen=True):
    """This worker was ended. Something that it left behind may hold its socket open: that counts no more."""

    worker: int


class Forget(_Frame, frozen=True):
    """Wipe the PIN; lends that wait are answered without an outcome."""

    devices: tuple[str, ...] = ()
    """Forget as well which PINs these refused, by their serial numbers: an officer's act."""


class Changed(_Frame, frozen=True):
    """The token's PIN is `new` from now on. `old`, if it is known, is remembered as refused. A PIN that is held is
    replaced by it.
    """

    serial: str
    old: msgspec.Raw
    """`pin_wire.NO_PIN` if it is not known."""
    new: msgspec.Raw


class MaySend(_Frame, frozen=True):
    """Whether this PIN, which an officer typed, may be sent to a device otherwise than by a lend: the SO PIN. It is not kept.
    Answered by `Holding` or `NotHeld`.
    """

    device: str
    """As its `Device` frame names it."""
    pin: msgspec.Raw


class Refused(_Frame, frozen=True):
    """A device refused this PIN, otherwise than in a lend. It is not sent there again; if it is held, it is dropped."""

    device: str
    pin: msgspec.Raw


class Freeze(_Frame, frozen=True):
    """The token's PIN is being exchanged: from now on nobody gets the one that is held; whoever asks waits. `Frozen` is
    answered as soon as no attempt is under way.
    """


class Thaw(_Frame, frozen=True):
    """That is over, whatever came of it."""


class Recorded(_Frame, frozen=True):
    """The record that came with the worker's `Attempting` or `Lent` is durable; or it is not, and why."""

    worker: int
    trouble: str | None = None


class Holding(_Frame, frozen=True):
    """The PIN is held."""


class NotHeld(_Frame, frozen=True):
    """The PIN is not held, and why: refused before, file unreadable, wrong length."""

    reason: Reason
    text: str


class Attempting(_Frame, frozen=True):
    """A login of this worker is about to be tried. It is, when the front says that the record is durable."""

    worker: int
    serial: str
    record: Record
    attempted: bytes
    """The fingerprint, in the record, of the PIN that is tried."""


class Lent(_Frame, frozen=True):
    """A lend ended. `outcome` is None if no attempt was made (`why`), or the worker died meanwhile."""

    worker: int
    outcome: LoginOutcome | None
    ckr: int
    flags: tuple[str, ...]
    died: bool = False
    why: NotLent | None = None
    text: str = ""
    """With UNRECORDED, what the front said."""
    serial: str = ""
    record: Record | None = None
    """What is to be remembered now; None if nothing has changed."""
    held: bool = False
    """A PIN is held. If this one was refused, it is another: an officer has exchanged it meanwhile."""


class Forgotten(_Frame, frozen=True):
    pass


class Frozen(_Frame, frozen=True):
    """No attempt with the PIN that is held is under way, and none begins before `Thaw`."""


class Noted(_Frame, frozen=True):
    """A change of the PIN was noted, or a refusal; this is to be remembered."""

    serial: str
    record: Record
    held: bool
    """Whether a PIN is held."""


Request = (
    Guard
    | Device
    | HoldPin
    | HoldFile
    | HoldDescriptor
    | HoldPad
    | Lend
    | Sever
    | Forget
    | Changed
    | MaySend
    | Refused
    | Freeze
    | Thaw
    | Recorded
)
Answer = Holding | NotHeld | Attempting | Lent | Forgotten | Frozen | Noted

REQUESTS: Final = msgspec.msgpack.Decoder(Request)
ANSWERS: Final = msgspec.msgpack.Decoder(Answer)
