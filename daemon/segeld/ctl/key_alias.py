"""`segelctl key alias`: which keys an alias names, as a change of the policy. The rest of the file stays as it is."""

import asyncio
import tomllib
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
    adding = [immutable_name(session, each, yes=yes) for each in add or ()]
    _say_unseen(session, adding)
    removing = [immutable_name(session, each, yes=yes) for each in remove or ()]
    toml, base = asyncio.run(_policy(session))
    edited = with_alias(toml, word, adding, removing)
    return propose_and_run(session, ApplyPolicy(edited, base), yes=yes, dry_run=dry_run)


def _say_unseen(session: Session, names: list[str]) -> None:
    """A token may be in a drawer; a name may be mistyped."""

    async def ask() -> set[str]:
        async with session.officer() as officer:
            return {each.key.name for each in await officer.keys.list()}

    for name in sorted({*names} - asyncio.run(ask())) if names else ():
        session.output.note(f"Note: no token that was seen holds {name}.")


async def _policy(session: Session) -> tuple[str, bytes]:
    async with session.officer() as officer:
        policy = await officer.policy.get()
    return policy.toml, policy.hash


def with_alias(toml: str, word: str, adding: list[str], removing: list[str]) -> str:
    """The file with another alias; comments and order stay, those between its keys too. Pure.

    :raises UsageError: if a key to be taken out is not in it, or one to be added is; if the last one is taken out of an
        alias that the policy names elsewhere.
    """
    import tomlkit
    import tomlkit.items

    document = tomlkit.parse(toml)
    aliases = document.setdefault("aliases", tomlkit.table())
    if not isinstance(aliases, tomlkit.items.Table | tomlkit.items.InlineTable):
        raise UsageError("the policy's aliases are no table")
    spelled = next((each for each in (word, f"keys/{word}") if each in aliases), word)
    if removing and spelled not in aliases:
        raise UsageError(f"the policy has no alias keys/{word}; see: segelctl key list")
    wanted = _changed(word, [*map(_full, aliases.get(spelled, ()))], adding, removing)
    if not wanted:
        del aliases[spelled]
        if _names(document.unwrap(), {word, f"keys/{word}"}):
            raise UsageError(
                f"keys/{word} would name no key, and the policy grants it; --add another one in the same command, or take it "
                "out of the grants first: segelctl policy show"
            )
        return tomlkit.dumps(document)
    if spelled in aliases:
        keys = aliases[spelled]
        for key in removing:
            del keys[[*map(_full, keys)].index(key)]
        keys.extend(adding)
        edited = tomlkit.dumps(document)
        if _stands_for(edited, spelled, wanted):
            return edited
    # A new one; or one with a comment in a place behind which tomlkit writes no comma.
    aliases[spelled] = tomlkit.array().multiline(multiline=len(wanted) > 1)
    aliases[spelled].extend(wanted)
    return tomlkit.dumps(document)


def _changed(word: str, present: list[str], adding: list[str], removing: list[str]) -> list[str]:
    """:raises UsageError:"""
    wanted = list(present)
    for key in removing:
        if key not in wanted:
            raise UsageError(
                f"keys/{word} does not name {key}; it names {', '.join(wanted) or 'no other key'}"
            )
        wanted.remove(key)
    for key in adding:
        if key in wanted:
            raise UsageError(f"keys/{word} names {key} already")
        wanted.append(key)
    return wanted


def _stands_for(toml: str, alias: str, keys: list[str]) -> bool:
    try:
        found = tomllib.loads(toml)["aliases"][alias]
    except (tomllib.TOMLDecodeError, KeyError):
        return False
    return [*map(_full, found)] == keys


def _full(key: str) -> str:
    return key if key.startswith("keys/") else f"keys/{key}"


def _names(part: object, names: set[str], under: str = "") -> bool:
    """Whether some list of keys, or some key's table, in a document has one of the names."""
    match part:
        case dict():
            return any(
                (under == "keys" and each in names) or _names(value, names, each)
                for each, value in part.items()
            )
        case list():
            return any(_names(each, names, under) for each in part)
        case _:
            return under == "keys" and part in names


def register(app: typer.Typer) -> None:
    session_command(app, "alias", epilog=_EPILOG)(alias)
