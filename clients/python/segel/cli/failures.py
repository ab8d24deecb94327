"""What went wrong, as one sentence and an exit code."""

import os
from dataclasses import dataclass

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
    (errors.TokenNotReady, ExitCode.OFFICER_NEEDED),
    (errors.KeyNotUsable, ExitCode.OFFICER_NEEDED),
    (errors.Overloaded, ExitCode.TRY_LATER),
    (errors.DeadlinePassed, ExitCode.TRY_LATER),
    (errors.DaemonStopping, ExitCode.TRY_LATER),
    (errors.BadRequest, ExitCode.USAGE),
)
"""The first that fits counts: a subclass comes before its base."""


class UsageError(Exception):
    """The command line asks for something that cannot be; nothing was done."""


class FileRefused(Exception):
    """This file cannot be done; others can."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person reads, and what a script sees."""

    code: ExitCode
    text: str

    @property
    def is_hopeless(self) -> bool:
        """Whether the next file would fail the same way."""
        return self.code in {ExitCode.NOT_CONNECTED, ExitCode.NOT_ALLOWED, ExitCode.OFFICER_NEEDED}


def explain(error: Exception) -> Failure | None:
    """None for what nobody expected: that deserves its traceback."""
    if isinstance(error, errors.SegelError):
        return Failure(
            next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED), str(error)
        )
    if isinstance(error, UsageError):
        return Failure(ExitCode.USAGE, str(error))
    if isinstance(error, OSError):
        return Failure(ExitCode.FAILED, _system_sentence(error))
    if isinstance(error, FileRefused) or _is_about_a_document(error):
        return Failure(ExitCode.FAILED, str(error))
    return None


def _system_sentence(error: OSError) -> str:
    why = os.strerror(error.errno) if error.errno else str(error)
    why = why[:1].lower() + why[1:]
    return f"{error.filename}: {why}" if error.filename else why


def _is_about_a_document(error: Exception) -> bool:
    """By name, so that pyHanko is not loaded only to say that a file is missing."""
    ours = {"segel.pdf.errors.PdfError", "segel.cms.template.CertificateError"}
    return any(f"{kind.__module__}.{kind.__name__}" in ours for kind in type(error).__mro__)
