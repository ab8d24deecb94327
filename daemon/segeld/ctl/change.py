"""`segelctl change list`, `show`, `approve`, `reject` and `run`"""

import asyncio
import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes, sure
from segel.cli.output import plain
from segel.cli.session import Session, session_command
from segeld.ctl.change_diff import Whole, whole
from segeld.ctl.change_view import COLUMNS, facts, record, row
from segeld.ctl.completing import complete_change
from segeld.ctl.proposing import (
    NewPinFd,
    NewPinFile,
    SecretOptions,
    SoPinFd,
    SoPinFile,
    nothing_done,
    say,
    wipe,
)

if TYPE_CHECKING:
    from segel.models_changes import Change

app = typer.Typer(no_args_is_help=True, help="What two officers do together.")

_LIST = """\
Examples:
  segelctl change list
  segelctl change list --ended

Columns: number, state, who asked, until when, what, what comes next and who runs it."""

_SHOW = """\
Examples:
  segelctl change show 7
  segelctl change show 7 --diff

A policy may change thousands of things; --diff shows them all, and both files line by line, while it can still be run."""

_APPROVE = """\
Examples:
  segelctl change approve 7
  segelctl change approve 7 --hash "$hash" --yes

Shows all that is gained and lost, and asks. What is approved is what was shown: the daemon refuses if it is something else. Whoever asked for a change cannot approve it."""

_REJECT = """\
Examples:
  segelctl change reject 7 --reason "the old key is still in use"

For officers who do not agree, and for whoever asked and does not want it any more."""

_RUN = """\
Examples:
  segelctl change run 7
  segelctl change run 7 --so-pin-file /run/keys/so.pin --new-pin-file /run/keys/new.pin

For whoever asked for it, once it is approved. Asks for the secrets that it needs. Nothing is repeated by itself: a wrong SO PIN costs one of the token's tries."""

Number = Annotated[
    str,
    typer.Argument(
        metavar="NUMBER",
        help="Its number, with or without changes/.",
        show_default=False,
        autocompletion=complete_change,
    ),
]
Ended = Annotated[bool, typer.Option("--ended", help="Those of the last 90 days that have ended, too.")]
Hash = Annotated[
    str | None, typer.Option("--hash", metavar="HEX", help="What was agreed to, as `change show` prints it.")
]
Diff = Annotated[
    bool, typer.Option("--diff", help="Of a policy: all that it changes, and the text line by line.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; whoever asked for it reads it.")]


async def list_changes(session: Session, ended: Ended = False) -> None:
    """List the changes that wait, and what comes next."""
    async with session.officer() as officer:
        found = await officer.changes.list(ended=ended)
    session.output.table(COLUMNS, [(record(change), row(change)) for change in found.changes])


async def show(session: Session, number: Number, diff: Diff = False) -> None:
    """Show one change: what is gained and lost, who asked, until when."""
    name = full_name(number)
    if not diff:
        change = await _look(session, name)
        session.output.facts(record(change), facts(change))
        return
    seen = await _look_at_all(session, name, text=True)
    if session.json:
        session.output.record({**record(seen.change), "diff": list(seen.text)})
        return
    session.output.facts(record(seen.change), facts(seen.change))
    for line in seen.text:
        session.output.line(plain(line))
    if not seen.text:
        session.output.note(
            "There is nothing to compare: it is no change of the policy's text, or cannot be run any more."
        )


async def _look(session: Session, name: str) -> "Change":
    async with session.officer() as officer:
        return await officer.changes.get(name)


async def _look_at_all(session: Session, name: str, *, text: bool) -> Whole:
    async with session.officer() as officer:
        return await whole(officer, name, text=text)


def approve(session: Session, number: Number, yes: Yes = False, agreed: Hash = None) -> Awaitable[ExitCode]:
    """Say yes to what another officer asked for."""
    name = full_name(number)
    if agreed is None:
        change = asyncio.run(_look_at_all(session, name, text=False)).change
        if not (yes and session.json):
            for label, value in facts(change).items():
                for line in str(value).splitlines():
                    session.output.note(f"{label}: {line}")
        wanted = change.action_hash
    else:
        wanted = _octets(agreed)
    if not sure(session, f"Approve {name}?", yes=yes):
        return nothing_done(ExitCode.FAILED)
    return _approve(session, name, wanted)


async def _approve(session: Session, name: str, wanted: bytes) -> ExitCode:
    async with session.officer() as officer:
        say(session, await officer.changes.approve(name, wanted))
    return ExitCode.OK


async def reject(session: Session, number: Number, reason: Reason = "") -> None:
    """Say no to a change, or withdraw your own."""
    async with session.officer() as officer:
        say(session, await officer.changes.reject(full_name(number), reason))


def run(
    session: Session,
    number: Number,
    so_pin_file: SoPinFile = None,
    so_pin_fd: SoPinFd = None,
    new_pin_file: NewPinFile = None,
    new_pin_fd: NewPinFd = None,
) -> Awaitable[ExitCode]:
    """Do what you asked for and another officer has approved."""
    change = asyncio.run(_look(session, full_name(number)))
    options = SecretOptions(so_pin_file, so_pin_fd, new_pin_file, new_pin_fd)
    # Nobody should type a PIN to learn that the change cannot be run: the daemon says why.
    given = options.read(change) if change.state == "approved" else {}
    return _run(session, change.name, given)


async def _run(session: Session, name: str, given: dict[str, bytearray]) -> ExitCode:
    try:
        async with session.officer() as officer:
            say(session, await officer.changes.run(name, **given))
    finally:
        wipe(given)
    return ExitCode.OK


def full_name(number: str) -> str:
    return number if number.startswith("changes/") else f"changes/{number}"


def _octets(text: str) -> bytes:
    """:raises UsageError: if it is no SHA-256."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError("--hash is 64 hexadecimal digits, as `segelctl change show` prints them")
    return bytes.fromhex(text)


session_command(app, "list", epilog=_LIST)(list_changes)
session_command(app, "show", epilog=_SHOW)(show)
session_command(app, "approve", epilog=_APPROVE)(approve)
session_command(app, "reject", epilog=_REJECT)(reject)
session_command(app, "run", epilog=_RUN)(run)
