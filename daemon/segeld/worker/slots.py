"""Slots and tokens as they are, read one by one: a slot that fails says so and hides no other.

python-pkcs11 gives up on all slots if one is bad, and shows neither PIN lengths nor unknown flags.
"""

import ctypes
from typing import Final

from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.worker import cryptoki, faults
from segeld.worker.ckr import Ckr
from segeld.worker.cryptoki import Cryptoki, text
from segeld.worker.failure import Failure

USER_PIN_COUNT_LOW: Final = "CKF_USER_PIN_COUNT_LOW"
USER_PIN_FINAL_TRY: Final = "CKF_USER_PIN_FINAL_TRY"
USER_PIN_LOCKED: Final = "CKF_USER_PIN_LOCKED"
INITIALIZED: Final = "CKF_TOKEN_INITIALIZED"
SO_PIN_LOCKED: Final = "CKF_SO_PIN_LOCKED"
PIN_PAD: Final = "CKF_PROTECTED_AUTHENTICATION_PATH"

_FLAGS: Final = {
    0x1: "CKF_RNG",
    0x2: "CKF_WRITE_PROTECTED",
    0x4: "CKF_LOGIN_REQUIRED",
    0x8: "CKF_USER_PIN_INITIALIZED",
    0x20: "CKF_RESTORE_KEY_NOT_NEEDED",
    0x40: "CKF_CLOCK_ON_TOKEN",
    0x100: PIN_PAD,
    0x200: "CKF_DUAL_CRYPTO_OPERATIONS",
    0x400: INITIALIZED,
    0x800: "CKF_SECONDARY_AUTHENTICATION",
    0x10000: USER_PIN_COUNT_LOW,
    0x20000: USER_PIN_FINAL_TRY,
    0x40000: USER_PIN_LOCKED,
    0x80000: "CKF_USER_PIN_TO_BE_CHANGED",
    0x100000: "CKF_SO_PIN_COUNT_LOW",
    0x200000: "CKF_SO_PIN_FINAL_TRY",
    0x400000: SO_PIN_LOCKED,
    0x800000: "CKF_SO_PIN_TO_BE_CHANGED",
    0x1000000: "CKF_ERROR_STATE",
}

_SIGNING_MECHANISMS: Final = {
    0x1: "CKM_RSA_PKCS",
    0xD: "CKM_RSA_PKCS_PSS",
    0x40: "CKM_SHA256_RSA_PKCS",
    0x41: "CKM_SHA384_RSA_PKCS",
    0x42: "CKM_SHA512_RSA_PKCS",
    0x43: "CKM_SHA256_RSA_PKCS_PSS",
    0x44: "CKM_SHA384_RSA_PKCS_PSS",
    0x45: "CKM_SHA512_RSA_PKCS_PSS",
    0x1041: "CKM_ECDSA",
    0x1044: "CKM_ECDSA_SHA256",
    0x1045: "CKM_ECDSA_SHA384",
    0x1046: "CKM_ECDSA_SHA512",
    0x1057: "CKM_EDDSA",
}

_MAX_SLOTS: Final = 1024
_MAX_MECHANISMS: Final = 4096
_EMPTY: Final = frozenset({Ckr.TOKEN_NOT_PRESENT, Ckr.TOKEN_NOT_RECOGNIZED})


def survey(module: Cryptoki) -> tuple[SlotInfo, ...]:
    """Every slot, with its token if there is one.

    :raises Failure: if not even the list of slots can be had.
    """
    return tuple(_read_slot(module, slot_id) for slot_id in slot_ids(module))


def slot_ids(module: Cryptoki, *, with_token: bool = False) -> list[int]:
    """The numbers of the slots. They are the module's own and may change from one run to the next.

    :raises Failure: if C_GetSlotList fails.
    """
    count = ctypes.c_ulong()
    ids = (ctypes.c_ulong * _MAX_SLOTS)()
    # The call without a buffer is what makes a module look for new slots (section 5.5).
    ckr = module.get_slot_list(with_token, None, ctypes.byref(count))
    if ckr == 0:
        count.value = _MAX_SLOTS
        ckr = module.get_slot_list(with_token, ids, ctypes.byref(count))
    if ckr:
        raise Failure.of(ckr, "C_GetSlotList")
    return ids[: min(count.value, _MAX_SLOTS)]


def read_token(module: Cryptoki, slot_id: int) -> tuple[int, TokenInfo | None]:
    """The CKR of C_GetTokenInfo, and what it told if that was CKR_OK."""
    info = cryptoki.TokenInfo()
    ckr = module.get_token_info(slot_id, ctypes.byref(info))
    if ckr:
        return ckr, None
    return 0, TokenInfo(
        label=text(info.label),
        serial=text(info.serial),
        manufacturer=text(info.manufacturer),
        model=text(info.model),
        flags=tuple(name for bit, name in _FLAGS.items() if info.flags & bit),
        min_pin=_bound(info.min_pin),
        max_pin=_bound(info.max_pin),
    )


def _read_slot(module: Cryptoki, slot_id: int) -> SlotInfo:
    info = cryptoki.SlotInfo()
    if ckr := module.get_slot_info(slot_id, ctypes.byref(info)):
        return SlotInfo(slot_id, "", "", trouble=f"C_GetSlotInfo answered {faults.name(ckr)}")
    description, manufacturer = text(info.description), text(info.manufacturer)
    ckr, token = read_token(module, slot_id)
    if token is None:
        trouble = None if ckr in _EMPTY else f"C_GetTokenInfo answered {faults.name(ckr)}"
        return SlotInfo(slot_id, description, manufacturer, trouble=trouble)
    ckr, mechanisms = _mechanisms(module, slot_id)
    trouble = f"C_GetMechanismList answered {faults.name(ckr)}" if ckr else None
    return SlotInfo(slot_id, description, manufacturer, token, mechanisms, trouble)


def _mechanisms(module: Cryptoki, slot_id: int) -> tuple[int, tuple[str, ...]]:
    count = ctypes.c_ulong(_MAX_MECHANISMS)
    types = (ctypes.c_ulong * _MAX_MECHANISMS)()
    if ckr := module.get_mechanism_list(slot_id, types, ctypes.byref(count)):
        return ckr, ()
    listed = set(types[: min(count.value, _MAX_MECHANISMS)])
    return 0, tuple(name for number, name in _SIGNING_MECHANISMS.items() if number in listed)


def _bound(length: int) -> int:
    return 0 if length in cryptoki.UNKNOWN_LENGTHS else length
