"""Which key an officer means."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.failures import UsageError
from segel.cli.session import Session, full_key_name
from segeld.ctl.completing import complete_key

if TYPE_CHECKING:
    from segel.models_keys import ManagedKey

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="ALIAS or sha256-…, with or without keys/.",
        show_default=False,
        autocompletion=complete_key,
    ),
]


def resolve(keys: Sequence["ManagedKey"], name: str) -> "ManagedKey":
    """:raises UsageError: if there is none of that name, or several."""
    found = [each for each in keys if name in (each.key.name, *each.key.aliases)]
    if not found:
        raise UsageError(f"no token that was seen holds {name}; see: segelctl key list")
    if len(found) > 1:
        which = ", ".join(each.key.name for each in found)
        raise UsageError(f"{name} names {len(found)} keys; say which: {which}")
    return found[0]


def immutable_name(session: Session, key: str) -> str:
    """Outside the event loop."""

    async def ask() -> str:
        async with session.officer() as officer:
            return resolve(await officer.keys.list(), full_key_name(key)).key.name

    name = full_key_name(key)
    return name if name.startswith("keys/sha256-") else asyncio.run(ask())
