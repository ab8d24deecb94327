"""Keeper and worker: one PIN for one login, over a socket that only these two hold.

The keeper says `Login` or `PadLogin` once, and the worker answers `LoginEnded`. A key that wants the PIN before each
signature (CKA_ALWAYS_AUTHENTICATE) makes the worker ask again: `Reaffirm`, answered by another `Login`, or by `Denied`.
"""

import enum
from typing import Final

import msgspec

from segeld.model.secret import Pin


class LoginOutcome(enum.StrEnum):
    """What became of one C_Login. Only OK leaves the PIN trusted."""

    OK = "ok"
    """CKR_OK, or already logged in as the user, confirmed by C_GetSessionInfo."""
    REFUSED = "refused"
    """C_Login answered anything else: the PIN is not tried again by itself.

    CKR_GENERAL_ERROR and CKR_PIN_LEN_RANGE are among it: with some tokens they have cost a try.
    """
    LOCKED = "locked"
    """`ckr` is CKR_PIN_LOCKED: C_Login answered that, and this PIN was tried. `ckr` is 0: the token's flags said so
    before, and nothing was sent. A PIN that was never tried is not to be remembered as refused."""
    EXPIRED = "expired"
    """CKR_PIN_EXPIRED."""
    CANCELLED = "cancelled"
    """CKR_FUNCTION_CANCELED, CKR_CANCEL: the person at the reader's pad did not want to. Not tried again by itself, and
    no PIN was wrong."""
    LENGTH = "length"
    """Outside the token's limits, and therefore not sent; `ckr` is 0."""
    REMOVED = "removed"
    """CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT: what became of the attempt is not known. Or
    CKR_USER_PIN_NOT_INITIALIZED: this process does not see the token as it is. SoftHSM2 says so when it has read the
    token's file while another process was writing it; a fresh process sees it whole."""
    NOT_TRIED = "not_tried"
    """The token's flags forbid an attempt without an officer (final try; few tries while one is open), and `ckr` is 0;
    or they could not be read, and `ckr` says why."""


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Log in now, once. The PIN stays in the frame's own buffer, which the worker wipes."""

    pin: msgspec.Raw
    by_officer: bool
    """An officer typed this PIN just now: the token's final try may be spent on it."""
    open_attempt: bool
    """An earlier attempt with this PIN ended without an answer, and may have cost a try: there is no more by itself
    if the token says that few are left."""


class PadLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Log in now, once, without a PIN: a person types it at the reader's own pad, which takes minutes."""


class Reaffirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A worker that is logged in needs the PIN again, for one signature."""


class Denied(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The answer to `Reaffirm` when there is no PIN that may be tried. The worker does not sign."""


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """From the front, before it hands the socket on: what an officer typed for the ceremony that it asks for next."""

    present: msgspec.Raw
    """The SO PIN, or the present user PIN."""
    new: msgspec.Raw
    """The user PIN that is to be."""


class LoginEnded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    outcome: LoginOutcome
    ckr: int
    """What C_Login answered; 0 too if it was not called, but for NOT_TRIED."""
    flags: tuple[str, ...]
    """The token's flags after the attempt."""


FromKeeper = Login | PadLogin | Denied
ToWorker = FromKeeper | Secrets
FromWorker = LoginEnded | Reaffirm

FROM_KEEPER: Final = msgspec.msgpack.Decoder(FromKeeper)
TO_WORKER: Final = msgspec.msgpack.Decoder(ToWorker)
FROM_WORKER: Final = msgspec.msgpack.Decoder(FromWorker)

NO_PIN: Final = msgspec.Raw(b"\xc0")
"""Where a PIN may stand, and none does."""
_BIN8: Final = 0xC4


def wrap(pin: Pin) -> tuple[msgspec.Raw, bytearray]:
    """A PIN as it stands in a frame, and the buffer to wipe after the frame was made."""
    buffer = bytearray(2 + len(pin))
    buffer[0], buffer[1] = _BIN8, len(pin)
    with pin.view() as view:
        buffer[2:] = view
    return msgspec.Raw(buffer), buffer


def unwrap(field: msgspec.Raw) -> Pin:
    """The PIN of a frame that was read. The frame's buffer is the caller's to wipe.

    :raises ValueError: if the field is not a short binary string.
    """
    with memoryview(field) as view:
        if len(view) < 2 or view[0] != _BIN8 or view[1] != len(view) - 2:
            raise ValueError("not a PIN field")
        return Pin(view[2:])
