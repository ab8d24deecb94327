"""The log's public key: where it may come from, and `segelctl audit key`, which shows the one beside a log."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import Dir, audit_command, folder_of

if TYPE_CHECKING:
    from segeld.audit.note import Verifier

KEY = """\
Examples:
  segelctl audit key > audit-2026.pub

Do this once, when the log is new, and give the key to whoever will verify: on paper, in a minute of a meeting, on another machine. A key that is taken from the log's folder later proves nothing, for whoever can change the log can change the key beside it."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE)


def register(group: typer.Typer) -> None:
    audit_command(group, "key", epilog=KEY, codes=CODES)(key)


def key(session: Session, folder: Dir = None) -> ExitCode:
    """Show the public key that is in the log's folder."""
    from segeld.audit import layout
    from segeld.audit.note import BadNote, Verifier
    from segeld.audit.tiles import LogUnreadable

    path = folder_of(folder) / layout.KEY
    try:
        found = Verifier.parse(path.read_text())
    except (BadNote, UnicodeDecodeError) as error:
        raise LogUnreadable(f"{path}: {error}") from None
    session.output.record({"key": str(found), "origin": found.name}, str(found))
    return ExitCode.OK


def parse_key(given: str, folder: Path) -> "Verifier":
    """The key that was given as itself or as a file.

    :raises UsageError: if it is none, or lies where the log lies.
    """
    from segeld.audit.note import BadNote, Verifier

    path = Path(given)
    text = given
    if _is_file(path):
        if _is_within(path, folder):
            raise UsageError(
                f"{path} lies in the log's own folder: whoever changed the log could have changed it as well, so it "
                "proves nothing. Give the key that was handed out when the log was made"
            )
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            raise UsageError(f"{path}: this is no public key of a log") from None
    elif "+" not in given:
        raise UsageError(f"there is no file {given}, and it is no public key of a log either")
    try:
        return Verifier.parse(text)
    except BadNote as error:
        raise UsageError(f"{path}: {error}" if text is not given else f"--key: {error}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a key itself may be no possible name of a file


def _is_within(path: Path, folder: Path) -> bool:
    """By whatever name it is called, a hard link to the folder's own key included."""
    if path.resolve().is_relative_to(folder.resolve()):
        return True
    own = folder / "key.pub"
    return _is_file(own) and path.samefile(own)
