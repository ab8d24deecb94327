"""Anything in any order, beside a small model: what a store may never do, however it is used."""

import asyncio
import itertools
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from all_stores import STORES
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_fakes import FAILED, MANY, items, spec

from segeld.audit.leaf import Intent, Outcome, decode
from segeld.jobqueue.claims import NotBegun, StaleClaim, Unknown
from segeld.model.faults import Fault, Reason
from segeld.model.job import Failure, Signature
from segeld.model.job_state import FINAL, SIGNABLE, JobState

ATTEMPTS = 3
KINDS = st.sampled_from(["signed", "signed", "signed", "failed", "unknown", "not begun"])


@dataclass
class Known:
    """What the model knows of a job."""

    name: object
    id: int
    request_id: str
    count: int = 0
    sealed: bool = False
    stopped: str = ""
    """Cancelled or expired."""
    paused: bool = False
    outcomes: dict[int, object] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)

    def state(self) -> JobState:
        if self.stopped:
            return JobState.ENDING if self.held else JobState(self.stopped)
        if not self.sealed:
            return JobState.OPEN
        if len(self.outcomes) == self.count:
            failed = any(isinstance(outcome, Failure) for outcome in self.outcomes.values())
            return JobState.FAILED if failed else JobState.SUCCEEDED
        if self.paused:
            return JobState.PAUSED
        return JobState.RUNNING if self.begun else JobState.QUEUED

    begun: bool = False


class StoreMachine(RuleBasedStateMachine):
    """Jobs come, are signed and end, and now and then the daemon is killed in between."""

    make_stores = None
    within: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.within))
        self.runner = asyncio.Runner()
        self.stores = self.make_stores(self.folder)
        self.store = self.do(self.stores.open())
        self.jobs: list[Known] = []
        self.claims: dict[int, tuple[Known, range]] = {}
        self.settled: list[int] = []
        self.numbers = itertools.count()

    def do(self, awaitable):
        async def done():
            return await awaitable

        return self.runner.run(done())

    def pick(self, data, wanted) -> Known | None:
        found = [job for job in self.jobs if wanted(job)]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(count=st.sampled_from([0, 1, 5, 257, 600, 600]), seal=st.booleans())
    def create(self, count, seal):
        if len(self.jobs) >= 6:
            return
        known = Known(None, 0, f"r{len(self.jobs)}", count, seal and count > 0)
        job, new = self.do(self.store.create_job(spec(known.request_id), items(count), seal=known.sealed))
        assert new
        known.name, known.id = job.name, job.id
        self.jobs.append(known)

    @rule(data=st.data())
    def create_again(self, data):
        if known := self.pick(data, lambda job: True):
            job, new = self.do(self.store.create_job(spec(known.request_id), items(known.count), seal=False))
            assert (job.id, new) == (known.id, False)

    @rule(data=st.data(), count=st.sampled_from([1, 2, 300]))
    def append(self, data, count):
        if known := self.pick(data, lambda job: True):
            call = self.store.append_items(
                "office", known.name, known.count, items(count, known.count), limit=MANY
            )
            if known.state() is JobState.OPEN:
                known.count += count
                assert self.do(call).count == known.count
            else:
                with pytest.raises(Fault):
                    self.do(call)

    @rule(data=st.data())
    def append_again(self, data):
        known = self.pick(data, lambda job: job.count)
        if known:
            first = data.draw(st.integers(0, known.count - 1))
            again = items(known.count - first, first)
            job = self.do(self.store.append_items("office", known.name, first, again, limit=MANY))
            assert job.count == known.count

    @rule(data=st.data())
    def seal(self, data):
        if known := self.pick(data, lambda job: job.count and not job.stopped):
            self.do(self.store.seal_job("office", known.name, known.count))
            known.sealed = True

    @rule(data=st.data(), size=st.integers(1, 300))
    def claim(self, data, size):
        known = self.pick(data, lambda job: job.state() in SIGNABLE)
        if not known:
            return
        offset = data.draw(st.integers(0, known.count - 1))
        block = self.do(self.store.block(known.id, offset))
        free = [n for n in range(known.count) if n not in known.outcomes and n not in known.held]
        if block is None:
            assert not [n for n in free if n >= offset]
            return
        inside = range(block.first, block.first + len(block.inputs))
        assert list(block.waiting) == [n for n in free if n in inside]
        assert list(block.lost) == [
            n for n in sorted(known.lost) if n in inside for _ in range(known.lost[n])
        ]
        first = block.waiting[0]
        run = range(first, first + 1)
        while len(run) < size and run.stop in block.waiting:
            run = range(first, run.stop + 1)
        index = self.do(self.store.take(known, run.start, len(run)))
        known.held.update(run)
        known.begun = True
        self.claims[index] = (known, run)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def settle(self, data):
        index = data.draw(st.sampled_from(sorted(self.claims)))
        known, run = self.claims.pop(index)
        some = data.draw(st.lists(KINDS, min_size=1, max_size=5))
        kinds = dict(zip(run, itertools.cycle(some), strict=False))
        self.do(self.store.bring(index, *(self.outcome(kind) for kind in kinds.values()), attempts=ATTEMPTS))
        self.settled.append(index)
        self.take_note(known, kinds)
        self.read(known)

    def outcome(self, kind: str):
        return {
            "signed": lambda: b"signature %d" % next(self.numbers),
            "failed": lambda: FAILED,
            "unknown": Unknown,
            "not begun": NotBegun,
        }[kind]()

    def take_note(self, known: Known, kinds: dict[int, str]) -> None:
        known.held.difference_update(kinds)
        for offset, kind in kinds.items():
            assert offset not in known.outcomes
            if kind == "unknown":
                known.lost[offset] = known.lost.get(offset, 0) + 1
            if kind == "failed" or known.lost.get(offset) == ATTEMPTS:
                known.outcomes[offset] = Failure
            elif kind == "signed":
                known.outcomes[offset] = Signature
            if offset in known.outcomes:
                known.lost.pop(offset, None)

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def settle_again(self, data):
        with pytest.raises(StaleClaim):
            self.do(self.store.bring(data.draw(st.sampled_from(self.settled)), b"too late"))

    @rule(data=st.data())
    def cancel(self, data):
        if known := self.pick(data, lambda job: True):
            call = self.store.cancel_job("office", known.name, "office")
            if known.state() in FINAL and known.stopped != "cancelled":
                with pytest.raises(Fault):
                    self.do(call)
                return
            known.stopped = known.stopped or "cancelled"
            self.do(call)

    @rule(data=st.data(), resume=st.booleans())
    def pause(self, data, resume):
        if known := self.pick(data, lambda job: True):
            call = (self.store.resume_job if resume else self.store.pause_job)(known.name, "siti")
            if known.state() not in SIGNABLE | {JobState.PAUSED}:
                with pytest.raises(Fault):
                    self.do(call)
                return
            self.do(call)
            known.paused = not resume

    @rule(data=st.data())
    def claim_of_a_paused_job(self, data):
        if known := self.pick(data, lambda job: job.state() is JobState.PAUSED):
            assert self.do(self.store.block(known.id, 0)) is None
            assert self.do(self.store.take(known, 0, 1)) == -1

    @rule()
    def expire(self):
        if len(self.jobs) < 4:
            return
        at = time.time() + 80 * 3600
        ended = {job.id for job in self.do(self.store.tidy(at)).ended}
        for known in self.jobs:
            if known.state() not in FINAL and not known.stopped:
                known.stopped = "expired"
                assert known.id in ended

    @rule()
    def restart(self):
        self.do(self.stores.close())
        self.store = self.do(self.stores.open())
        assert self.do(self.store.recover(lambda _: ATTEMPTS, time.time())) == len(self.claims)
        for index, (known, run) in self.claims.items():
            self.settled.append(index)
            self.take_note(known, dict.fromkeys(run, "unknown"))
        for known, _ in self.claims.values():  # recovery settled them all before anything was read
            self.read(known)
        self.claims.clear()

    def read(self, known: Known) -> None:
        """What was read before is read again, and nothing but what is known."""
        if known.state() is JobState.OPEN:
            return
        found = self.do(self.store.all_results(known))
        over = known.state() in FINAL
        wanted = (
            known.count
            if over
            else next((n for n in range(known.count) if n not in known.outcomes), known.count)
        )
        assert len(found) == wanted
        rest = Reason.CANCELLED if known.stopped == "cancelled" else Reason.DEADLINE_PASSED
        for offset, outcome in enumerate(found):
            was = known.outcomes.get(offset)
            if was is None:
                assert outcome.reason is rest
            elif isinstance(was, type):
                assert isinstance(outcome, was)
                known.outcomes[offset] = outcome  # from now on exactly this
            else:
                assert outcome == was

    @invariant()
    def counters_match(self):
        for known in self.jobs:
            job = self.do(self.store.job("office", known.name))
            assert job.state is known.state()
            failed = sum(kind is Failure or isinstance(kind, Failure) for kind in known.outcomes.values())
            assert (job.count, job.failed) == (known.count, failed)
            assert job.signed == len(known.outcomes) - failed

    def teardown(self):
        for known in self.jobs:
            self.read(known)
        leaves = [decode(data) for data in self.do(self.store.leaves(0, 100_000))]
        intents = [leaf.intent for leaf in leaves if isinstance(leaf, Outcome)]
        assert sorted(intents) == sorted(self.settled)
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, Outcome):
                assert leaf.intent < index
                assert isinstance(leaves[leaf.intent], Intent)
        values = [o.value for job in self.jobs for o in job.outcomes.values() if isinstance(o, Signature)]
        assert len(values) == len(set(values))
        self.do(self.stores.close())
        self.runner.close()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("kind", STORES)
def test_each_item_ends_exactly_once_whatever_happens(kind, memory_path):
    machine = type(
        "Machine", (StoreMachine,), {"make_stores": staticmethod(STORES[kind]), "within": memory_path}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
