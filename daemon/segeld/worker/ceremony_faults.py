"""What a CKR means when a token is being changed. Total: what is not said here is as in `faults`."""

from collections.abc import Mapping, Sequence
from typing import Final

from pkcs11 import exceptions

from segeld.ipc.worker_wire import Remedy, TokenInfo
from segeld.model.faults import Reason
from segeld.worker import faults, slots
from segeld.worker.ckr import Ckr
from segeld.worker.failure import Failure
from segeld.worker.pkcs11_errors import ckr_of

SO_PIN: Final = "SO PIN"
USER_PIN: Final = "present PIN"
NEW_PIN: Final = "new PIN"

_NO_ROOM: Final = frozenset({Ckr.DEVICE_MEMORY, Ckr.TOKEN_RESOURCE_EXCEEDED})
_BUSY: Final = frozenset(
    {
        Ckr.SESSION_EXISTS,
        Ckr.SESSION_READ_ONLY_EXISTS,
        Ckr.SESSION_READ_WRITE_SO_EXISTS,
        Ckr.USER_ALREADY_LOGGED_IN,
        Ckr.USER_ANOTHER_ALREADY_LOGGED_IN,
    }
)
_NOT_ABLE: Final = frozenset(
    {
        Ckr.MECHANISM_INVALID,
        Ckr.MECHANISM_PARAM_INVALID,
        Ckr.FUNCTION_NOT_SUPPORTED,
        Ckr.KEY_SIZE_RANGE,
        Ckr.DOMAIN_PARAMS_INVALID,
    }
)
_REFUSED_VALUES: Final = frozenset(
    {
        Ckr.ATTRIBUTE_READ_ONLY,
        Ckr.ATTRIBUTE_TYPE_INVALID,
        Ckr.ATTRIBUTE_VALUE_INVALID,
        Ckr.TEMPLATE_INCOMPLETE,
        Ckr.TEMPLATE_INCONSISTENT,
    }
)
_SO_TRIES: Final[Mapping[str, str]] = {
    "CKF_SO_PIN_LOCKED": " The token says that its SO PIN is locked now.",
    "CKF_SO_PIN_FINAL_TRY": " The token says that one try of its SO PIN is left.",
    "CKF_SO_PIN_COUNT_LOW": " The token says that few tries of its SO PIN are left.",
}


def failed(
    ckr: int,
    doing: str,
    *,
    entered: str = USER_PIN,
    after: TokenInfo | None = None,
    changing: bool = False,
) -> Failure:
    """:param entered: which PIN the function proves; the one it sets is always the new PIN.
    :param after: the token after the attempt, for how many tries it says are left.
    :param changing: whether the function changes the token: some answers leave open whether it has.
    """
    said = faults.name(ckr)
    match ckr:
        case Ckr.PIN_INCORRECT:
            reason, text = Reason.PIN_INCORRECT, f"The token refused the {entered} ({said})."
            if entered == SO_PIN and after is not None:
                text += _so_tries(after.flags)
        case Ckr.PIN_LOCKED if entered == SO_PIN:
            reason = Reason.PIN_LOCKED
            text = f"The token says that its SO PIN is locked ({said}). Nothing opens it again but its maker's own means."
        case Ckr.PIN_LOCKED:
            reason, text = Reason.PIN_LOCKED, f"The token says that its PIN is locked ({said})."
        case Ckr.PIN_INVALID | Ckr.PIN_TOO_WEAK:
            reason = Reason.PIN_INVALID
            text = f"The token does not take this {NEW_PIN} ({said}): other characters, or a less simple one."
        case Ckr.PIN_LEN_RANGE:
            reason = Reason.PIN_LENGTH
            text = f"The token takes no {NEW_PIN} of that length ({said}).{_limits(after)}"
        case Ckr.PIN_EXPIRED:
            reason, text = Reason.PIN_EXPIRED, f"The token says that its {entered} has expired ({said})."
        case _ if ckr in _NO_ROOM:
            reason = Reason.TOKEN_NO_ROOM
            text = f"The token has no room for it ({doing}: {said})."
        case Ckr.TOKEN_WRITE_PROTECTED | Ckr.SESSION_READ_ONLY:
            reason, text = Reason.TOKEN_STATE, f"The token is write-protected ({doing}: {said})."
        case _ if ckr in _BUSY:
            reason = Reason.TOKEN_BUSY
            text = f"Another program has a session with the token ({doing}: {said}). End it, then try again."
        case _ if ckr in _NOT_ABLE:
            reason = Reason.ALGORITHM_NOT_SUPPORTED
            text = f"The token, or its module, cannot do that ({doing}: {said})."
        case _ if ckr in _REFUSED_VALUES:
            reason = Reason.FIELD_INVALID
            text = f"The token does not take an object like that ({doing}: {said})."
        case Ckr.USER_PIN_NOT_INITIALIZED:
            reason = Reason.TOKEN_STATE
            text = f"The token has no user PIN yet ({said})."
        case _:
            return Failure.of(ckr, doing, changing=changing)
    return Failure(reason, Remedy.ITEM, text, ckr=ckr)


def raised(error: exceptions.PKCS11Error, doing: str, *, changing: bool = False) -> Failure:
    return failed(ckr_of(error), doing, changing=changing)


def check_length(pin: int, token: TokenInfo, which: str) -> None:
    """Before anything is sent: some tokens take a PIN of a wrong length for a wrong PIN.

    :param pin: its length in octets.
    :raises Failure: PIN_LENGTH.
    """
    if pin < token.min_pin or (token.max_pin and pin > token.max_pin):
        raise Failure(
            Reason.PIN_LENGTH,
            Remedy.ITEM,
            f"The {which} was not sent, and no try was spent.{_limits(token)}",
        )


def check_so_pin(token: TokenInfo) -> None:
    """A blank token has none: SoftHSM2 says then that it is locked.

    :raises Failure: PIN_LOCKED, if the token says so of its SO PIN: nothing is sent then.
    """
    if slots.INITIALIZED in token.flags and slots.SO_PIN_LOCKED in token.flags:
        raise Failure(
            Reason.PIN_LOCKED,
            Remedy.ITEM,
            "The token says that its SO PIN is locked; nothing was sent. Nothing opens it again but its maker's own means.",
        )


def _limits(token: TokenInfo | None) -> str:
    if token is None or not (token.min_pin or token.max_pin):
        return ""
    most = f"at most {token.max_pin}" if token.max_pin else "any number"
    return f" The token takes PINs of at least {token.min_pin} and {most} characters."


def _so_tries(flags: Sequence[str]) -> str:
    return next((text for flag, text in _SO_TRIES.items() if flag in flags), "")
