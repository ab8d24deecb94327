"""`segelctl status`"""

from typing import TYPE_CHECKING, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session, session_command
from segeld.ctl.token_view import COLUMNS, record, row
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel.officer_log import LogState

_EPILOG = """\
Examples:
  segelctl status
  segelctl status > /dev/null || notify-the-officer

Ends with 0 if every token signs, with 5 if one needs an officer, with 9 if one is on its way, or if nothing can be recorded and so nothing is signed."""

_CODES = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
    ExitCode.OFFICER_NEEDED,
    ExitCode.TRY_LATER,
)
_ON_ITS_WAY: Final = {"starting", "recovering"}


def register(app: typer.Typer) -> None:
    session_command(app, "status", epilog=_EPILOG, codes=_CODES)(status)


def _witness(log: "LogState") -> str:
    if not log.witnessed:
        return "The audit log has no witness: nobody notices if all of it is put back ([audit.witness])."
    if log.witness_age < 0:
        return "The audit log's witness has not been given a checkpoint since the daemon was started."
    return f"The audit log's newest checkpoint was witnessed {log.witness_age:.0f} s ago."


async def status(session: Session) -> ExitCode:
    """Show on one screen whether the daemon can be reached, and how each token is."""
    target = session.settings().target
    async with session.officer() as officer:
        tokens = await officer.tokens()
        trouble = await officer.trouble()
        warnings = (await officer.policy.get()).warnings
        found = await officer.changes.list()
        log = await officer.log.state()
        keys, beside = await officer.keys.look()
    output = session.output
    states = [str(token.state) for token in tokens]
    active = states.count("active")
    if not session.json:
        output.note(f"The daemon at {target} answers. {active} of {counted(len(states), 'token')} can sign.")
    for warning in warnings:
        if not warning.startswith("two_person"):  # said below
            output.note(f"Note: {warning}")
    for key in keys:
        for warning in key.warnings if key.not_after else ():
            output.note(f"Note: {(key.key.aliases or (key.key.name,))[0]}: {warning}")
    for warning in beside:
        output.note(f"Note: {warning}")
    if trouble:
        output.error(f"nothing is signed now: {trouble}")
    if log.trouble:
        output.error(log.trouble)
    output.note(_witness(log))
    if not found.two_person:
        output.note("One person can do everything (two_person = false).")
    output.table(COLUMNS, [(record(token), row(token)) for token in tokens])
    for change in found.changes:
        output.note(f"{change.name} is {change.state}: {change.summary[0]} {change.state_reason}")
    if not tokens:
        return ExitCode.OFFICER_NEEDED
    if active == len(states):
        return ExitCode.TRY_LATER if trouble else ExitCode.OK
    waiting = [state for state in states if state != "active"]
    return ExitCode.TRY_LATER if _ON_ITS_WAY.issuperset(waiting) else ExitCode.OFFICER_NEEDED
