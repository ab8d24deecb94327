"""`segelctl key list`, `show`, `generate`, `disable`, `enable`, `destroy` and `alias`"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.beginnings import require_whole
from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import Yes, sure
from segel.cli.output import plain
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl import key_alias, key_certificate, key_generate
from segeld.ctl.key_names import Key, find, immutable_name
from segeld.ctl.key_view import facts, record, row, rows_for_people
from segeld.ctl.proposing import DryRun, nothing_done, propose_and_run

if TYPE_CHECKING:
    from segel.models_keys import ManagedKey

app = typer.Typer(no_args_is_help=True, help="Keys, their certificates and their aliases.")

_LIST = """\
Examples:
  segelctl key list
  segelctl key list --json | jq -r 'select(.not_after) | [.name, .not_after] | @tsv'

On a terminal names are cut to what tells them apart, which commands take too; --wide shows all.

Columns off a terminal: name, aliases, state, kind, certificate until, what an officer should know, labels."""

_SHOW = """\
Examples:
  segelctl key show seal-2026"""

_DISABLE = """\
Examples:
  segelctl key disable seal-2025 --reason 'replaced by seal-2026'

It names the callers that use the key, and asks. Takes effect at once and needs one officer; a key that is disabled already stays so, with the first reason. Jobs wait; other requests are refused with KEY_DISABLED. To enable it again needs two."""

_ENABLE = """\
Examples:
  segelctl key enable seal-2025"""

_DESTROY = """\
Examples:
  segelctl key destroy sha256-… --dry-run
  segelctl key destroy sha256-…

Only a key that has been disabled for 30 days, and only with another officer's yes. It cannot be brought back."""

Wide = Annotated[bool, typer.Option("--wide", help="Every column in full, however long the lines get.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]


async def list_keys(session: Session, wide: Wide = False) -> None:
    """List all keys, with their certificates and how they are."""
    async with session.officer() as officer:
        keys = await officer.keys.list()
    if session.output.is_for_people:
        columns, rows = rows_for_people(keys, wide=wide)
        session.output.lines(columns, rows, cut=not wide)
    else:
        for key in keys:
            session.output.record(record(key), *row(key))


async def show(session: Session, key: Key) -> None:
    """Show one key with its certificate, where it lies and who may use it."""
    async with session.officer() as officer:
        found = await find(officer, full_key_name(key))
    session.output.facts(record(found), facts(found))


def disable(
    session: Session, key: Key, reason: Reason, yes: Yes = False, dry_run: DryRun = False
) -> Awaitable[ExitCode]:
    """Withdraw a key at once: nothing is signed with it from now on."""
    found = asyncio.run(_found(session, key, yes=yes))  # or Ctrl-C would not end the question
    if found.disable_time is not None:
        return _disabled_before(session, found)
    if dry_run or not yes:
        session.output.note(_lost(found))
    if dry_run:
        return nothing_done(ExitCode.OK)
    if not sure(session, "Disable it?", yes=yes):
        return nothing_done(ExitCode.FAILED)
    return _disable(session, found.key.name, reason)


async def _found(session: Session, key: str, *, yes: bool) -> "ManagedKey":
    require_whole(full_key_name(key), yes=yes)
    async with session.officer() as officer:
        return await find(officer, full_key_name(key))


async def _disabled_before(session: Session, found: "ManagedKey") -> ExitCode:
    """What was asked for is so: the first reason stays."""
    if session.json:
        session.output.record(record(found))
    else:
        session.output.line(plain(f"{found.key.name} is disabled already. {found.key.state_reason}"))
    return ExitCode.OK


def _lost(found: "ManagedKey") -> str:
    who = f"These callers can sign with it now: {', '.join(found.callers)}." if found.callers else ""
    called = f" ({', '.join(found.key.aliases)})" if found.key.aliases else ""
    return f"{found.key.name}{called} would sign nothing more. {who or 'No caller is granted it.'}"


async def _disable(session: Session, name: str, reason: str) -> ExitCode:
    from segel.errors import KeyNotUsable

    async with session.officer() as officer:
        try:
            found = await officer.keys.disable(name, reason)
        except KeyNotUsable as error:  # another officer was quicker
            if error.reason != "KEY_DISABLED":
                raise
            return await _disabled_before(session, await find(officer, name))
    if session.json:
        session.output.record(record(found))
    else:
        session.output.line(
            plain(f"{found.key.name} is disabled. To use it again: segelctl key enable {found.key.name}")
        )
    return ExitCode.OK


def enable(session: Session, key: Key, yes: Yes = False, dry_run: DryRun = False) -> Awaitable[ExitCode]:
    """Let a disabled key sign again. Another officer must agree."""
    from segel.models_changes import EnableKey

    return propose_and_run(
        session, EnableKey(immutable_name(session, key, yes=yes)), yes=yes, dry_run=dry_run
    )


def destroy(session: Session, key: Key, yes: Yes = False, dry_run: DryRun = False) -> Awaitable[ExitCode]:
    """Remove a key from its tokens for ever. Another officer must agree."""
    from segel.models_changes import DestroyKey

    return propose_and_run(
        session, DestroyKey(immutable_name(session, key, yes=yes)), yes=yes, dry_run=dry_run
    )


session_command(app, "list", epilog=_LIST)(list_keys)
session_command(app, "show", epilog=_SHOW)(show)
key_generate.register(app)
key_certificate.register(app)
session_command(app, "disable", epilog=_DISABLE)(disable)
session_command(app, "enable", epilog=_ENABLE)(enable)
session_command(app, "destroy", epilog=_DESTROY)(destroy)
key_alias.register(app)
