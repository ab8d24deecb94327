"""Which key an officer means."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.beginnings import is_beginning, require_whole, whole, whole_key
from segel.cli.failures import NotThere, UsageError
from segel.cli.session import Session, full_key_name
from segeld.ctl.completing import complete_key
from segeld.ctl.policy_aliases import aliases_of

if TYPE_CHECKING:
    from segel import Officer
    from segel.models import Key as SeenKey
    from segel.models_keys import ManagedKey

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="ALIAS or sha256-…, with or without keys/; its first digits will do, 8 at least.",
        show_default=False,
        autocompletion=complete_key,
    ),
]


def resolve(keys: Sequence["ManagedKey"], name: str) -> "ManagedKey":
    """:param name: with keys/; a beginning will do.
    :raises NotThere: if there is none of that name.
    :raises UsageError: if there are several.
    """
    aliases = {alias for each in keys for alias in each.key.aliases}
    name = whole(name, (each.key.name for each in keys), aliases)
    found = [each for each in keys if name in (each.key.name, *each.key.aliases)]
    if not found:
        raise NotThere(f"no token that was seen holds {name}; see: segelctl key list")
    if len(found) > 1:
        which = ", ".join(each.key.name for each in found)
        raise UsageError(f"{name} names {len(found)} keys; say which: {which}")
    return found[0]


async def find(officer: "Officer", name: str) -> "ManagedKey":
    """The same, of the keys that there are.

    :raises NotThere: also for an alias whose keys are gone, which it says.
    :raises UsageError: if there are several.
    """
    keys = await officer.keys.list()
    try:
        return resolve(keys, name)
    except NotThere:
        if name not in aliases_of((await officer.policy.get()).toml):
            raise
        raise NotThere(f"{name} is in the policy; none of its keys is on a token that was seen") from None


async def meant(officer: "Officer", name: str) -> str:
    """The name that the daemon is to be asked for: a beginning becomes whole, any other stays.

    :raises UsageError: if several keys begin so.
    """

    async def keys() -> list["SeenKey"]:
        return [each.key for each in await officer.keys.list()]

    return await whole_key(name, keys)


def immutable_name(session: Session, key: str, *, yes: bool = False) -> str:
    """Outside the event loop.

    :param yes: whether nobody is shown it.
    """

    async def ask() -> str:
        async with session.officer() as officer:
            return (await find(officer, name)).key.name

    name = full_key_name(key)
    require_whole(name, yes=yes)
    return name if name.startswith("keys/sha256-") and not is_beginning(name) else asyncio.run(ask())
