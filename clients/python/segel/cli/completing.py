"""Names that the daemon knows, for the completion of the shell: `segel key show <TAB>`.

The shell waits for the answer and has nowhere to put an error, so there is little time, and no answer is a good one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from typing import Any, Final

import typer

from segel.cli.session import Profile, Session

Names = Callable[[Session], AsyncIterator[tuple[str, str]]]
"""What there is to name, each with what it is; with or without the collection (``keys/``) before it."""

_PATIENCE: Final = 2.0
"""Seconds."""
_MOST: Final = 200

Completion = Callable[[typer.Context, str], list[tuple[str, str]]]


def completion(profile: Profile, collection: str, names: Names) -> Completion:
    """For `autocompletion=` of an argument or an option.

    :param collection: such as ``keys/``; it is offered if the user began to type it.
    """

    def complete(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        before = collection if incomplete.startswith(collection) else ""
        found: list[tuple[str, str]] = []

        async def ask() -> None:
            async for name, what in names(_session(profile, context)):
                offered = before + name.removeprefix(collection)
                if offered.startswith(incomplete):
                    found.append((offered, what))
                if len(found) == _MOST:
                    break

        with contextlib.suppress(Exception):
            asyncio.run(asyncio.wait_for(ask(), _PATIENCE))
        return found

    return complete


def _session(profile: Profile, context: typer.Context) -> Session:
    """What the options say that are typed already, at the command or before it."""
    said: dict[str, Any] = {}
    here: Any = context
    while here is not None:
        for option in fields(Session):
            if option.name not in said and (value := here.params.get(option.name)):
                said[option.name] = value
        here = here.parent
    return Session(**{**said, "profile": profile})


async def _keys(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.client() as client:
        for key in await client.keys():
            for name in (*key.aliases, key.name):
                yield name, key.algorithms[0].name if key.algorithms else ""


async def _jobs(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.client() as client:
        async for job in client.jobs.list():
            yield job.name, job.state.name.lower()


complete_key: Final = completion("client", "keys/", _keys)
complete_job: Final = completion("client", "jobs/", _jobs)
