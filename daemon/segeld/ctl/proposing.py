"""What one person must not do alone, from a command: shown, asked for, and run at once if nobody else has to agree.

return propose_and_run(session, InitializeToken("tokens/seal"), yes=yes, dry_run=dry_run, secrets=secrets)
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import sure
from segel.cli.output import plain
from segel.cli.session import Session
from segeld.ctl.change_view import record, summary
from segeld.ctl.pin import read_new_pin, read_so_pin
from segeld.ctl.typed_back import typed_back

if TYPE_CHECKING:  # gRPC takes longer to load than a help text should take to appear
    from segel.models_changes import Action, Change

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done and who must agree; do nothing.")
]
SoPinFile = Annotated[
    Path | None, typer.Option("--so-pin-file", help="A file with the SO PIN that only you or root can read.")
]
SoPinFd = Annotated[
    int | None, typer.Option("--so-pin-fd", metavar="N", help="An open descriptor to read the SO PIN from.")
]
NewPinFile = Annotated[
    Path | None,
    typer.Option("--new-pin-file", help="A file with the new PIN that only you or root can read."),
]
NewPinFd = Annotated[
    int | None, typer.Option("--new-pin-fd", metavar="N", help="An open descriptor to read the new PIN from.")
]


@dataclass(frozen=True, slots=True)
class SecretOptions:
    """Where secrets come from, if they are not typed."""

    so_pin_file: Path | None = None
    so_pin_fd: int | None = None
    new_pin_file: Path | None = None
    new_pin_fd: int | None = None

    def read(self, change: "Change") -> dict[str, bytearray]:
        """What the change needs, no more. Ask outside the event loop, or Ctrl-C would not end the question.

        :raises UsageError: if one cannot be had.
        """
        token = str(getattr(change.action, "token", change.name))
        taken: dict[str, bytearray] = {}
        try:
            if "so_pin" in change.secrets:
                taken["so_pin"] = read_so_pin(token, file=self.so_pin_file, descriptor=self.so_pin_fd)
            if "new_pin" in change.secrets:
                taken["new_pin"] = read_new_pin(token, file=self.new_pin_file, descriptor=self.new_pin_fd)
        except BaseException:
            wipe(taken)
            raise
        return taken


_TYPED: Final = SecretOptions()


def wipe(secrets: Mapping[str, bytearray]) -> None:
    for secret in secrets.values():
        secret[:] = bytes(len(secret))


def propose_and_run(
    session: Session,
    action: "Action",
    *,
    yes: bool,
    dry_run: bool = False,
    secrets: SecretOptions = _TYPED,
    question: str = "Ask for it?",
    word: str = "",
) -> Awaitable[ExitCode]:
    """Shows what would be done and asks whether to; proposes it; then runs it, or says what the other officer must run.

    :param word: to be typed back in place of a yes, where much is lost.

    Called by a command that is no coroutine function, outside the event loop: it asks people.

    :raises UsageError: if there is nobody to ask.
    :raises SegelError: what the daemon said.
    """
    foreseen = asyncio.run(_propose(session, action, dry_run=True))
    alone = foreseen.state == "approved"
    if dry_run:
        return _say_foreseen(session, foreseen)
    if not session.json or not yes:
        _show(session, foreseen)
    question = question if not alone else "Do it?"
    if not (typed_back(session, word, yes=yes) if word else sure(session, question, yes=yes)):
        return nothing_done(ExitCode.FAILED)
    # Whoever is asked for a PIN should not learn afterwards that none was wanted.
    given = secrets.read(foreseen) if alone else {}
    return _go_on(session, action, given)


async def _propose(session: Session, action: "Action", *, dry_run: bool) -> "Change":
    async with session.officer() as officer:
        return await officer.changes.propose(action, dry_run=dry_run)


async def nothing_done(code: ExitCode) -> ExitCode:
    """The end of a command that asked and was told no, or only showed what it would do."""
    return code


def _show(session: Session, change: "Change") -> None:
    for line in change.summary:
        session.output.note(line)


async def _say_foreseen(session: Session, change: "Change") -> ExitCode:
    alone = change.state == "approved"
    if session.json:
        session.output.record({**record(change), "needs_approval": not alone})
        return ExitCode.OK
    for line in change.summary:
        session.output.line(plain(line))
    session.output.line(
        "Nothing was done. You can do this alone."
        if alone
        else "Nothing was done. Another officer must approve this."
    )
    return ExitCode.OK


async def _go_on(session: Session, action: "Action", given: Mapping[str, bytearray]) -> ExitCode:
    from segel.errors import SegelError

    try:
        async with session.officer() as officer:
            change = await officer.changes.propose(action)
            if change.state == "approved":
                try:
                    change = await officer.changes.run(change.name, **given)
                except SegelError:
                    session.output.note(
                        f"{change.name} was asked for and is kept. Try again: segelctl change run {change.number}. "
                        f"Or withdraw it: segelctl change reject {change.number}"
                    )
                    raise
    finally:
        wipe(given)
    say(session, change)
    return ExitCode.OK


def say(session: Session, change: "Change") -> None:
    """What has come of a change, and what comes next."""
    if session.json:
        session.output.record(record(change))
        return
    if change.state != "waiting":
        session.output.line(plain(summary(change)))
        return
    output, number = session.output, change.number
    output.line(
        plain(f"{change.name} waits for an officer other than {change.requested_by}. Nothing is done yet.")
    )
    output.line(f"They run:      segelctl change approve {number}")
    output.line(f"Then you run:  segelctl change run {number}")
