"""The C side of PKCS #11 (v2.40, appendix and sections 5.4 to 5.13): structures, and the functions called by ctypes.

Only what python-pkcs11 lacks is here: C_Initialize with arguments, token and session information, C_Login with
a PIN that is no `str`, setting up tokens and PINs, and signing. CK_ULONG is C's `unsigned long`; on Unix nothing is packed.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

CKR_FUNCTION_NOT_SUPPORTED: Final = 0x54
CKF_OS_LOCKING_OK: Final = 0x2
CKF_RW_SESSION: Final = 0x2
CKF_SERIAL_SESSION: Final = 0x4
CKU_SO: Final = 0
CKU_USER: Final = 1
CKU_CONTEXT_SPECIFIC: Final = 2
"""For one operation, on the session in which it was begun (v2.40, section 5.6)."""
CKS_USER_STATES: Final = frozenset({1, 3})
"""CKS_RO_USER_FUNCTIONS and CKS_RW_USER_FUNCTIONS."""
UNKNOWN_LENGTHS: Final = frozenset({0, 2 ** (8 * ctypes.sizeof(ctypes.c_ulong)) - 1})
"""CK_UNAVAILABLE_INFORMATION, and the 0 that some modules give instead."""

_ULONG: Final = ctypes.c_ulong
_POINTER: Final = ctypes.c_void_p


class Version(ctypes.Structure):
    """CK_VERSION."""

    _fields_ = (("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS; no mutex callbacks are ever given, they would run Python in foreign threads."""

    _fields_ = (
        ("create_mutex", _POINTER),
        ("destroy_mutex", _POINTER),
        ("lock_mutex", _POINTER),
        ("unlock_mutex", _POINTER),
        ("flags", _ULONG),
        ("reserved", ctypes.c_char_p),
    )


class Info(ctypes.Structure):
    """CK_INFO."""

    _fields_ = (
        ("cryptoki_version", Version),
        ("manufacturer", ctypes.c_char * 32),
        ("flags", _ULONG),
        ("description", ctypes.c_char * 32),
        ("library_version", Version),
    )


class SlotInfo(ctypes.Structure):
    """CK_SLOT_INFO."""

    _fields_ = (
        ("description", ctypes.c_char * 64),
        ("manufacturer", ctypes.c_char * 32),
        ("flags", _ULONG),
        ("hardware_version", Version),
        ("firmware_version", Version),
    )


class TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO."""

    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturer", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial", ctypes.c_char * 16),
        ("flags", _ULONG),
        ("max_sessions", _ULONG),
        ("sessions", _ULONG),
        ("max_rw_sessions", _ULONG),
        ("rw_sessions", _ULONG),
        ("max_pin", _ULONG),
        ("min_pin", _ULONG),
        ("total_public_memory", _ULONG),
        ("free_public_memory", _ULONG),
        ("total_private_memory", _ULONG),
        ("free_private_memory", _ULONG),
        ("hardware_version", Version),
        ("firmware_version", Version),
        ("utc_time", ctypes.c_char * 16),
    )


class SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO."""

    _fields_ = (("slot", _ULONG), ("state", _ULONG), ("flags", _ULONG), ("device_error", _ULONG))


class Mechanism(ctypes.Structure):
    """CK_MECHANISM."""

    keep: ctypes.Structure
    """The parameters it points to, so that they live as long."""

    _fields_ = (("type", _ULONG), ("parameter", _POINTER), ("parameter_length", _ULONG))


class PssParams(ctypes.Structure):
    """CK_RSA_PKCS_PSS_PARAMS."""

    _fields_ = (("hash", _ULONG), ("mgf", _ULONG), ("salt_length", _ULONG))


class _FunctionList(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST, as far as C_Sign."""

    _fields_ = (("version", Version), ("functions", _POINTER * 44))


class ModuleError(Exception):
    """The library is not a usable PKCS #11 module. The text says why."""


def text(field: bytes) -> str:
    """A text field of PKCS #11: padded with blanks by the standard, with NULs by some modules."""
    return field.decode("utf-8", errors="replace").strip()


class Cryptoki:
    """The functions of one module. Each returns its CK_RV as an int and releases the GIL while it runs."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """:raises ModuleError: if there is no function list, or one of the functions is missing in it."""
        try:
            get_list = library.C_GetFunctionList
        except AttributeError:
            raise ModuleError(
                "it has no C_GetFunctionList: a shared library, but no PKCS #11 module"
            ) from None
        get_list.restype = _ULONG
        get_list.argtypes = (_POINTER,)
        pointer = ctypes.POINTER(_FunctionList)()
        ckr = get_list(ctypes.byref(pointer))
        if ckr or ctypes.cast(pointer, _POINTER).value is None:
            raise ModuleError(f"its C_GetFunctionList answered 0x{ckr:x} and gave no list")
        self._list = pointer.contents
        # The numbers are the places in CK_FUNCTION_LIST.
        self.initialize = self._function(0, _POINTER)
        self.get_info = self._function(2, _POINTER)
        self.get_slot_list = self._function(4, ctypes.c_ubyte, _POINTER, _POINTER)
        self.get_slot_info = self._function(5, _ULONG, _POINTER)
        self.get_token_info = self._function(6, _ULONG, _POINTER)
        self.get_mechanism_list = self._function(7, _ULONG, _POINTER, _POINTER)
        self.init_token = self._optional(9, _ULONG, _POINTER, _ULONG, _POINTER)
        self.init_pin = self._optional(10, _ULONG, _POINTER, _ULONG)
        self.set_pin = self._optional(11, _ULONG, _POINTER, _ULONG, _POINTER, _ULONG)
        self.open_session = self._function(12, _ULONG, _ULONG, _POINTER, _POINTER, _POINTER)
        self.get_session_info = self._function(15, _ULONG, _POINTER)
        self.login = self._function(18, _ULONG, _ULONG, _POINTER, _ULONG)
        self.sign_init = self._function(42, _ULONG, _POINTER, _ULONG)
        self.sign = self._function(43, _ULONG, _POINTER, _ULONG, _POINTER, _POINTER)

    def _function(self, place: int, *arguments: Any) -> Callable[..., int]:
        address = self._list.functions[place]
        if not address:
            raise ModuleError(f"function {place} of its CK_FUNCTION_LIST is missing")
        return ctypes.CFUNCTYPE(_ULONG, *arguments)(address)

    def _optional(self, place: int, *arguments: Any) -> Callable[..., int]:
        """One that a module which only signs may lack."""
        if not self._list.functions[place]:
            return lambda *_: CKR_FUNCTION_NOT_SUPPORTED
        return self._function(place, *arguments)
