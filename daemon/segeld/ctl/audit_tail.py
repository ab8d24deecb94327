"""`segelctl audit tail`"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session
from segeld.ctl.audit_command import Dir, folder_of

if TYPE_CHECKING:
    from segeld.audit.reader import Log

TAIL = """\
Examples:
  segelctl audit tail
  segelctl audit tail -n 50
  segelctl audit tail --follow --json

Shows what was published; the newest leaves come with the next checkpoint, a second later. Nothing is verified.

Columns off a terminal: leaf, time, kind, in words."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SIGNATURE)
_PAUSE = 0.5

Count = Annotated[int, typer.Option("-n", metavar="COUNT", min=0, help="How many leaves.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with leaves as they come.")]


def tail(session: Session, folder: Dir = None, count: Count = 10, follow: Follow = False) -> ExitCode:
    """Show the last leaves in words."""
    from segeld.audit.reader import open_log_folder

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
    from segeld.audit.leaf import decode
    from segeld.ctl.audit_view import record, row

    size = log.checkpoint.size
    for number in range(first // WIDTH, -(-size // WIDTH)):
        for index, data in enumerate(log.tiles.leaves(number), number * WIDTH):
            if index >= first:
                leaf = decode(data)
                session.output.record(record(index, leaf), *row(index, leaf))
