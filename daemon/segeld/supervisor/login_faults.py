"""What officers are told when a login did not work."""

from typing import Final

from segeld.ipc.keeper_wire import Lent, NotLent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.pin_tries import tries_left

_NAMES: Final = {
    0xA0: "CKR_PIN_INCORRECT",
    0xA1: "CKR_PIN_INVALID",
    0xA2: "CKR_PIN_LEN_RANGE",
    0x05: "CKR_GENERAL_ERROR",
}
READ_ONCE: Final = (
    "The process that held its PIN has ended, and the descriptor that it came from can be read only once: an officer must type "
    "it, or the daemon be started with it anew."
)
"""Why a token waits whose PIN came on a descriptor."""
UNSURE: Final = (
    "What it refused before is not known, for the PIN guard's file was damaged: nothing is tried until an officer has activated "
    "it by hand."
)


def refusal(token: TokenName, lent: Lent, command: str = "activate") -> Fault:
    """The Fault for a login that ended in anything but OK.

    :param command: of `segelctl token`, with which it is tried again.
    """
    said = tries_left(lent.flags)
    tries = f" {said}" if said else ""
    match lent.outcome:
        case LoginOutcome.LOCKED:
            reason = Reason.PIN_LOCKED
            text = (
                f"{token} says that its PIN is locked. It must be unblocked with the SO PIN. Run: segelctl token pin-unblock "
                f"{token.word}"
            )
        case LoginOutcome.EXPIRED:
            reason, text = (
                Reason.PIN_EXPIRED,
                f"{token} says that its PIN has expired. It must be changed first.",
            )
        case LoginOutcome.CANCELLED:
            reason, text = (
                Reason.CANCELLED,
                (
                    f"The login of {token} was cancelled at the reader's PIN pad. To try again, run: segelctl token activate "
                    f"{token.word}"
                ),
            )
        case LoginOutcome.LENGTH:
            reason = Reason.PIN_LENGTH
            text = (
                f"{token} takes no PIN of that length. No try was spent. Check the PIN, then run: segelctl token {command} "
                f"{token.word}"
            )
        case LoginOutcome.NOT_TRIED if lent.ckr:
            reason = Reason.DEVICE_ERROR
            text = (
                f"{token} did not say how many PIN tries are left (CKR {lent.ckr:#x}). No try was spent. Look at the device, "
                f"then run: segelctl token {command} {token.word}"
            )
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
                f"segelctl token {command} {token.word}"
            )
    return Fault(reason, text, token=str(token), ckr=f"{lent.ckr:#x}")


def _name(ckr: int) -> str:
    return _NAMES.get(ckr, f"CKR {ckr:#x}")


def not_tried(token: TokenName, why: NotLent, command: str = "activate") -> Fault:
    """The Fault for a login that was not tried, so that no PIN try is wasted."""
    again = f"segelctl token {command} {token.word}"
    match why:
        case NotLent.REFUSED:
            return Fault(
                Reason.PIN_REFUSED_BEFORE,
                f"{token} refused this PIN before; it is not tried again, so that no try is wasted. With the right PIN "
                f"(in its file, if it is read from one) run: {again}",
                token=str(token),
            )
        case NotLent.FULL:
            text = f"so many PINs of {token} were refused that no more can be remembered. Run: segelctl token deactivate {token.word}"
        case NotLent.UNKNOWN:
            text = f"what {token} refused before is not known: the record of it is damaged. Run: {again}"
        case NotLent.DISTRUST:
            text = (
                f"a login of {token} ended without an answer; whether it spent a PIN try is not known, and its flags are not "
                f"known to tell. Look at the device, then run: {again}"
            )
        case _:
            text = (
                f"two logins of {token} ended without an answer; whether they spent PIN tries is not known. Look at the "
                f"device, then run: {again}"
            )
    return Fault(Reason.TOKEN_LOCKED, f"Nothing was tried: {text}", token=str(token))


def keeper_lost(token: TokenName) -> Fault:
    """The Fault for a PIN that was lost before an activation had come to its end."""
    return Fault(
        Reason.TOKEN_RECOVERING,
        f"The keeper process ended, and with it the PIN that {token} was given: it is to be given once more. Run: segelctl token "
        f"activate {token.word}",
        token=str(token),
    )


def not_read(token: TokenName, fault: Fault) -> Fault:
    """The Fault for a configured PIN that could not be taken at the start."""
    return Fault(
        fault.reason,
        f"{fault.text} When that is mended, run: segelctl token activate {token.word}",
        token=str(token),
    )


def not_active(token: TokenName) -> Fault:
    """The Fault for what needs a token that is logged in."""
    return Fault(
        Reason.TOKEN_NOT_ACTIVE,
        f"{token} is not active. Run: segelctl token activate {token.word}",
        token=str(token),
    )


def quarantined(token: TokenName) -> Fault:
    """The Fault for what needs a token that may be logged in."""
    return Fault(
        Reason.TOKEN_QUARANTINED,
        f"{token} is in quarantine: nobody logs in. See why with segelctl token show {token.word}, and end it with segelctl "
        f"token release {token.word}",
        token=str(token),
    )


def not_forgotten(token: TokenName, why: str) -> Fault:
    """The Fault for PINs that count as refused still, although an officer wanted them forgotten."""
    return Fault(
        Reason.STORAGE_UNAVAILABLE,
        f"The PIN of {token} was taken back, but what it refused before is not forgotten: {why}. Mend that, then run once more: "
        f"segelctl token deactivate {token.word}",
        token=str(token),
    )


def unrecorded(token: TokenName, why: str, command: str = "activate") -> Fault:
    """The Fault for a login that was not tried because it could not be written down."""
    return Fault(
        Reason.STORAGE_UNAVAILABLE,
        f"Nothing was tried: {why}, and a login of {token} that is not written down first could waste PIN tries after a crash. "
        f"Mend that, then run: segelctl token {command} {token.word}",
        token=str(token),
    )
