"""`segelctl status`"""

from collections.abc import Iterator
from typing import Any

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session, session_command
from segeld.ctl import change_view, key_view
from segeld.ctl.standing import Standing, named, witness_said
from segeld.ctl.token_view import COLUMNS, record, row
from segeld.model.counts import counted, fitting

_EPILOG = """\
Examples:
  segelctl status
  segelctl status > /dev/null || notify-the-officer
  segelctl status --json | jq .signing

Ends with 0 if every token and every key signs, with 5 if one needs an officer, with 9 if one is on its way, or if nothing can be recorded and so nothing is signed. A key that an officer disabled is no reason to end with 5, unless nothing is left that signs in its place, or for an alias.

With --json: one object with signing, why_not, tokens, keys_that_cannot_sign, dead_aliases, warnings, changes, two_person, policy_file_differs, witness."""

_CODES = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
    ExitCode.OFFICER_NEEDED,
    ExitCode.TRY_LATER,
)


def register(app: typer.Typer) -> None:
    session_command(app, "status", epilog=_EPILOG, codes=_CODES)(status)


async def status(session: Session) -> ExitCode:
    """Show on one screen whether the daemon can be reached, and what signs."""
    target = session.settings().target
    async with session.officer() as officer:
        standing = Standing(
            target,
            await officer.tokens(),
            await officer.trouble(),
            await officer.policy.get(),
            await officer.changes.list(),
            await officer.log.state(),
            *await officer.keys.look(),
        )
    if session.json:
        session.output.record(_whole(standing))
    else:
        _show(session, standing)
    return standing.code()


def _show(session: Session, standing: Standing) -> None:
    output = session.output
    tokens, keys = len(standing.tokens), len(standing.keys)
    output.note(
        f"The daemon at {standing.target} answers. {standing.active} of {counted(tokens, 'token')} "
        f"{fitting(tokens, 'is', 'are')} active, {standing.active_keys} of {counted(keys, 'key')} can sign."
    )
    for key in standing.cannot_sign:
        text = f"{named(key)}: {key.key.state_reason}"
        if key.disable_time is None:
            output.error(text)
        else:
            output.note(f"Note: {text}")
    for alias, why in standing.dead_aliases.items():
        output.error(f"{alias} is in the policy; {why}")
    for why in standing.why_not():
        output.error(f"nothing is signed now: {why}")
    for warning in _warnings(standing):
        output.note(f"Note: {warning}")
    if standing.log.trouble:
        output.error(standing.log.trouble)
    output.note(witness_said(standing.log))
    if not standing.changes.two_person:
        output.note("One person can do everything (two_person = false).")
    output.table(COLUMNS, [(record(token), row(token)) for token in standing.tokens])
    for change in standing.changes.changes:
        output.note(f"{change.name} is {change.state}: {change.summary[0]} {change.state_reason}")


def _warnings(standing: Standing) -> Iterator[str]:
    """What is worth a word, though it keeps nothing from being signed."""
    for warning in standing.policy.warnings:
        if not warning.startswith("two_person"):  # said on its own
            yield warning
    for key in standing.keys:
        for warning in key.warnings if key.not_after else ():
            yield f"{(key.key.aliases or (key.key.name,))[0]}: {warning}"
    yield from standing.nameless()
    yield from standing.beside


def _whole(standing: Standing) -> dict[str, Any]:
    """For programs. A contract: fields are only added."""
    log = standing.log
    return {
        "target": standing.target,
        "signing": not standing.why_not(),
        "why_not": list(standing.why_not()),
        "exit_code": int(standing.code()),
        "tokens": [record(token) for token in standing.tokens],
        "keys_that_cannot_sign": [key_view.record(key) for key in standing.cannot_sign],
        "dead_aliases": dict(standing.dead_aliases),
        "warnings": list(_warnings(standing)),
        "changes": [change_view.record(change) for change in standing.changes.changes],
        "two_person": standing.changes.two_person,
        "policy_file_differs": standing.policy.file_differs,
        "witness": {
            "configured": log.witnessed,
            "age_seconds": log.witness_age if log.witness_age >= 0 else None,
            "text": witness_said(log),
        },
        "log_trouble": log.trouble,
    }
