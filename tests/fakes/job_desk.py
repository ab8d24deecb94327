"""Stands where the queue stands, for tests of the services: jobs in memory, results when a test says so."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from segeld.model.faults import Fault, Reason
from segeld.model.job import BLOCK, Job, JobSpec, Receipt, Results, Signature
from segeld.model.job_state import FINAL, JobState
from segeld.model.names import JobName

NOW = 1_800_000_000.5


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass
class FakeDesk:
    """Keeps what it was given. `fail` makes everything raise."""

    fail: BaseException | None = None
    sign: Callable[[bytes], bytes] = sha256
    log_origin: str = "log.example/segel"
    kept: dict[JobName, Job] = field(default_factory=dict)
    inputs: dict[JobName, list[bytes]] = field(default_factory=dict)
    ids: dict[JobName, list[str]] = field(default_factory=dict)
    decisions: list = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    fetched: int = 0
    """Blocks of results that were asked for."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """A watch or a reading was let go."""

    def _own(self, caller, name) -> Job:
        if self.fail is not None:
            raise self.fail
        job = self.kept.get(name)
        if job is None or caller not in {job.spec.caller, None}:
            raise Fault(Reason.JOB_NOT_FOUND, "No such job, or not yours.")
        return job

    def put(self, spec: JobSpec, **fields) -> Job:
        number = len(self.kept) + 1
        made = Job(number, JobName.new(), spec, JobState.OPEN, "", 0, 0, 0, b"", 0, NOW)
        job = self.kept[made.name] = replace(made, **fields)
        self.inputs[job.name], self.ids[job.name] = [], []
        return job

    async def set(self, name, **fields) -> Job:
        """Changes a job, and wakes whoever watches it."""
        self.kept[name] = replace(self.kept[name], **fields)
        async with self.changed:
            self.changed.notify_all()
        return self.kept[name]

    async def _changed_since(self, job) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.kept[job.name] != job)

    async def create(self, spec, items, *, seal):
        if self.fail is not None:
            raise self.fail
        for job in self.kept.values():
            if (job.spec.caller, job.spec.request_id) == (spec.caller, spec.request_id):
                if job.spec.kind != spec.kind:
                    raise Fault(Reason.IDEMPOTENCY_MISMATCH, "The request_id was used for another content.")
                return job
        job = self.put(spec)
        if items.inputs:
            job = await self.append(spec.caller, job.name, 0, items)
        return await self.seal(spec.caller, job.name, job.count, approval=False) if seal else job

    async def append(self, caller, name, offset, items):
        job = self._own(caller, name)
        if offset != job.count:
            raise Fault(
                Reason.OFFSET_OUT_OF_RANGE, f"The job has {job.count} items.", committed=str(job.count)
            )
        self.inputs[name] += items.inputs
        self.ids[name] += items.ids or ("",) * len(items.inputs)
        return await self.set(name, count=len(self.inputs[name]))

    async def seal(self, caller, name, count, *, approval):
        job = self._own(caller, name)
        if not count:
            raise Fault(Reason.BATCH_EMPTY, "The job has no items.")
        if count != job.count:
            raise Fault(
                Reason.OFFSET_OUT_OF_RANGE, f"The job has {job.count} items.", committed=str(job.count)
            )
        state = JobState.HELD if approval or job.spec.approval else JobState.QUEUED
        return await self.set(name, state=state, sealed=NOW + 1, items_hash=bytes(32))

    async def job(self, caller, name):
        return self._own(caller, name)

    async def jobs(self, caller, wanted, *, before, limit):
        if self.fail is not None:
            raise self.fail
        found = [
            job
            for job in reversed(self.kept.values())
            if job.spec.caller == caller
            and (before is None or job.id < before)
            and (not wanted.states or job.state in wanted.states)
            and (wanted.key is None or job.spec.kind.key == wanted.key)
            and set(wanted.labels) <= set(job.spec.labels)
            and wanted.request_id in {"", job.spec.request_id}
        ]
        return tuple(found[:limit])

    async def watch(self, caller, name):
        try:
            while (job := self._own(caller, name)).state not in FINAL:
                yield job
                await self._changed_since(job)
            yield job
        finally:
            self.closed.set()

    async def results(self, caller, name, offset, *, wait):
        try:
            job = self._own(caller, name)
            if offset > job.count:
                raise Fault(
                    Reason.OFFSET_OUT_OF_RANGE, f"The job has {job.count} items.", committed=str(job.count)
                )
            while True:
                while offset < job.count:
                    self.fetched += 1
                    end = min(offset + BLOCK - offset % BLOCK, job.count)
                    data = self.inputs[name][offset:end]
                    ids = tuple(self.ids[name][offset:end])
                    outcomes = tuple(
                        Signature(self.sign(each), Receipt(9, place)) for place, each in enumerate(data)
                    )
                    yield Results(offset, ids if any(ids) else (), outcomes)
                    offset = end
                if not wait or job.state in FINAL:
                    return
                await self._changed_since(job)
                job = self._own(caller, name)
        finally:
            self.closed.set()

    async def cancel(self, caller, name):
        job = self._own(caller, name)
        if job.state in FINAL:
            raise Fault(Reason.JOB_STATE, f"The job is {job.state}.", job=str(name), state=str(job.state))
        return await self.set(name, state=JobState.CANCELLED, ended=NOW + 2)

    async def delete(self, caller, name):
        self._own(caller, name)
        del self.kept[name]

    @property
    def oversight(self):
        return FakeOversight(self)


class FakeOversight:
    """The same jobs, as approvers and officers deal with them."""

    def __init__(self, desk: FakeDesk) -> None:
        self.desk = desk
        self.set, self.kept, self.decisions = desk.set, desk.kept, desk.decisions

    async def job_for(self, who, may, name):
        job = self.desk._own(None, name)
        if job.decided_by != who and not (
            job.state is JobState.HELD and may(job.spec.caller, job.spec.kind.key)
        ):
            raise Fault(Reason.JOB_NOT_FOUND, "No such job, or not yours.")
        return job

    async def jobs_for(self, who, may, wanted, *, before, limit):
        found = []
        for job in reversed(self.kept.values()):
            with contextlib.suppress(Fault):
                found.append(await self.job_for(who, may, job.name))
        return tuple(found[:limit])

    async def watch_for(self, who, may, name):
        while (job := await self.job_for(who, may, name)).state not in FINAL:
            yield job
            await self.desk._changed_since(job)
        yield job

    async def all_jobs(self, wanted, *, caller, before, limit):
        found = [
            job
            for job in reversed(self.kept.values())
            if caller in {"", job.spec.caller}
            and job.state in wanted.states
            and wanted.key in {None, job.spec.kind.key}
            and (before is None or job.id < before)
        ]
        return tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None

    async def pause(self, name, who):
        return await self.set(name, state=JobState.PAUSED, reason=f"Paused by {who}.")

    async def resume(self, name, who):
        return await self.set(name, state=JobState.QUEUED, reason="")

    async def cancel(self, name, who, why):
        return await self.set(name, state=JobState.CANCELLED, reason=f"Cancelled by {who}: {why}", ended=NOW)

    async def decide(self, name, who, may, items_hash, text):
        job = await self.job_for(who.name, may, name)
        if job.state is not JobState.HELD:
            raise Fault(Reason.JOB_STATE, f"The job is {job.state}.", job=str(name), state=str(job.state))
        if items_hash not in {None, job.items_hash}:
            raise Fault(Reason.ITEMS_CHANGED, "The approval was for other items.", job=str(name))
        self.decisions.append((who.name, items_hash, text))
        state = JobState.REJECTED if items_hash is None else JobState.QUEUED
        return await self.set(name, state=state, decided_by=who.name, decided=NOW + 3)
