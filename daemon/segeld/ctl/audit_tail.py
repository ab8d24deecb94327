"""`segelctl audit tail`"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session
from segeld.ctl.audit_command import LOG_CODES, Dir, audit_command, folder_of
from segeld.ctl.audit_remote import ask, is_remote

if TYPE_CHECKING:
    from segeld.audit.reader import Log

TAIL = """\
Examples:
  segelctl audit tail
  segelctl audit tail -n 50
  segelctl audit tail --follow --json

Shows what was published; the newest leaves come with the next checkpoint, a second later. Nothing is verified. On a machine that has no log, the daemon is asked; --follow then waits until it is back after a restart, and goes on with the next leaf. A log that is smaller or another one than before is not followed: that ends with 7.

Columns off a terminal: leaf, time, kind, in words."""

_PAUSE = 0.5

Count = Annotated[int, typer.Option("-n", metavar="COUNT", min=0, help="How many leaves.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with leaves as they come.")]


def register(group: typer.Typer) -> None:
    audit_command(group, "tail", epilog=TAIL, codes=LOG_CODES)(tail)


def tail(session: Session, folder: Dir = None, count: Count = 10, follow: Follow = False) -> ExitCode:
    """Show the last leaves in words."""
    from segeld.audit.reader import open_log_folder

    if is_remote(folder):
        return _from_afar(session, count, follow=follow)
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


def _from_afar(session: Session, count: int, *, follow: bool) -> ExitCode:
    import asyncio

    from segeld.ctl.audit_follow import Follower

    def show(index: int, leaf: bytes) -> None:
        _show_leaf(session, index, leaf)
        session.output.flush()

    follower = Follower(show, session.output.note)
    if follow:
        asyncio.run(follower.follow(session.officer, count))
    else:
        ask(session, lambda log: follower.last(log, count))
    return ExitCode.OK


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
