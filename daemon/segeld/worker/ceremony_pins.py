"""Initialising tokens and setting PINs (PKCS #11 v2.40, sections 5.5 and 5.6), by ctypes: python-pkcs11 wants `str`."""

import ctypes
from typing import Final

from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import Remedy, TokenInfo
from segeld.model.faults import Reason
from segeld.worker import cryptoki, slots
from segeld.worker.ceremony_faults import NEW_PIN, SO_PIN, USER_PIN, check_length, check_so_pin, failed
from segeld.worker.ckr import Ckr
from segeld.worker.cryptoki import Cryptoki
from segeld.worker.failure import Failure
from segeld.worker.typed import Typed, address_of

LABEL: Final = 32
"""Octets of CK_TOKEN_INFO.label."""
_RW: Final = cryptoki.CKF_RW_SESSION | cryptoki.CKF_SERIAL_SESSION


def init_token(module: Cryptoki, request: wire.InitToken, typed: Typed) -> wire.TokenSet:
    """:raises Failure: if nothing was erased; not certain if it may have been."""
    label = request.label.encode()
    if not 1 <= len(label) <= LABEL:
        raise Failure(Reason.FIELD_INVALID, Remedy.ITEM, f"a label has 1 to {LABEL} octets, not {len(label)}")
    before = _seen(module, request.slot_id, request.serial)
    check_so_pin(before)
    check_length(len(typed.present), before, SO_PIN)
    check_length(len(typed.new), before, NEW_PIN)  # now, and not when the token is empty already
    padded = ctypes.create_string_buffer(label.ljust(LABEL), LABEL)
    with address_of(typed.present) as place:
        ckr = module.init_token(request.slot_id, place, len(typed.present), padded)
    if ckr:
        after = slots.read_token(module, request.slot_id)[1]
        raise failed(ckr, "C_InitToken", entered=SO_PIN, after=after, changing=True)
    return wire.TokenSet(request.id, _set(module, request.slot_id, before))


def init_pin(module: Cryptoki, request: wire.InitPin, typed: Typed) -> wire.TokenSet:
    """:raises Failure: if no PIN was set; not certain if it may have been."""
    before = _seen(module, request.slot_id, request.serial)
    check_so_pin(before)
    check_length(len(typed.present), before, SO_PIN)
    check_length(len(typed.new), before, NEW_PIN)
    session = ctypes.c_ulong()
    if ckr := module.open_session(request.slot_id, _RW, None, None, ctypes.byref(session)):
        raise failed(ckr, "C_OpenSession")
    with address_of(typed.present) as place:
        ckr = module.login(session.value, cryptoki.CKU_SO, place, len(typed.present))
    if ckr:
        raise failed(ckr, "C_Login", entered=SO_PIN, after=slots.read_token(module, request.slot_id)[1])
    with address_of(typed.new) as place:
        ckr = module.init_pin(session.value, place, len(typed.new))
    if ckr:
        raise failed(ckr, "C_InitPIN", after=before, changing=True)
    return wire.TokenSet(request.id, _set(module, request.slot_id, before))


def change_pin(module: Cryptoki, session: int, token: TokenInfo, typed: Typed) -> None:
    """As the user, who is logged in with the present PIN.

    :raises Failure: if the PIN is still what it was; not certain if it may be the new one.
    """
    check_length(len(typed.new), token, NEW_PIN)
    with address_of(typed.present) as old, address_of(typed.new) as new:
        ckr = module.set_pin(session, old, len(typed.present), new, len(typed.new))
    if ckr:
        raise failed(ckr, "C_SetPIN", entered=USER_PIN, after=token, changing=True)


def _seen(module: Cryptoki, slot_id: int, serial: str | None) -> TokenInfo:
    """The token that is in the slot now, just before it is changed.

    :raises Failure: if it is another than the one that was looked at.
    """
    token = _read(module, slot_id)
    if serial not in (None, token.serial):
        raise Failure.of(Ckr.TOKEN_NOT_PRESENT, f"looking for the token with serial number {serial!r} again")
    if slots.PIN_PAD in token.flags:
        raise Failure(
            Reason.TOKEN_STATE,
            Remedy.ITEM,
            "The token takes PINs from its reader's own keys only (CKF_PROTECTED_AUTHENTICATION_PATH); that is not done "
            "from here. Use a reader without a pad.",
        )
    return token


def _set(module: Cryptoki, slot_id: int, before: TokenInfo) -> TokenInfo:
    """The token as it is now; as it was, if it does not say: what was done is done."""
    return slots.read_token(module, slot_id)[1] or before


def _read(module: Cryptoki, slot_id: int) -> TokenInfo:
    ckr, token = slots.read_token(module, slot_id)
    if token is None:
        raise failed(ckr, "C_GetTokenInfo")
    return token
