"""What outlives a restart: the database and the audit log, opened together because neither is right without the other."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from segeld import __version__
from segeld.audit.acts import Acts
from segeld.audit.identity import OwnLog, open_log
from segeld.audit.metrics import AuditMetrics
from segeld.audit.publisher import Publisher
from segeld.config import Config
from segeld.jobqueue.sqlite.store import FILE, SqliteStore


@dataclass(frozen=True, slots=True)
class Storage:
    store: SqliteStore
    log: OwnLog
    publisher: Publisher
    acts: Acts


@asynccontextmanager
async def open_storage(
    config: Config, registry: CollectorRegistry, trouble: Callable[[str | None], None]
) -> AsyncIterator[Storage]:
    """Opens both, and closes them when nobody needs them any more: what was recorded is published then.

    :param trouble: told why nothing can be recorded, and None when that is over.
    :raises OSError: if the database is damaged, in use or too new, or the log is not the one that belongs to it.
    """
    gauge = Gauge("segel_store_trouble", "1 while the database cannot be written or read.", registry=registry)

    def told(text: str | None) -> None:
        gauge.set(text is not None)
        trouble(text)

    state_dir = config.state_dir
    log = await asyncio.to_thread(_log_of, state_dir)
    store = await SqliteStore.open(state_dir / FILE, log.commitments, told=told)
    try:
        if not await store.leaf_count():
            await store.record(log.opened(int(time.time() * 1000)))
        publisher = Publisher(store, log)
        await publisher.start()
        AuditMetrics(registry, publisher)
        acts = Acts(store)
        await acts.note("daemon started", version=__version__)
        try:
            yield Storage(store, log, publisher, acts)
        finally:
            acts.later("daemon stopped")
            await acts.drained()
            await publisher.aclose()
    finally:
        await store.aclose()


def _log_of(state_dir: Path) -> OwnLog:
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open_log(state_dir)
