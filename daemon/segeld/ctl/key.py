"""`segelctl key list`, `show`, `generate`, `disable`, `enable`, `destroy` and `alias`"""

import asyncio
from collections.abc import Awaitable
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import Yes, sure
from segel.cli.output import plain
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl import key_alias, key_certificate, key_generate
from segeld.ctl.key_names import Key, immutable_name, resolve
from segeld.ctl.key_view import COLUMNS, facts, record, row
from segeld.ctl.proposing import DryRun, propose_and_run

app = typer.Typer(no_args_is_help=True, help="Keys, their certificates and their aliases.")

_LIST = """\
Examples:
  segelctl key list
  segelctl key list --json | jq -r 'select(.not_after) | [.name, .not_after] | @tsv'

Columns: name, aliases, state, kind, certificate until, what an officer should know."""

_SHOW = """\
Examples:
  segelctl key show seal-2026"""

_DISABLE = """\
Examples:
  segelctl key disable seal-2025 --reason 'replaced by seal-2026'

It names the callers that use the key, and asks. Takes effect at once and needs one officer. Jobs wait; other requests are refused with KEY_DISABLED. To enable it again needs two."""

_ENABLE = """\
Examples:
  segelctl key enable seal-2025"""

_DESTROY = """\
Examples:
  segelctl key destroy sha256-… --dry-run
  segelctl key destroy sha256-…

Only a key that has been disabled for 30 days, and only with another officer's yes. It cannot be brought back."""

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]


async def list_keys(session: Session) -> None:
    """List all keys, with their certificates and how they are."""
    async with session.officer() as officer:
        keys = await officer.keys.list()
    session.output.table(COLUMNS, [(record(key), row(key)) for key in keys])


async def show(session: Session, key: Key) -> None:
    """Show one key with its certificate, where it lies and who may use it."""
    async with session.officer() as officer:
        found = resolve(await officer.keys.list(), full_key_name(key))
    session.output.facts(record(found), facts(found))


def disable(session: Session, key: Key, reason: Reason, yes: Yes = False) -> Awaitable[ExitCode]:
    """Withdraw a key at once: nothing is signed with it from now on."""
    name = immutable_name(session, key)
    if not yes:  # asked outside the event loop, or Ctrl-C would not end the question
        session.output.note(asyncio.run(_lost(session, name)))
    if not sure(session, "Disable it?", yes=yes):
        return _nothing()
    return _disable(session, name, reason)


async def _nothing() -> ExitCode:
    return ExitCode.FAILED


async def _lost(session: Session, name: str) -> str:
    async with session.officer() as officer:
        found = resolve(await officer.keys.list(), name)
    who = f"These callers can sign with it now: {', '.join(found.callers)}." if found.callers else ""
    called = f" ({', '.join(found.key.aliases)})" if found.key.aliases else ""
    return f"{found.key.name}{called} would sign nothing more. {who or 'No caller is granted it.'}"


async def _disable(session: Session, name: str, reason: str) -> ExitCode:
    async with session.officer() as officer:
        found = await officer.keys.disable(name, reason)
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

    return propose_and_run(session, EnableKey(immutable_name(session, key)), yes=yes, dry_run=dry_run)


def destroy(session: Session, key: Key, yes: Yes = False, dry_run: DryRun = False) -> Awaitable[ExitCode]:
    """Remove a key from its tokens for ever. Another officer must agree."""
    from segel.models_changes import DestroyKey

    return propose_and_run(session, DestroyKey(immutable_name(session, key)), yes=yes, dry_run=dry_run)


session_command(app, "list", epilog=_LIST)(list_keys)
session_command(app, "show", epilog=_SHOW)(show)
key_generate.register(app)
key_certificate.register(app)
session_command(app, "disable", epilog=_DISABLE)(disable)
session_command(app, "enable", epilog=_ENABLE)(enable)
session_command(app, "destroy", epilog=_DESTROY)(destroy)
key_alias.register(app)
