"""Loading the vendor's library and initialising it with locks on.

python-pkcs11 initialises with NULL, which tells a module that nobody uses threads; modules then switch their
locks off, and two sessions at once corrupt memory and signatures. So C_Initialize is called here, before
python-pkcs11 sees the library, and python-pkcs11's object is made without its `__init__`, which would do it again.
"""

import ctypes
from pathlib import Path
from typing import Final

from pkcs11 import exceptions
from pkcs11._pkcs11 import lib

from segeld.ipc.worker_wire import Remedy
from segeld.model.faults import Reason
from segeld.worker import cryptoki, faults
from segeld.worker.ckr import Ckr
from segeld.worker.cryptoki import Cryptoki, ModuleError
from segeld.worker.failure import Failure


class Module:
    """A loaded, initialised module. It is never finalised: the process ends instead."""

    def __init__(self, path: str, reserved: str | None) -> None:
        """:raises Failure: if it cannot be loaded or does not initialise."""
        self.functions: Final = _open(path)
        self.locking: Final = _initialise(self.functions, reserved)
        self.binding: Final = _bind(path)
        self.info: Final = cryptoki.Info()
        if ckr := self.functions.get_info(ctypes.byref(self.info)):
            raise Failure.of(ckr, "C_GetInfo")


def _open(path: str) -> Cryptoki:
    try:
        return Cryptoki(ctypes.CDLL(path))
    except OSError as error:
        what = str(error) if Path(path).is_file() else f"{path}: no such file"
        raise _unusable(f"the module cannot be loaded: {what}") from None
    except ModuleError as error:
        raise _unusable(f"{path} cannot be used as a module: {error}") from None


def _initialise(functions: Cryptoki, reserved: str | None) -> bool:
    """Whether the module locks. If it cannot, it is initialised for one thread."""
    arguments = cryptoki.InitializeArgs(
        flags=cryptoki.CKF_OS_LOCKING_OK, reserved=None if reserved is None else reserved.encode()
    )
    ckr = functions.initialize(ctypes.byref(arguments))
    if ckr == 0:
        return True
    if ckr == Ckr.CANT_LOCK:
        arguments.flags = 0
        ckr = functions.initialize(ctypes.byref(arguments) if reserved is not None else None)
        if ckr == 0:
            return False
    verdict = faults.verdict(ckr)
    raise Failure(
        verdict.reason,
        verdict.remedy,
        f"C_Initialize: the module answered {faults.name(ckr)}. What it needs may be missing: its own configuration "
        "(a variable of its environment), or a service such as pcscd.",
        ckr=ckr,
    )


def _bind(path: str) -> lib:
    try:
        return lib.__new__(lib, path)  # type: ignore[call-arg] # its __cinit__ takes the path
    except exceptions.PKCS11Error as error:
        raise _unusable(f"python-pkcs11 cannot use {path}: {error}") from None


def _unusable(text: str) -> Failure:
    """A fault of the configuration: trying again changes nothing."""
    return Failure(Reason.FIELD_INVALID, Remedy.LOCK, text)
