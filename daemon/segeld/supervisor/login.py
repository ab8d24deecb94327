"""What officers are told when a login did not work."""

from typing import Final

from segeld.ipc.keeper_wire import Lent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName

_NAMES: Final = {
    0xA0: "CKR_PIN_INCORRECT",
    0xA1: "CKR_PIN_INVALID",
    0xA2: "CKR_PIN_LEN_RANGE",
    0x05: "CKR_GENERAL_ERROR",
}


def refusal(token: TokenName, lent: Lent) -> Fault:
    """The Fault for a login that ended in anything but OK."""
    tries = _tries_left(lent.flags)
    match lent.outcome:
        case LoginOutcome.LOCKED:
            reason, text = (
                Reason.PIN_LOCKED,
                f"{token} says that its PIN is locked. It must be unblocked with the SO PIN.",
            )
        case LoginOutcome.EXPIRED:
            reason, text = (
                Reason.PIN_EXPIRED,
                f"{token} says that its PIN has expired. It must be changed first.",
            )
        case LoginOutcome.LENGTH:
            reason, text = Reason.PIN_LENGTH, f"{token} takes no PIN of that length. No try was spent."
        case LoginOutcome.NOT_TRIED if lent.ckr:
            reason = Reason.DEVICE_ERROR
            text = f"{token} did not say how many PIN tries are left (CKR {lent.ckr:#x}). No try was spent."
        case LoginOutcome.NOT_TRIED:
            reason = Reason.TOKEN_LOCKED
            text = (
                f"{token} has few PIN tries left; none is spent without an officer. Run: segelctl token activate "
                f"{token.word}"
            )
        case _:
            reason = Reason.PIN_INCORRECT
            text = (
                f"{token} refused the PIN ({_name(lent.ckr)}). It is not tried again.{tries} Check the PIN, then run: "
                f"segelctl token activate {token.word}"
            )
    return Fault(reason, text, token=str(token), ckr=f"{lent.ckr:#x}")


def _name(ckr: int) -> str:
    return _NAMES.get(ckr, f"CKR {ckr:#x}")


def _tries_left(flags: tuple[str, ...]) -> str:
    if "CKF_USER_PIN_LOCKED" in flags:
        return " The token is now locked."
    if "CKF_USER_PIN_FINAL_TRY" in flags:
        return " One try is left."
    if "CKF_USER_PIN_COUNT_LOW" in flags:
        return " The token says that few tries are left."
    return ""
