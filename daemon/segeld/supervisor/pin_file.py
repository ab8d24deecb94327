"""Writing a new PIN where the old one was read from, so that a start goes on by itself."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from segeld.config.schema import PinCredential, PinDescriptor, PinFile, Token
from segeld.model.names import TokenName
from segeld.model.pin_files import credential_path
from segeld.model.secret import Pin, PinLengthError


def put(token: TokenName, config: Token, new: Pin) -> str:
    """Puts the new PIN into the token's PIN file, if it has one. Gives what an officer has to do; empty if nothing."""
    match config.pin:
        case PinFile(path=path):
            why = _replaced(path, new)
            if not why:
                return ""
            where = f"{path} still holds the old PIN, for {why}. Write the new one there"
        case PinCredential(name=name):
            where = f"The systemd credential {name} still holds the old PIN. Put the new one in its place"
        case PinDescriptor():
            where = "Whatever gives the PIN on a descriptor at the start still gives the old one. Have it give the new one"
        case _:
            return ""
    return f"{where}, before the daemon is started again: {token} would wait for an officer, and the old PIN is not tried."


def former(config: Token) -> Pin | None:
    """What is written there now: to be remembered as a wrong one when the token has another. None if there is nothing."""
    match config.pin:
        case PinFile(path=path):
            source = path
        case PinCredential(name=name):
            source = Path(credential_path(name))
        case _:
            return None
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return Pin.read(descriptor) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, PinLengthError):
        return None
    finally:
        os.close(descriptor)


def _replaced(path: Path, new: Pin) -> str:
    """Exchanges the file as a whole; its mode and group stay. Gives why it was not; empty if it was."""
    try:
        status = path.lstat()
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError as error:
        return f"nothing can be written beside it ({error.strerror})"
    try:
        with new.view() as view:
            _write(descriptor, view)
        if os.fstat(descriptor).st_gid != status.st_gid:
            os.fchown(descriptor, -1, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        os.fsync(descriptor)
        fresh.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        return f"it cannot be written ({error.strerror})"
    finally:
        os.close(descriptor)
    with contextlib.suppress(
        OSError
    ):  # the new file is there; only a crash just now could bring the old one back
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return ""


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
