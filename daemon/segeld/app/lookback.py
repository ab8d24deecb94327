"""A restored database learns from the old log what officers decided after the backup, before anything is served."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from segeld.audit.identity import OwnLog, record_keys
from segeld.audit.lookback import Lookback, Lost
from segeld.jobqueue.sqlite import SqliteStore
from segeld.jobqueue.sqlite.record_seal import RecordSeal
from segeld.office import since_backup
from segeld.office.act_log import Adoption
from segeld.office.aftermath import Aftermath
from segeld.office.policy_desk import PolicyDesk
from segeld.office.reapplying import Reapplying

_KNOWN: Final = "restored_leaves"
"""The setting that keeps, for a log that was begun by a restore: its name, how many leaves the backup knew of the one
before, and what was wrong with the backup's records, on a line each.
"""
_NO_KEY: Final = "the key of their seal is gone"

_log: Final = structlog.get_logger(__name__)


async def remember_backup(store: SqliteStore, log: OwnLog, state_dir: Path, of: str) -> None:
    """To be called before the database's leaves begin anew; a second time it changes nothing.

    :param of: the log that the database belonged to.
    """
    kept = await store.setting(_KNOWN) or b""
    if kept.split(b"\n")[0] == log.origin.encode():
        return
    key = (await asyncio.to_thread(record_keys, state_dir)).get(of)
    why = _NO_KEY if key is None else await store.judge_records(RecordSeal(key))
    await store.set_setting(_KNOWN, f"{log.origin}\n{await store.leaf_count()}\n{why}".encode())


async def look_back(
    store: SqliteStore, log: OwnLog, state_dir: Path, adoption: Adoption, policy: PolicyDesk
) -> None:
    """Shuts again what was shut after the backup, and tells the adoption what there was; once for each restore.

    :raises Fault: if it cannot be recorded; then it is done with the next start.
    """
    of = adoption.looks_back_to
    if of is None:
        return
    known, why = await _known(store, log)
    try:
        found, troubles = await asyncio.to_thread(_through, state_dir, log.previous, of, known)
    except Lost as lost:
        since = since_backup.unknown(str(lost))
    else:
        since = await Reapplying(store, policy, state_dir).run(found, troubles)
    if why:
        since = since_backup.with_doubts(since, why)
    for line in (*since.older, *since.lines):
        _log.warning("after the backup", what=line)
    await adoption.looked_back(since)


async def _known(store: SqliteStore, log: OwnLog) -> tuple[int, str]:
    """Leaves of the log before that the backup knew, and what was wrong with its records. If nobody wrote that down, all
    of that log is looked at.
    """
    origin, _, rest = (await store.setting(_KNOWN) or b"").decode().partition("\n")
    known, _, why = rest.partition("\n")
    return (int(known), why) if origin == log.origin else (0, _NO_KEY)


def _through(state_dir: Path, last: str, of: str, known: int) -> tuple[Aftermath, tuple[str, ...]]:
    """:raises Lost: if there is nothing to look through."""
    looked = Lookback(state_dir, last, of, known)
    _log.info("looking for what officers decided after the backup", leaves=looked.size)
    found = Aftermath()
    for where, act in looked.acts():
        found.take(where, act)
    return found, tuple(looked.troubles)
