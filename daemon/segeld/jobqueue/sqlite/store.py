"""`SqliteStore`: each method of `JobStore` as an errand for the writer or the reader."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import apsw
import structlog

from segeld.audit.leaf import AnyLeaf, Commitments
from segeld.jobqueue.claims import Claim, Claimed, ItemOutcome, Settled
from segeld.jobqueue.sqlite import (
    appending,
    claiming,
    creating,
    job_rows,
    leaf_rows,
    overseeing,
    reading,
    record_seal,
    setting_rows,
    settling,
    steering,
    tidying,
)
from segeld.jobqueue.sqlite.database import connect_to_read, connect_to_write, prepare
from segeld.jobqueue.sqlite.desk import Desk
from segeld.jobqueue.sqlite.lock import Lock
from segeld.jobqueue.sqlite.place import Place
from segeld.jobqueue.sqlite.reader import Reader
from segeld.jobqueue.sqlite.record_seal import RecordSeal
from segeld.jobqueue.sqlite.trouble import Told, Trouble
from segeld.jobqueue.sqlite.writer import Writer
from segeld.jobqueue.store import Block, Page, Upkeep
from segeld.model.faults import Fault
from segeld.model.job import Items, Job, JobFilter, JobSpec, Results
from segeld.model.names import JobName, KeyName

FILE = "segel.db"
"""Its name in the state_dir."""
_log = structlog.get_logger(__name__)
_SLICES = 256
"""Transactions of one round of upkeep."""


class SqliteStore:
    """Made by `open`; closed by `aclose`."""

    def __init__(
        self,
        path: Path,
        lock: Lock,
        commitments: Commitments,
        told: Told,
        open_lifetime: float,
        vfs: str | None,
        seal: RecordSeal | None,
    ) -> None:
        self._open_lifetime = open_lifetime
        self._seal = seal
        self._marking = asyncio.Lock()
        self._lock = lock
        self.barred: Callable[[], Fault | None] = lambda: None
        """Why nothing may be claimed though it could be; asked before each claim."""
        self._commitments = commitments
        self._trouble = Trouble(told)
        writer = Writer(partial(connect_to_write, path, vfs), Place(path), self._trouble)
        reader = Reader(partial(connect_to_read, path, vfs), self._trouble)
        self._writing = Desk("segeld-db-write", writer.serve, at_end=writer.close)
        try:
            self._reading = Desk("segeld-db-read", reader.serve, at_end=reader.close)
        except BaseException:  # no thread is to be had: neither is left
            self._writing.stop()
            raise

    @classmethod
    async def open(
        cls,
        path: Path,
        commitments: Commitments,
        *,
        told: Callable[[str | None], None] = lambda _: None,
        open_lifetime: float = 86_400.0,
        vfs: str | None = None,
        seal: RecordSeal | None = None,
    ) -> Self:
        """Opens the database, or makes it; its folder is there.

        :param told: called in the event loop when there is trouble, with its text, and with None when it is over.
        :param open_lifetime: seconds after which a job that was not sealed expires.
        :param vfs: SQLite's way to the disk, for tests.
        :param seal: over officers' records; None: nobody notices what others write into the file.
        :raises DatabaseRefused: an OSError that says what to do: in use, damaged, or too new.
        """
        loop = asyncio.get_running_loop()
        lock = await _locked(path, vfs)
        try:
            store = cls(path, lock, commitments, partial(_tell, loop, told), open_lifetime, vfs, seal)
        except BaseException:
            lock.release()
            raise
        try:
            await store._connect()
        except BaseException:
            closing = asyncio.ensure_future(store.aclose())  # it ends, even if this is cancelled meanwhile
            await asyncio.shield(closing)
            raise
        return store

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written, or what is damaged; None if all is well."""
        return self._trouble.text

    async def _connect(self) -> None:
        """Opens both connections, so that what is wrong is known before anything is served."""
        await self._writing.ask(leaf_rows.count)
        await self._reading.ask(leaf_rows.count)

    # --- what the services ask

    async def create_job(self, spec: JobSpec, items: Items, *, seal: bool) -> tuple[Job, bool]:
        return await self._writing.ask(
            lambda db: creating.create(db, spec, items, self._open_lifetime, seal=seal), _octets(items)
        )

    async def append_items(self, caller: str, name: JobName, offset: int, items: Items, *, limit: int) -> Job:
        return await self._writing.ask(
            lambda db: appending.append(db, job_rows.find(db, caller, name), offset, items, limit).job,
            _octets(items),
        )

    async def seal_job(self, caller: str, name: JobName, count: int, *, approval: bool = False) -> Job:
        return await self._writing.ask(
            lambda db: creating.seal(db, job_rows.find(db, caller, name), count, approval=approval)
        )

    async def job(self, caller: str, name: JobName) -> Job:
        return await self._reading.ask(lambda db: job_rows.find(db, caller, name).job)

    async def jobs(
        self, caller: str, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]:
        found: tuple[Job, ...] = ()
        while True:
            page = await self.jobs_page(caller, wanted, before=before, limit=limit - len(found))
            found += page.jobs
            before = page.next
            if before is None or len(found) == limit:
                return found

    async def jobs_page(self, caller: str, wanted: JobFilter, *, before: int | None, limit: int) -> Page:
        return await self._reading.ask(lambda db: reading.jobs_page(db, caller, wanted, before, limit))

    async def usage(self, caller: str) -> tuple[int, int]:
        return await self._reading.ask(lambda db: reading.usage(db, caller))

    async def cancel_job(self, caller: str, name: JobName, who: str) -> Job:
        return await self._writing.ask(lambda db: steering.cancel(db, job_rows.find(db, caller, name), who))

    async def delete_job(self, caller: str, name: JobName) -> None:
        await self._writing.ask(lambda db: steering.delete(db, job_rows.find(db, caller, name)))

    async def decide_job(self, name: JobName, who: str, items_hash: bytes | None, text: str) -> Job:
        return await self._writing.ask(
            lambda db: steering.decide(db, job_rows.find(db, None, name), who, items_hash, text)
        )

    async def results(self, caller: str, name: JobName, offset: int) -> Results:
        return await self._reading.ask(
            lambda db: reading.results(db, job_rows.find(db, caller, name), offset)
        )

    async def note_read(self, caller: str, name: JobName, offset: int) -> None:
        await self._writing.ask(lambda db: reading.note_read(db, job_rows.find(db, caller, name), offset))

    # --- what officers and approvers ask

    async def any_job(self, name: JobName) -> Job:
        return await self._reading.ask(lambda db: job_rows.find(db, None, name).job)

    async def all_jobs(self, wanted: JobFilter, *, caller: str = "", before: int | None, limit: int) -> Page:
        damaged = self._trouble.damaged
        return await self._reading.ask(
            lambda db: overseeing.all_jobs(db, caller, wanted, before, limit, damaged)
        )

    async def to_decide(
        self,
        who: str,
        may: overseeing.May,
        wanted: JobFilter,
        *,
        since: float,
        before: int | None,
        limit: int,
    ) -> tuple[Job, ...]:
        damaged = self._trouble.damaged
        return await self._reading.ask(
            lambda db: overseeing.to_decide(db, who, may, wanted, since, before, limit, damaged)
        )

    async def pause_job(self, name: JobName, who: str) -> Job:
        return await self._writing.ask(lambda db: steering.pause(db, job_rows.find(db, None, name), who))

    async def resume_job(self, name: JobName, who: str) -> Job:
        return await self._writing.ask(lambda db: steering.resume(db, job_rows.find(db, None, name), who))

    async def cancel_any(self, name: JobName, who: str, why: str) -> Job:
        return await self._writing.ask(
            lambda db: steering.cancel(db, job_rows.find(db, None, name), who, why)
        )

    # --- what the dispatcher asks

    async def recover(self, attempts: Callable[[KeyName], int], at: float) -> int:
        return await self._writing.ask(lambda db: settling.recover(db, attempts, at, self._trouble.damaged))

    async def signable(self, after: int, limit: int) -> tuple[Job, ...]:
        return await self._reading.ask(lambda db: reading.signable(db, after, limit, self._trouble.damaged))

    async def block(self, job: int, offset: int) -> Block | None:
        return await self._reading.ask(lambda db: reading.block(db, job, offset))

    async def items_unsigned(self) -> int:
        return await self._reading.ask(reading.items_unsigned)

    async def claim(self, claim: Claim) -> Claimed:
        fault = self.barred()
        if fault is not None:
            raise fault
        return await self._writing.ask(lambda db: claiming.claim(db, claim, self._commitments))

    async def settle(
        self, claim: int, outcomes: Sequence[ItemOutcome], *, attempts: int, at: float
    ) -> Settled:
        return await self._writing.ask(
            lambda db: settling.settle(
                db, claim, outcomes, attempts=attempts, at=at, damaged=self._trouble.damaged
            )
        )

    # --- what the audit log asks

    async def record(self, leaf: AnyLeaf) -> int:
        return await self._writing.ask(lambda db: leaf_rows.append(db, leaf))

    async def leaf_count(self) -> int:
        return await self._reading.ask(leaf_rows.count)

    async def leaves(self, first: int, limit: int) -> tuple[bytes, ...]:
        return await self._reading.ask(lambda db: leaf_rows.read(db, first, limit))

    async def trim_leaves(self, before: int) -> None:
        while await self._writing.ask(lambda db: leaf_rows.trim(db, before)):
            pass

    async def restart_leaves(self, first: AnyLeaf) -> None:
        await self._writing.ask(lambda db: leaf_rows.restart(db, first))

    # --- the whole

    async def tidy(self, at: float) -> Upkeep:
        damaged = self._trouble.damaged
        ended = await self._writing.ask(lambda db: tidying.expire(db, at, damaged))
        removed = await self._writing.ask(lambda db: tidying.remove(db, at, damaged))
        for step in (tidying.sweep, partial(tidying.prune, at=at), tidying.give_back):
            for _ in range(_SLICES):
                if not await self._writing.ask(step):
                    break
        unread = await self._reading.ask(lambda db: tidying.unread(db, at, damaged))
        return Upkeep(ended, removed, unread)

    async def setting(self, name: str) -> bytes | None:
        return await self._reading.ask(lambda db: setting_rows.read(db, name))

    async def set_setting(self, name: str, value: bytes) -> None:
        await self._writing.ask(lambda db: setting_rows.write(db, name, value))

    async def records(self, prefix: str) -> dict[str, bytes]:
        found = await self._reading.ask(lambda db: setting_rows.read_all(db, record_seal.PREFIX + prefix))
        return {name.removeprefix(record_seal.PREFIX): value for name, value in found.items()}

    async def keep(self, writes: Mapping[str, bytes | None], leaf: AnyLeaf) -> int:
        named = {record_seal.PREFIX + name: value for name, value in writes.items()}

        def work(db: apsw.Connection) -> tuple[int, int | None]:
            count = None if self._seal is None else self._seal.changed(db, named)
            setting_rows.write_all(db, named)
            return leaf_rows.append(db, leaf), count

        index, count = await self._writing.ask(work)
        if count is not None:
            await self._mark(count)
        return index

    async def check_records(self) -> str:
        """What is wrong with the records under the seal; empty if they are what was kept, or there is no seal."""
        if (seal := self._seal) is None:
            return ""
        why, count = await self._writing.ask(lambda db: (seal.check(db), seal.count(db)))
        if not why:
            await self._mark(count)
        return why

    async def judge_records(self, seal: RecordSeal) -> str:
        """The same under another seal; writes nothing."""
        return await self._reading.ask(seal.judge)

    async def renew_seal(self) -> None:
        """Seals the records as they are."""
        if (seal := self._seal) is not None:
            await self._writing.ask(seal.renew)

    async def _mark(self, count: int) -> None:
        assert self._seal is not None
        async with self._marking:
            try:
                await asyncio.to_thread(self._seal.mark, count)
            except OSError as error:
                # The records are kept; only a return to those before would not be noticed.
                _log.error("the mark of the records cannot be written", why=str(error))

    async def aclose(self) -> None:
        await self._reading.aclose()
        await self._writing.aclose()  # the last connection copies the WAL into the database and removes it
        self._lock.release()


async def _locked(path: Path, vfs: str | None) -> Lock:
    """In a thread, which goes on if whoever waits is cancelled: then nobody would release what it locked."""
    locking = asyncio.ensure_future(asyncio.to_thread(_locked_and_ready, path, vfs))
    try:
        return await asyncio.shield(locking)
    except asyncio.CancelledError:
        locking.add_done_callback(_release)
        raise


def _release(locked: "asyncio.Future[Lock]") -> None:
    with contextlib.suppress(Exception, asyncio.CancelledError):
        locked.result().release()


def _locked_and_ready(path: Path, vfs: str | None) -> Lock:
    lock = Lock(path)
    try:
        prepare(path, vfs)
    except BaseException:
        lock.release()
        raise
    return lock


def _tell(loop: asyncio.AbstractEventLoop, told: Told, text: str | None) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(told, text)


def _octets(items: Items) -> int:
    return sum(map(len, items.inputs))
