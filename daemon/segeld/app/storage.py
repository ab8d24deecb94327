"""What outlives a restart: the database and the audit log, opened together because neither is right without the other."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from segeld import __version__
from segeld.app.lookback import look_back, remember_backup
from segeld.audit import layout
from segeld.audit.acts import Acts
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.identity import (
    FOLDER,
    LogIncomplete,
    OwnLog,
    exposed,
    note_records_sealed,
    nothing_left,
    open_log,
)
from segeld.audit.leaf import Act
from segeld.audit.metrics import AuditMetrics
from segeld.audit.publisher import Publisher
from segeld.audit.source import LogDiffers
from segeld.audit.witness import Witness
from segeld.audit.witness_places import CommandPlace, FilePlace
from segeld.config import Config
from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.jobqueue.sqlite.record_seal import RecordSeal
from segeld.model.faults import Fault, Reason
from segeld.office.act_log import ADOPTION, Adoption
from segeld.office.archive_watch import ArchiveWatch
from segeld.office.policy_desk import PolicyDesk
from segeld.rpc.audit import LogState

_log: Final = structlog.get_logger(__name__)
MARK: Final = "records.mark"
"""The file that says how often officers' records were changed at least."""
ORIGIN: Final = "log_origin"
"""The setting of the database that names its log."""

WITNESSED: Final = "witnessed"
"""The setting that names the witness that was given checkpoints."""


@dataclass(frozen=True, slots=True)
class Storage:
    store: SqliteStore
    log: OwnLog
    publisher: Publisher
    acts: Acts
    adoption: Adoption
    witness: Witness | None
    archives: ArchiveWatch
    meddled: str
    """Why nothing is signed in this run of the daemon, if somebody else wrote into the database; else empty."""

    def halted(self) -> bool:
        """Whether nothing may be signed although it could be recorded."""
        return bool(self.meddled or self.adoption.trouble)

    def state(self) -> LogState:
        """How the log is although signing may go on."""
        witness = self.witness
        parts = (self.publisher.trouble, witness.trouble if witness else "")
        age = witness.age if witness else None
        return LogState(" ".join(filter(None, parts)), witness is not None, -1.0 if age is None else age)


@asynccontextmanager
async def open_storage(
    config: Config,
    office: PolicyDesk,
    registry: CollectorRegistry,
    trouble: Callable[[str | None], None],
    waiting: Callable[[str | None], None] = lambda _: None,
    unpublished: Callable[[str | None], None] = lambda _: None,
    unsealed: Callable[[str | None], None] = lambda _: None,
) -> AsyncIterator[Storage]:
    """Opens both, settles what an earlier run left open, and closes them when nobody needs them any more.

    :param office: reads the policy in force from the database, and records one that it took from the file.
    :param trouble: told why nothing can be recorded, and None when that is over.
    :param waiting: told why nothing is signed though everything can be recorded, and None when that is over.
    :param unpublished: told why the log's files cannot be written, and None when that is over.
    :param unsealed: told why nothing is signed if the database is not as the daemon left it.
    :raises PolicyError: if the file of the first start has faults.
    :raises OSError: if the database is damaged, in use or too new, or the log is not the one that belongs to it.
    """
    gauge = Gauge("segel_store_trouble", "1 while the database cannot be written or read.", registry=registry)

    def told(text: str | None) -> None:
        gauge.set(text is not None)
        trouble(text)

    log = await asyncio.to_thread(_log_of, config.state_dir)
    store = await SqliteStore.open(
        config.state_dir / FILE,
        log.commitments,
        told=told,
        open_lifetime=config.limits.open_job_lifetime,
        seal=RecordSeal(log.record_key, config.state_dir / MARK, known=log.records_sealed),
    )
    try:
        await office.load(store)
        lost = await store.recover(lambda key: office.current().attempts(key), time.time())
        if lost:
            _log.warning("chunks of an earlier run have an unknown outcome", chunks=lost)
        await _belong_together(store, log, config.state_dir)
        meddled = await _meddled(store, config.state_dir)
        if meddled:
            unsealed(meddled)
        elif not log.records_sealed:
            await asyncio.to_thread(note_records_sealed, config.state_dir)
        publisher = Publisher(store, log, on_trouble=unpublished)
        await publisher.start()
        adoption = Adoption(store, log.origin, waiting, lambda: bool(office.document().later))
        office.changed.append(adoption.review)
        await adoption.load()
        await look_back(store, log, config.state_dir, adoption, office)
        witness = await _witness_of(config, log, store)
        if witness is not None:
            adoption.witness, witness.changed = witness, adoption.review
            await witness.check()
            adoption.review()
        store.barred = _refusal if meddled else adoption.refusal
        AuditMetrics(registry, publisher, witness)
        acts = Acts(store)
        await acts.note("daemon started", version=__version__)
        archives = ArchiveWatch(store, log)
        await archives.look()
        await office.begin()
        try:
            yield Storage(store, log, publisher, acts, adoption, witness, archives, meddled)
        finally:
            acts.later("daemon stopped")
            await acts.drained()
            await publisher.aclose()
            if witness is not None:
                await witness.aclose()
    finally:
        await store.aclose()


async def _meddled(store: SqliteStore, state_dir: Path) -> str:
    """Whether officers' records are other than the daemon wrote them: then whoever did that decides who may sign."""
    why = await store.check_records()
    if not why:
        return ""
    return (
        f"What officers decided (the policy, who is shut out, keys, tokens, changes) is not in {FILE} as the daemon wrote it: "
        f"{why}. Nothing is signed, and nothing that the daemon says of them can be believed. Find out who wrote to "
        f"{state_dir / FILE}; then stop the daemon, restore a backup from before (segeld restore), and start it."
    )


def _refusal() -> Fault:
    """What a claim is refused with then: callers need not know more."""
    text = "The daemon's records are not as it wrote them: it signs nothing. Ask an officer."
    return Fault(Reason.STORAGE_UNAVAILABLE, text, retry_after=60.0)


async def _witness_of(config: Config, log: OwnLog, store: SqliteStore) -> Witness | None:
    asked = config.audit.witness
    if asked is None:
        return None
    place = CommandPlace(asked.command) if asked.command is not None else FilePlace(asked.file or Path())
    name = "\0".join(asked.command or (str(asked.file),)).encode()  # another place may be empty

    async def remember() -> None:
        await store.set_setting(WITNESSED, name)

    return Witness(
        place,
        log,
        interval=asked.interval,
        witnessed=await store.setting(WITNESSED) == name,
        remember=remember,
    )


def _log_of(state_dir: Path) -> OwnLog:
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (state_dir / FILE).exists() and nothing_left(state_dir):
        raise LogIncomplete(f"{state_dir / FOLDER} and its key are gone, though {state_dir / FILE} is there.")
    log = open_log(state_dir)
    for path in exposed(log.folder):
        _log.warning("others can read what only the daemon may: chmod 600", file=str(path))
    return log


async def _belong_together(store: SqliteStore, log: OwnLog, state_dir: Path) -> None:
    """A database keeps to its log. It takes another one only after `segeld restore`, and only before that one began.

    :raises LogDiffers: if the log is another's.
    """
    known = await store.setting(ORIGIN)
    origin = log.origin.encode()
    if known == origin:
        return
    at = int(time.time() * 1000)
    opened, key = log.opened(at), str(log.signer.verifier)
    if known is None:
        if not await store.leaf_count():
            await store.record(opened)
        if log.previous:  # of a database that had no log yet
            await _await_adoption(store, at, "", log.origin)
        _log.info("a new audit log", origin=log.origin, public_key=key, advice="write it down elsewhere")
    elif (linked := _previous_of(log) == known.decode()) or log.restored == known.decode():
        if await asyncio.to_thread((log.folder / layout.CHECKPOINT).exists):
            raise LogDiffers(
                log.origin, f"the database's log is {known.decode()}, and this one began without it"
            )
        await remember_backup(store, log, state_dir, known.decode())
        await store.renew_seal()  # the key of this log has sealed nothing yet
        await store.restart_leaves(opened)
        if not linked:
            await store.record(Act(at, "log not linked", "", known.decode(), {"why": "no checkpoint of it"}))
        # Before the database takes the new log: interrupted here, all of this is done again.
        await _await_adoption(store, at, known.decode(), log.origin)
        _log.warning(
            "a new audit log begins",
            origin=log.origin,
            public_key=key,
            advice="write it down elsewhere",
            **{"continues" if linked else "not_linked_to": known.decode()},
        )
    else:
        raise LogDiffers(log.origin, f"the database's log is {known.decode()}")
    await store.set_setting(ORIGIN, origin)


async def _await_adoption(store: SqliteStore, at: int, of: str, origin: str) -> None:
    await store.keep({ADOPTION: of.encode()}, Act(at, "restored", "", origin, {"database of": of}))


def _previous_of(log: OwnLog) -> str:
    return Checkpoint.unverified(log.previous.encode()).origin if log.previous else ""
