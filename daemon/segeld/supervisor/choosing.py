"""Which slot an officer means, and which label its token gets. Pure."""

from collections.abc import Sequence
from typing import Final

from segeld.config.schema import Token
from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName

INITIALIZED: Final = "CKF_TOKEN_INITIALIZED"
PIN_SET: Final = "CKF_USER_PIN_INITIALIZED"
_MARKS: Final = frozenset({INITIALIZED, PIN_SET})
_LABEL: Final = 32
"""Octets of CK_TOKEN_INFO.label."""


def label_for(name: TokenName, config: Token, wanted: str | None) -> str:
    """:raises Fault: FIELD_INVALID."""
    label = wanted or config.label
    if label is None:
        raise _invalid(name, "no label is configured for it: give one")
    if config.label is not None and label != config.label:
        raise _invalid(
            name, f"it is configured with the label {config.label!r}; with {label!r} it would not be found"
        )
    if not label.isprintable() or not 1 <= len(label.encode()) <= _LABEL:
        raise _invalid(name, f"a token's label has 1 to {_LABEL} octets, all of them printable")
    return label


def choose(
    name: TokenName,
    config: Token,
    slot: tuple[str, int] | None,
    slots: Sequence[SlotInfo],
    serial: str | None = None,
) -> SlotInfo:
    """The slot with the token that is meant.

    :param slot: the module's configured name and the slot's number; None: the token is found as configured.
    :param serial: of the device that was shown to whoever decided; None: it may be any.
    :raises Fault: TOKEN_NOT_PRESENT, SLOT_NOT_FOUND, TOKEN_STATE if it could be another that is meant.
    """
    chosen = _chosen(name, config, slot, slots)
    token = chosen.token
    if serial is not None and token is not None and token.serial != serial:
        raise _fault(
            name,
            Reason.TOKEN_STATE,
            f"the device that is there has the serial number {token.serial!r}, and the change is for {serial!r}. Put that one "
            "back, or ask anew",
        )
    return chosen


def _chosen(
    name: TokenName, config: Token, slot: tuple[str, int] | None, slots: Sequence[SlotInfo]
) -> SlotInfo:
    own = [one for one in slots if _is_own(config, one)]
    if slot is None:
        if len(own) == 1:
            return own[0]
        if not own:
            raise _fault(
                name,
                Reason.TOKEN_NOT_PRESENT,
                "no token with its label and serial number is there. For a blank one name its slot: segelctl slot list",
            )
        raise _fault(
            name,
            Reason.TOKEN_STATE,
            f"{len(own)} tokens have its label and serial number; take the others out",
        )
    word, number = slot
    if word != config.module:
        raise _fault(name, Reason.SLOT_NOT_FOUND, f"it is configured with another module than {word}")
    chosen = next((one for one in slots if one.slot_id == number), None)
    if chosen is None or chosen.token is None:
        what = "there is no such slot" if chosen is None else "there is no token in this slot"
        raise _fault(
            name, Reason.SLOT_NOT_FOUND, f"{what}: modules/{word}/slots/{number}. See: segelctl slot list"
        )
    if chosen not in own and (why := _against(config, chosen.token, own)):
        raise _fault(name, Reason.TOKEN_STATE, why)
    return chosen


def _against(config: Token, token: TokenInfo, own: Sequence[SlotInfo]) -> str:
    """Why a token that is not the configured one must not become it; empty if it may."""
    if INITIALIZED in token.flags:
        return f"the token in this slot is another ({token.label!r}, {token.serial}) and is not blank"
    if own:
        return "a token with its label is there already. Without a slot that one is initialised anew"
    if config.serial not in (None, token.serial):
        return "it is configured with another serial number than the token in this slot"
    return ""


def is_untouched(before: TokenInfo, slots: Sequence[SlotInfo]) -> bool:
    """Whether a token that was to be initialised surely is as it was: C_InitToken makes a blank one initialised, and
    takes the user's PIN from any other (PKCS #11 v2.40, section 5.5). One that had none tells nothing.
    """
    if INITIALIZED in before.flags and PIN_SET not in before.flags:
        return False
    same = (before.label, before.serial, _MARKS.intersection(before.flags))
    return any(
        (one.token.label, one.token.serial, _MARKS.intersection(one.token.flags)) == same
        for one in slots
        if one.token is not None
    )


def _is_own(config: Token, slot: SlotInfo) -> bool:
    token = slot.token
    return (
        token is not None
        and INITIALIZED in token.flags
        and config.label in (None, token.label)
        and config.serial in (None, token.serial)
    )


def _invalid(name: TokenName, text: str) -> Fault:
    return Fault(Reason.FIELD_INVALID, f"label: {name}: {text}.", field="label", token=str(name))


def _fault(name: TokenName, reason: Reason, text: str) -> Fault:
    return Fault(reason, f"{name}: {text}.", token=str(name))
