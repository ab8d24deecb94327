"""What went wrong, as one sentence and an exit code."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segel import errors
from segel.cli.exit_codes import ExitCode

_CODES: tuple[tuple[type[errors.SegelError], ExitCode], ...] = (
    (errors.SettingsInvalid, ExitCode.USAGE),
    (errors.ConnectionFailed, ExitCode.NOT_CONNECTED),
    (errors.NotAuthenticated, ExitCode.NOT_ALLOWED),
    (errors.NotAllowed, ExitCode.NOT_ALLOWED),
    (errors.NotFound, ExitCode.NOT_ALLOWED),
    (errors.PinRefused, ExitCode.NOT_ALLOWED),
    (errors.TokenUnavailable, ExitCode.TRY_LATER),
    (errors.TokenBusy, ExitCode.TRY_LATER),
    (errors.TokenNotReady, ExitCode.OFFICER_NEEDED),
    (errors.KeyNotUsable, ExitCode.OFFICER_NEEDED),
    (errors.Overloaded, ExitCode.TRY_LATER),
    (errors.StorageUnavailable, ExitCode.TRY_LATER),
    (errors.DeadlinePassed, ExitCode.TRY_LATER),
    (errors.DaemonStopping, ExitCode.TRY_LATER),
    (errors.BadRequest, ExitCode.USAGE),
)
"""The first that fits counts: a subclass comes before its base."""


class UsageError(Exception):
    """The command line asks for something that cannot be; nothing was done."""


class NotThere(Exception):
    """There is no such key or job, as far as this side can see."""


class FileRefused(Exception):
    """This file cannot be done; others can."""


class CannotWrite(Exception):
    """No file can be written in a folder.

    :ivar everywhere: whether that is so for other folders too, as on a full disk.
    """

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(f"cannot write in {folder}: {_lower(os.strerror(number))}")
        self.folder: Final = folder
        self.everywhere: Final = number in {errno.ENOSPC, errno.EDQUOT}


class OutputFailed(Exception):
    """Standard output does not take what is written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {_lower(os.strerror(error.errno or errno.EIO))}")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person reads, and what a script sees."""

    code: ExitCode
    text: str

    stops: bool = False
    """Whether the next file would fail the same way, whatever the code."""

    @property
    def is_hopeless(self) -> bool:
        """Whether the next file would fail the same way."""
        return self.stops or self.code in {
            ExitCode.NOT_CONNECTED,
            ExitCode.NOT_ALLOWED,
            ExitCode.OFFICER_NEEDED,
        }


def explain(error: Exception) -> Failure | None:
    """None for what nobody expected: that deserves its traceback."""
    if isinstance(error, errors.SegelError):
        return Failure(_code_of(error), str(error))
    if isinstance(error, UsageError):
        return Failure(ExitCode.USAGE, str(error))
    if isinstance(error, NotThere):
        return Failure(ExitCode.NOT_ALLOWED, str(error))
    if isinstance(error, OutputFailed):
        return Failure(ExitCode.FAILED, str(error))
    if isinstance(error, CannotWrite):
        return Failure(ExitCode.FAILED, str(error), stops=True)
    if isinstance(error, OSError):
        return Failure(ExitCode.FAILED, _system_sentence(error))
    if isinstance(error, FileRefused):
        return Failure(ExitCode.FAILED, str(error))
    if _is_about_a_document(error):
        return Failure(ExitCode.FAILED, _with_options(str(error)))
    return None


def _code_of(error: errors.SegelError) -> ExitCode:
    if isinstance(error, errors.DeadlinePassed) and isinstance(error.__cause__, errors.ConnectionFailed):
        return ExitCode.NOT_CONNECTED  # the time was spent on waiting for a daemon that did not come back
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


_KEY: Final = re.compile(r"keys/sha256-[0-9a-f]{64}")


@contextmanager
def naming(asked: str | None) -> Iterator[None]:
    """Errors about a key show the name by which it was asked for, beside its immutable one."""
    try:
        yield
    except errors.KeyNotFound as error:
        if asked is None:
            raise
        text = f"There is no key {asked}, or it is not granted to you. `segel key list` shows those that are."
        raise _with_text(error, text) from error.__cause__
    except errors.SegelError as error:
        text = _named(error.text, asked)
        if text == error.text:
            raise
        raise _with_text(error, text) from error.__cause__
    except ValueError as error:
        if not _is_about_a_document(error):
            raise
        raise type(error)(_named(str(error), asked)) from error.__cause__


def _named(text: str, asked: str | None) -> str:
    if asked is None or _KEY.fullmatch(asked):
        return text
    return _KEY.sub(lambda name: f"{asked} ({name[0]})", text)


def _with_text(error: errors.SegelError, text: str) -> errors.SegelError:
    return type(error)(
        text,
        reason=error.reason,
        code=error.code,
        facts=error.facts,
        retry_after=error.retry_after,
        request_id=error.request_id,
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _system_sentence(error: OSError) -> str:
    why = _lower(os.strerror(error.errno) if error.errno else str(error))
    return f"{error.filename}: {why}" if error.filename else why


_OPTIONS: Final = {
    "give its password": "give its password with --password-file FILE",
    "give the password that its owner set": "give the password that its owner set with --password-file FILE",
    "name the field": "name the field with --field NAME",
    "is signed already": "is signed already; name another with --field NAME",
}
"""What the library leaves to its caller, and here is an option."""


def _with_options(text: str) -> str:
    for words, option in _OPTIONS.items():
        if text.endswith(words):
            return text.removesuffix(words) + option
    return text


def _is_about_a_document(error: Exception) -> bool:
    """By name, so that pyHanko is not loaded only to say that a file is missing."""
    ours = {"segel.pdf.errors.PdfError", "segel.cms.template.CertificateError"}
    return any(f"{kind.__module__}.{kind.__name__}" in ours for kind in type(error).__mro__)
