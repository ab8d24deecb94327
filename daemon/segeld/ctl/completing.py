"""Names that officers type, for the completion of the shell: see `segel.cli.completing`."""

from collections.abc import AsyncIterator
from typing import Final

from segel.cli.completing import completion
from segel.cli.session import Session


async def _tokens(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        for token in await officer.tokens():
            yield token.name, token.state.name.lower()


async def _keys(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        for managed in await officer.keys.list():
            for name in (*managed.key.aliases, managed.key.name):
                yield name, managed.key.state.name.lower()


async def _key_names(session: Session) -> AsyncIterator[tuple[str, str]]:
    """Immutable ones only."""
    async with session.officer() as officer:
        for managed in await officer.keys.list():
            yield managed.key.name, ", ".join(managed.key.aliases)


async def _changes(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        for change in (await officer.changes.list()).changes:
            yield change.name, next(iter(change.summary), "")


async def _callers(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        found = await officer.policy.callers()
    for caller in found.callers:
        yield caller.name, "revoked" if caller.revoke_time else ", ".join(caller.sans)


async def _shut_out(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        found = await officer.policy.callers()
    for caller in found.callers:
        if caller.revoke_time:
            yield caller.name, caller.revoke_reason
    for certificate in found.certificates:
        yield certificate.fingerprint, certificate.revoke_reason


async def _jobs(session: Session) -> AsyncIterator[tuple[str, str]]:
    async with session.officer() as officer:
        async for job in officer.jobs.list(limit=200):
            yield job.name, job.state.name.lower()


complete_token: Final = completion("officer", "tokens/", _tokens)
complete_key: Final = completion("officer", "keys/", _keys)
complete_key_name: Final = completion("officer", "keys/", _key_names)
complete_change: Final = completion("officer", "changes/", _changes)
complete_caller: Final = completion("officer", "", _callers)
complete_shut_out: Final = completion("officer", "", _shut_out)
"""Callers and certificates that were revoked."""
complete_job: Final = completion("officer", "jobs/", _jobs)
