"""Whatever officers do, and whenever the daemon dies: the promises of changes hold."""

import asyncio
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from office_fakes import FakeExecutor, FakeRecords

from segeld.model.faults import Fault, Reason
from segeld.office.actions import AdoptLog, ApplyPolicy
from segeld.office.change_desk import ChangeDesk
from segeld.office.change_records import ChangeRecords
from segeld.office.changes import ENDED, MOVES, ChangeState, Person
from segeld.office.executor import Partly

PEOPLE = (
    Person("wayan", "uri:wayan"),
    Person("wayan", "email:wayan@example.org"),
    Person("made", "uri:made"),
    Person("ketut", "uri:ketut"),
    Person("new-name", "uri:wayan"),
)
AWAY = Fault(Reason.TOKEN_NOT_PRESENT, "The token is away. Put it in.")
OUTCOMES = {"well": None, "fault": AWAY, "partly": Partly(AWAY), "bug": RuntimeError("a bug")}
PERSON = st.sampled_from(PEOPLE)
WHICH = st.integers(0, 3)
"""The newest, the one before it, …"""


class Checked(FakeExecutor):
    """Looks at the database each time it is run: nothing is done that is not written."""

    def __init__(self, machine) -> None:
        super().__init__(binding=False)
        self._machine = machine

    async def run(self, action, who, secrets, approved_by=""):
        try:
            assert self._machine.records.leaves[-1].what == "change begun"
            self._machine.check_two_persons(self._machine.records.leaves[-1].subject, who, approved_by)
        except AssertionError as error:  # the desk would take it for a fault of the executor
            self._machine.violations.append(error)
        await super().run(action, who, secrets, approved_by)


class ChangeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.records = FakeRecords()
        self.executor = Checked(self)
        self.officers = {person.name for person in PEOPLE}
        self.entered = Counter()
        """How often somebody was taken out and put back."""
        self.removed = Counter()
        """How many leaves there were when somebody was last taken out."""
        self.two_person = True
        self.now = 1_000_000.0
        self.states: dict[str, ChangeState] = {}
        self.left: list[asyncio.Task] = []
        self.violations: list[AssertionError] = []
        self.desk = self._desk()

    def _desk(self) -> ChangeDesk:
        return ChangeDesk(
            self.records,
            {ApplyPolicy: self.executor, AdoptLog: self.executor},
            two_person=lambda: self.two_person,
            standing=lambda who: str(self.entered[who.name]) if who.name in self.officers else "",
            clock=lambda: self.now,
        )

    def teardown(self) -> None:
        async def end() -> None:
            for task in self.left:
                task.cancel()
            await asyncio.gather(*self.left, return_exceptions=True)

        self.runner.run(end())
        self.runner.close()

    def attempt(self, coroutine):
        """What came of it, or the Fault."""
        try:
            return self.runner.run(coroutine)
        except Fault as fault:
            return fault

    def check_two_persons(self, subject: str, who: str, approved_by: str) -> None:
        """By what the log says alone: an approval by another officer, or none was needed."""
        leaves = [leaf for leaf in self.records.leaves if leaf.subject == subject]
        assert leaves[0].what == "change asked"
        assert leaves[0].who == who
        needs = self.executor.needs_approval and self.two_person
        if needs:
            assert approved_by
        if approved_by:
            approvals = [leaf for leaf in leaves if leaf.what == "change approved"]
            assert approvals[-1].who == approved_by
            assert self.records.leaves.index(approvals[-1]) >= self.removed[approved_by]
            assert approved_by != who
            assert approved_by in self.officers
            assert approvals[-1].facts["hash"] == leaves[0].facts["hash"]

    @rule(who=PERSON, text=st.sampled_from("ab"), dry_run=st.sampled_from([False, False, False, True]))
    def propose(self, who, text, dry_run):
        self.attempt(self.desk.propose(ApplyPolicy(text), who, dry_run=dry_run))

    def number(self, which: int) -> int:
        """Of one that is there, if any is."""
        numbers = [change.number for change in self.desk.changes(ended=True)]
        return numbers[which] if which < len(numbers) else 99

    def requester(self, number: int) -> Person:
        return next(
            (each.asked for each in self.desk.changes(ended=True) if each.number == number), PEOPLE[0]
        )

    @rule(which=WHICH, who=PERSON | st.none(), honest=st.sampled_from([True, True, False]))
    def approve(self, which, who, honest):
        """:param who: None for another than whoever asked."""
        number = self.number(which)
        who = who or next(each for each in PEOPLE[:3] if each.name != self.requester(number).name)
        try:
            seen = self.desk.change(number).hash if honest else bytes(32)
        except Fault:
            seen = bytes(32)
        answer = self.attempt(self.desk.approve(number, who, seen))
        assert honest or isinstance(answer, Fault)

    @rule(which=WHICH, who=PERSON, sure=st.sampled_from([False, False, True]))
    def reject(self, which, who, sure):
        if sure:
            self.attempt(self.desk.reject(self.number(which), who, "no"))

    @rule(which=WHICH, who=PERSON | st.none(), outcome=st.sampled_from(sorted(OUTCOMES)))
    def run(self, which, who, outcome):
        """:param who: None for whoever asked."""
        number = self.number(which)
        who = who or self.requester(number)
        self.executor.outcome = OUTCOMES[outcome]
        self.attempt(self.desk.run_change(number, who, {}))

    @rule(which=WHICH, written=st.booleans())
    def crash_in_a_run(self, which, written):
        """Between the first octet and the last; or after the last one, before it is written."""
        number = self.number(which)
        who = self.requester(number)

        async def crash() -> None:
            self.executor.outcome = None
            self.executor.hold, self.executor.begun = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(self.desk.run_change(number, who, {}))
            begun = asyncio.create_task(self.executor.begun.wait())
            await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            if not task.done():
                with pytest.raises(Fault, match="is being run now"):
                    await self.desk.reject(number, PEOPLE[2], "no")
            if task.done():
                self.left.append(task)
            elif written:
                self.records.broken = True
                self.executor.hold.set()
                await asyncio.wait({task})
                self.left.append(task)
                self.records.broken = False
            else:
                self.left += [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
            self.executor.hold = None

        self.runner.run(crash())
        self.restart()

    @rule(hours=st.sampled_from([1, 1, 1, 1, 1, 72, 100 * 24]))
    def wait(self, hours):
        self.now += hours * 3600

    @rule(two_person=st.sampled_from([True, True, False]), needs=st.sampled_from([True, True, False]))
    def policy(self, two_person, needs):
        self.two_person, self.executor.needs_approval = two_person, needs

    @rule(name=st.sampled_from(["wayan", "made", "ketut"]), stays=st.sampled_from([True, True, False]))
    def officers_change(self, name, stays):
        """Whoever is put back is another officer than before: what they approved does not count again."""
        if stays:
            self.officers.add(name)
        elif name in self.officers:
            self.officers.discard(name)
            self.entered[name] += 1
            self.removed[name] = len(self.records.leaves)

    @rule()
    def restart(self):
        self.desk = self._desk()
        self.runner.run(self.desk.start())

    @rule()
    def fail_to_write(self):
        self.records.broken = True
        before = self.desk.changes(ended=True)
        self.attempt(self.desk.propose(AdoptLog(), PEOPLE[0]))
        for change in before:
            self.attempt(self.desk.reject(change.number, PEOPLE[2], ""))
        assert self.desk.changes(ended=True) == before
        self.records.broken = False

    @invariant()
    def nothing_was_run_that_must_not_be(self):
        for violation in self.violations:
            raise violation

    @invariant()
    def memory_is_what_is_written(self):
        async def loaded():
            again = ChangeRecords(self.records)
            await again.load()
            return {change.number: change for change in again.all()}

        written = self.runner.run(loaded())
        for change in self.desk.changes(ended=True):
            kept = written.pop(change.number)
            assert change == kept or change.state in {ChangeState.EXPIRED, ChangeState.WAITING}
        assert not written

    @invariant()
    def states_move_as_drawn(self):
        for change in self.desk.changes(ended=True):
            before = self.states.get(change.name)
            reachable = {before} if before else set(ChangeState)
            for _ in ChangeState if before else ():  # several steps may lie between
                reachable |= {after for state in reachable for after in MOVES[state]}
            assert change.state in reachable
            self.states[change.name] = change.state

    @invariant()
    def numbers_are_given_once_and_ends_are_ends(self):
        asked = Counter(leaf.subject for leaf in self.records.leaves if leaf.what == "change asked")
        assert set(asked.values()) <= {1}
        done = Counter(leaf.subject for leaf in self.records.leaves if leaf.what == "change done")
        assert set(done.values()) <= {1}
        ended = set()
        for leaf in self.records.leaves:
            assert leaf.subject not in ended, f"{leaf.what} after the end of {leaf.subject}"
            if leaf.what in {"change done", "change rejected", "change expired"} or (
                leaf.what == "change failed" and leaf.facts["left"] != "nothing changed"
            ):
                ended.add(leaf.subject)

    @invariant()
    def what_waits_can_be_seen(self):
        for change in self.desk.changes(ended=False):
            assert change.state not in ENDED
            assert self.desk.next_step(change)


TestChangeMachine = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")(
    ChangeMachine.TestCase
)
ChangeMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
