"""`segelctl key alias`: which keys an alias names, as a change of the policy. The rest of the file stays as it is."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl.completing import complete_key
from segeld.ctl.key_names import immutable_name
from segeld.ctl.proposing import DryRun, propose_and_run

_EPILOG = """\
Examples:
  segelctl key alias seal --add sha256-…
  segelctl key alias seal --remove sha256-…
  segelctl key alias seal --add sha256-… --remove sha256-… --dry-run

An alias that does not exist is made; one from which the last key is taken goes. To add a key gives its use to all who may use the alias, and needs another officer; to take one out needs nobody else."""

Name = Annotated[
    str,
    typer.Argument(
        metavar="ALIAS", help="With or without keys/.", show_default=False, autocompletion=complete_key
    ),
]
Add = Annotated[list[str] | None, typer.Option("--add", metavar="KEY", help="Repeatable.")]
Remove = Annotated[list[str] | None, typer.Option("--remove", metavar="KEY", help="Repeatable.")]


def alias(
    session: Session,
    name: Name,
    add: Add = None,
    remove: Remove = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Awaitable[ExitCode]:
    """Put keys into an alias, or take them out."""
    from segel.models_changes import ApplyPolicy

    if not (add or remove):
        raise UsageError("give --add or --remove")
    word = full_key_name(name).removeprefix("keys/")
    adding = [immutable_name(session, each) for each in add or ()]
    removing = [immutable_name(session, each) for each in remove or ()]
    toml, base = asyncio.run(_policy(session))
    edited = with_alias(toml, word, adding, removing)
    return propose_and_run(session, ApplyPolicy(edited, base), yes=yes, dry_run=dry_run)


async def _policy(session: Session) -> tuple[str, bytes]:
    async with session.officer() as officer:
        policy = await officer.policy.get()
    return policy.toml, policy.hash


def with_alias(toml: str, word: str, adding: list[str], removing: list[str]) -> str:
    """The file with another alias; comments and order stay. Pure.

    :raises UsageError: if a key to be taken out is not in it, or one to be added is.
    """
    import tomlkit
    import tomlkit.items

    document = tomlkit.parse(toml)
    aliases = document.setdefault("aliases", tomlkit.table())
    if not isinstance(aliases, tomlkit.items.Table | tomlkit.items.InlineTable):
        raise UsageError("the policy's aliases are no table")
    spelled = next((each for each in (word, f"keys/{word}") if each in aliases), word)
    present = [_full(str(each)) for each in aliases.get(spelled, ())]
    for key in removing:
        if key not in present:
            raise UsageError(f"keys/{word} does not name {key}")
        present.remove(key)
    for key in adding:
        if key in present:
            raise UsageError(f"keys/{word} names {key} already")
        present.append(key)
    if present:
        keys = tomlkit.array()
        keys.extend(present)
        aliases[spelled] = keys.multiline(multiline=len(present) > 1)
    else:
        del aliases[spelled]
    return tomlkit.dumps(document)


def _full(key: str) -> str:
    return key if key.startswith("keys/") else f"keys/{key}"


def register(app: typer.Typer) -> None:
    session_command(app, "alias", epilog=_EPILOG)(alias)
