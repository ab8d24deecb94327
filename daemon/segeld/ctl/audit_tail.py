"""`segelctl audit tail`"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session
from segeld.ctl.audit_command import Dir, audit_command, folder_of
from segeld.ctl.audit_remote import ask, is_remote, last_leaves

if TYPE_CHECKING:
    from segeld.audit.reader import Log

TAIL = """\
Examples:
  segelctl audit tail
  segelctl audit tail -n 50
  segelctl audit tail --follow --json

Shows what was published; the newest leaves come with the next checkpoint, a second later. Nothing is verified. On a machine that has no log, the daemon is asked.

Columns off a terminal: leaf, time, kind, in words."""

CODES = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
    ExitCode.BAD_SIGNATURE,
    ExitCode.TRY_LATER,
)
_PAUSE = 0.5

Count = Annotated[int, typer.Option("-n", metavar="COUNT", min=0, help="How many leaves.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with leaves as they come.")]


def register(group: typer.Typer) -> None:
    audit_command(group, "tail", epilog=TAIL, codes=CODES)(tail)


def tail(session: Session, folder: Dir = None, count: Count = 10, follow: Follow = False) -> ExitCode:
    """Show the last leaves in words."""
    from segeld.audit.reader import open_log_folder

    if is_remote(folder):

        def show(index: int, leaf: bytes) -> None:
            _show_leaf(session, index, leaf)
            session.output.flush()

        ask(session, lambda log: last_leaves(log, count, show, _PAUSE if follow else None))
        return ExitCode.OK
    where = folder_of(folder)
    log = open_log_folder(where, None)
    shown = max(0, log.checkpoint.size - count)
    while True:
        _show(session, log, shown)
        shown = max(shown, log.checkpoint.size)
        if not follow:
            return ExitCode.OK
        session.output.flush()
        while (log := open_log_folder(where, None)).checkpoint.size <= shown:
            time.sleep(_PAUSE)


def _show(session: Session, log: "Log", first: int) -> None:
    from segeld.audit.layout import WIDTH

    size = log.checkpoint.size
    for number in range(first // WIDTH, -(-size // WIDTH)):
        for index, data in enumerate(log.tiles.leaves(number), number * WIDTH):
            if index >= first:
                _show_leaf(session, index, data)


def _show_leaf(session: Session, index: int, data: bytes) -> None:
    from segeld.audit.leaf import decode
    from segeld.ctl.audit_view import record, row

    leaf = decode(data)
    session.output.record(record(index, leaf), *row(index, leaf))
