"""Stands where the database stands: keeps jobs, claims and answers in memory, fails when it is told to."""

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count

from segeld.jobqueue.claims import (
    Claimed,
    Granted,
    Known,
    NotBegun,
    Refused,
    Request,
    Settled,
    StaleClaim,
    Unknown,
)
from segeld.jobqueue.store import Block
from segeld.jobqueue.store_faults import StoreBroken, StoreFull
from segeld.model.faults import Fault, Reason
from segeld.model.job import BLOCK, Failure, Job, JobSpec, Receipt, Signature
from segeld.model.job_state import JobState
from segeld.model.names import JobName


@dataclass
class FakeQueue:
    """`log` has ("claim", inputs) and ("settle", outcomes) in the order in which they became durable."""

    jobs: dict[int, Job] = field(default_factory=dict)
    items: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    outcomes: dict[int, dict[int, object]] = field(default_factory=dict)
    lost: dict[int, list[int]] = field(default_factory=dict)
    requests: dict[tuple[str, str], dict] = field(default_factory=dict)
    claims: dict[int, tuple] = field(default_factory=dict)
    log: list[tuple] = field(default_factory=list)
    full: bool = False
    hold: asyncio.Event | None = None
    """Settling waits for it."""
    loads: list[tuple[int, int]] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    """Jobs whose blocks cannot be read."""
    leaves: count = field(default_factory=count)

    def add(self, spec: JobSpec, inputs: tuple[bytes, ...]) -> Job:
        number = len(self.jobs) + 1
        job = Job(number, JobName.new(), spec, JobState.QUEUED, "", len(inputs), 0, 0, b"", 0, 0.0)
        self.jobs[number] = job
        self.items[number], self.outcomes[number], self.lost[number] = inputs, {}, []
        return job

    def _write(self) -> None:
        if self.full:
            raise StoreFull

    async def signable(self, after, limit):
        found = [job for number, job in sorted(self.jobs.items()) if number > after]
        return tuple(job for job in found if job.state in (JobState.QUEUED, JobState.RUNNING))[:limit]

    async def block(self, job, offset):
        self.loads.append((job, offset))
        await asyncio.sleep(0)
        if job in self.damaged:
            raise StoreBroken
        inputs, ended = self.items[job], self.outcomes[job]
        claimed = {
            part.first + number
            for claim in self.claims.values()
            for part in claim
            if part.work == job
            for number in range(len(part.inputs))
        }
        if offset >= len(inputs):
            return None
        for first in range(offset - offset % BLOCK, len(inputs), BLOCK):
            part = inputs[first : first + BLOCK]
            waiting = tuple(
                place
                for place in range(first, first + len(part))
                if place not in ended and place not in claimed
            )
            if waiting:
                return Block(first, part, waiting, tuple(self.lost[job]))
        return None

    async def claim(self, claim):
        await asyncio.sleep(0)
        self._write()
        verdicts = [self._verdict(part) for part in claim.parts]
        granted = [part for part, verdict in zip(claim.parts, verdicts, strict=True) if verdict == Granted()]
        if not granted:
            return Claimed(-1, tuple(verdicts))
        leaf = next(self.leaves)
        self.claims[leaf] = tuple(granted)
        self.log.append(("claim", tuple(data for part in granted for data in part.inputs)))
        return Claimed(leaf, tuple(verdicts))

    def _verdict(self, part):
        match part.work:
            case int():
                job = self.jobs[part.work]
                if job.state is JobState.PAUSED:
                    return Refused(Fault(Reason.JOB_STATE, "paused"), later=True)
                if job.state not in (JobState.QUEUED, JobState.RUNNING):
                    return Refused(Fault(Reason.JOB_STATE, "ended"))
                self.jobs[part.work] = replace(job, state=JobState.RUNNING)
            case Request():
                kept = self.requests.setdefault(
                    (part.work.caller, part.work.request_id),
                    {"content": part.work.content, "signed": {}, "lost": []},
                )
                if kept["content"] != part.work.content:
                    return Refused(Fault(Reason.IDEMPOTENCY_MISMATCH, "other content"))
                if not part.work.told and (kept["signed"] or kept["lost"]):
                    return Known(tuple(kept["signed"].items()), tuple(kept["lost"]))
        return Granted()

    async def settle(self, claim, outcomes, *, attempts, at):
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        self._write()
        parts = self.claims.pop(claim, None)
        if parts is None:
            raise StaleClaim
        self.log.append(("settle", tuple(outcomes)))
        leaf = next(self.leaves)
        places = [(part, part.first + number) for part in parts for number in range(len(part.inputs))]
        assert len(places) == len(outcomes)
        exhausted, touched = [], set()
        for position, ((part, place), outcome) in enumerate(zip(places, outcomes, strict=True)):
            if self._ends(part, place, outcome, Receipt(leaf, position), attempts):
                exhausted.append(position)
            if isinstance(part.work, int):
                touched.add(part.work)
        return Settled(leaf, tuple(self._after(job) for job in sorted(touched)), tuple(exhausted), ())

    def _ends(self, part, place, outcome, receipt, attempts) -> bool:
        match part.work:
            case int():
                ended, lost = self.outcomes[part.work], self.lost[part.work]
            case Request():
                kept = self.requests[part.work.caller, part.work.request_id]
                ended, lost = kept["signed"], kept["lost"]
            case None:
                return False
        match outcome:
            case bytes():
                assert place not in ended, "a second outcome"
                ended[place] = Signature(outcome, receipt)
            case Failure() if isinstance(part.work, int):
                assert place not in ended, "a second outcome"
                ended[place] = outcome
            case Unknown():
                lost.append(place)
                if isinstance(part.work, int) and lost.count(place) >= attempts:
                    ended[place] = Failure(Reason.WORKER_LOST, "lost")
                    return True
            case NotBegun() | Failure():
                pass
        return False

    def _after(self, number: int) -> Job:
        job, ended = self.jobs[number], self.outcomes[number]
        signed = sum(isinstance(outcome, Signature) for outcome in ended.values())
        state = job.state
        if len(ended) == job.count:
            state = JobState.SUCCEEDED if signed == job.count else JobState.FAILED
        self.jobs[number] = replace(job, state=state, signed=signed, failed=len(ended) - signed)
        return self.jobs[number]
