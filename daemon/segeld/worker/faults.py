"""What a CKR means for segel: one total table, with a stated default.

`certain` answers one question: if C_Sign returned this, did the token surely make no signature? (A failed
C_SignInit made none, whatever it returned.) The remedy never tries anything in this process: a fresh worker
opens new sessions, logs in through the keeper and finds its handles again, which is all that the repair of a
session, a handle or an initialisation could do.

A code that is not listed, every vendor's own included, is a device error of unknown effect: the worker is
replaced, and the signature may exist.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from segeld.ipc.worker_wire import Remedy
from segeld.model.faults import Reason
from segeld.worker.ckr import Ckr


class Verdict(NamedTuple):
    reason: Reason
    remedy: Remedy
    certain: bool


_REPLACE: Final = Verdict(Reason.DEVICE_ERROR, Remedy.REPLACE, certain=True)
_UNKNOWN: Final = Verdict(Reason.DEVICE_ERROR, Remedy.REPLACE, certain=False)
_OUR_MISTAKE: Final = Verdict(Reason.INTERNAL, Remedy.ITEM, certain=True)
_NOT_THIS_WAY: Final = Verdict(Reason.ALGORITHM_NOT_SUPPORTED, Remedy.ITEM, certain=True)
_KEY: Final = Verdict(Reason.KEY_UNUSABLE, Remedy.ITEM, certain=True)
_AT_DEVICE: Final = Verdict(Reason.CANCELLED, Remedy.ITEM, certain=True)
_GONE: Final = Verdict(Reason.TOKEN_NOT_PRESENT, Remedy.ABSENT, certain=True)

DEFAULT: Final = _UNKNOWN

VERDICTS: Final[Mapping[Ckr, Verdict]] = {
    Ckr.CANCEL: _AT_DEVICE,
    Ckr.HOST_MEMORY: _REPLACE,
    Ckr.SLOT_ID_INVALID: _GONE,
    Ckr.GENERAL_ERROR: _UNKNOWN,
    Ckr.FUNCTION_FAILED: _UNKNOWN,
    Ckr.ARGUMENTS_BAD: _OUR_MISTAKE,
    Ckr.NEED_TO_CREATE_THREADS: _REPLACE,
    Ckr.CANT_LOCK: _REPLACE,
    Ckr.DATA_INVALID: _OUR_MISTAKE,
    Ckr.DATA_LEN_RANGE: _OUR_MISTAKE,
    Ckr.DEVICE_ERROR: _UNKNOWN,
    Ckr.DEVICE_MEMORY: _REPLACE,
    # Removed *during* the call; before it, the session handle would have been invalid.
    Ckr.DEVICE_REMOVED: _GONE._replace(certain=False),
    Ckr.FUNCTION_CANCELED: _AT_DEVICE,
    Ckr.FUNCTION_NOT_SUPPORTED: _NOT_THIS_WAY,
    Ckr.KEY_HANDLE_INVALID: _REPLACE,
    Ckr.KEY_SIZE_RANGE: _NOT_THIS_WAY,
    Ckr.KEY_TYPE_INCONSISTENT: _NOT_THIS_WAY,
    Ckr.KEY_FUNCTION_NOT_PERMITTED: _KEY,
    Ckr.MECHANISM_INVALID: _NOT_THIS_WAY,
    Ckr.MECHANISM_PARAM_INVALID: _NOT_THIS_WAY,
    Ckr.OBJECT_HANDLE_INVALID: _REPLACE,
    Ckr.OPERATION_ACTIVE: _REPLACE,
    Ckr.OPERATION_NOT_INITIALIZED: _REPLACE,
    Ckr.PIN_INCORRECT: Verdict(Reason.PIN_INCORRECT, Remedy.LOCK, certain=True),
    Ckr.PIN_INVALID: Verdict(Reason.PIN_INCORRECT, Remedy.LOCK, certain=True),
    Ckr.PIN_LEN_RANGE: Verdict(Reason.PIN_LENGTH, Remedy.LOCK, certain=True),
    Ckr.PIN_EXPIRED: Verdict(Reason.PIN_EXPIRED, Remedy.LOCK, certain=True),
    Ckr.PIN_LOCKED: Verdict(Reason.PIN_LOCKED, Remedy.LOCK, certain=True),
    # Closed during the call.
    Ckr.SESSION_CLOSED: _UNKNOWN,
    Ckr.SESSION_COUNT: _REPLACE,
    Ckr.SESSION_HANDLE_INVALID: _REPLACE,
    Ckr.TOKEN_NOT_PRESENT: _GONE,
    Ckr.TOKEN_NOT_RECOGNIZED: _GONE,
    Ckr.TOKEN_WRITE_PROTECTED: _REPLACE,
    Ckr.USER_ALREADY_LOGGED_IN: _REPLACE,
    Ckr.USER_NOT_LOGGED_IN: _REPLACE,
    Ckr.USER_PIN_NOT_INITIALIZED: Verdict(Reason.TOKEN_NOT_ACTIVE, Remedy.LOCK, certain=True),
    Ckr.USER_ANOTHER_ALREADY_LOGGED_IN: _REPLACE,
    Ckr.USER_TOO_MANY_TYPES: _REPLACE,
    # The buffer has the key's size, so the key is not what it seemed to be; the operation stays active.
    Ckr.BUFFER_TOO_SMALL: _REPLACE,
    Ckr.CRYPTOKI_NOT_INITIALIZED: _REPLACE,
    Ckr.CRYPTOKI_ALREADY_INITIALIZED: _REPLACE,
    Ckr.FUNCTION_REJECTED: _AT_DEVICE,
    Ckr.KEY_EXHAUSTED: _KEY,
}


def verdict(ckr: int) -> Verdict:
    """The meaning of a CKR other than CKR_OK."""
    try:
        return VERDICTS.get(Ckr(ckr), DEFAULT)
    except ValueError:
        return DEFAULT


def name(ckr: int) -> str:
    """How people know it: `CKR_PIN_LOCKED (0xa4)`, or the number alone."""
    try:
        return f"CKR_{Ckr(ckr).name} (0x{ckr:x})"
    except ValueError:
        return f"CKR 0x{ckr:x}"
