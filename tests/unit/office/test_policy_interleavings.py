"""Whatever officers propose, approve and run, in whatever order: what was taken away comes back by a new approval only."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from office_fakes import FakeRecords

from segeld.model.faults import Fault
from segeld.model.principal import Principal, Role
from segeld.office.act_policy import ApplyingPolicy, LettingIn
from segeld.office.actions import ApplyPolicy, UnrevokeCaller
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.outdated import outdated
from segeld.office.policy_desk import PolicyDesk

WAYAN, MADE = Person("wayan", "email:wayan", b"w" * 32), Person("made", "email:made", b"m" * 32)
OFFICER = Principal("wayan", Role.OFFICER, "email:wayan")
OFFICERS = "".join(f'[[officers]]\nname = "{name}"\nsans = ["email:{name}"]\n' for name in ("wayan", "made"))
KEYS = tuple(f"keys/sha256-{number:064x}" for number in range(2))
CALLER = "one"
GRANTED = st.frozensets(st.sampled_from(KEYS), min_size=1)


def toml(granted) -> str:
    keys = ", ".join(f'"{key}"' for key in sorted(granted))
    caller = f'[[callers]]\nname = "{CALLER}"\nsans = ["dns:{CALLER}"]\n[[callers.grants]]\nkeys = [{keys}]\n'
    return caller + OFFICERS


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """What is done in a thread would come in between at other moments each time."""

    async def aside(work):
        await asyncio.sleep(0)
        return work()

    for module in ("policy_desk", "compiling"):
        monkeypatch.setattr(f"segeld.office.{module}.aside", aside)


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.records = FakeRecords()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "policy.toml"
        self.file.write_text(toml(KEYS[:1]))
        self.now = 1_000_000.0
        self.hashes: list[bytes] = [b"", bytes(32)]
        """Of every policy that was in force, and of none."""
        self.taken: dict[str, int] = {}
        """How many leaves there were when a key, or the caller, was last taken away."""
        self.have = frozenset(KEYS[:1]) | {CALLER}
        self.past = [frozenset(KEYS[:1])]
        """What was granted once."""
        self.looked = 0
        """How many leaves there were when it was last looked."""
        self.open()

    def teardown(self) -> None:
        self.runner.close()
        self.folder.cleanup()

    @rule()
    def open(self) -> None:
        """The daemon starts, for the first time or again."""
        self.desk = PolicyDesk(self.file, clock=lambda: self.now)
        self.runner.run(self.desk.load(self.records))
        self.runner.run(self.desk.begin())
        self.changes = ChangeDesk(
            self.records,
            {ApplyPolicy: ApplyingPolicy(self.desk), UnrevokeCaller: LettingIn(self.desk)},
            two_person=self.desk.two_person,
            standing=lambda who: self.desk.standing(who.name, who.identity, who.fingerprint),
            outdated=lambda action: outdated(self.desk, None, action),
            clock=lambda: self.now,
        )
        self.runner.run(self.changes.start())

    def attempt(self, coroutine):
        """What came of it, or the Fault."""
        self.now += 1
        try:
            return self.runner.run(coroutine)
        except Fault as fault:
            return fault

    @rule(granted=GRANTED | st.just(frozenset(KEYS)), base=st.sampled_from([0, 0, 0, 1, 2, 3]))
    def propose(self, granted, base) -> None:
        """A policy made from what is in force, or was once, or from nothing that it says."""
        wanted = ApplyPolicy(toml(granted), self.hashes[-1 - base % len(self.hashes)])
        self._ask(wanted, approved=False)

    @rule(granted=GRANTED | st.just(frozenset(KEYS)), hashed=st.booleans(), twice=st.booleans())
    def agree(self, granted, hashed, twice) -> None:
        """The same, made from what is in force, and approved; perhaps by two who do not know of each other."""
        for _ in range(2 if twice else 1):
            self._ask(ApplyPolicy(toml(granted), self.hashes[-1] if hashed else b""), approved=True)

    @rule(approved=st.booleans(), twice=st.booleans())
    def ask_to_let_in(self, approved, twice) -> None:
        for _ in range(2 if twice else 1):
            self._ask(UnrevokeCaller(CALLER), approved=approved)

    def _ask(self, wanted, *, approved) -> None:
        change = self.attempt(self.changes.propose(wanted, WAYAN))
        if approved and not isinstance(change, Fault):
            self.attempt(self.changes.approve(change.number, MADE, change.hash))

    @rule(granted=GRANTED, hashed=st.booleans())
    def narrow(self, granted, hashed) -> None:
        """One officer alone takes something away, at once."""
        self._narrow((granted & self.have) or (self.have - {CALLER}), hashed=hashed)

    @rule()
    def narrow_back(self) -> None:
        """To what was in force before, letter by letter."""
        mine = self.have - {CALLER}
        self._narrow(next((each for each in reversed(self.past) if each < mine), mine), hashed=True)

    def _narrow(self, less, *, hashed) -> None:
        wanted = ApplyPolicy(toml(less), self.desk.document().hash if hashed else b"")
        change = self.attempt(self.changes.propose(wanted, WAYAN))
        assert change.state is ChangeState.APPROVED
        done = self.attempt(self.changes.run_change(change.number, WAYAN, {}))
        assert done.state is ChangeState.DONE

    @rule()
    def revoke(self) -> None:
        self.attempt(self.desk.shut_out.revoke(CALLER, OFFICER, "stolen"))

    def number(self, which: int, *, approved: bool = False) -> int:
        """Of one that is open, if any is."""
        found = [
            change.number
            for change in self.changes.changes(ended=False)
            if not approved or change.state is ChangeState.APPROVED
        ]
        return found[which % len(found)] if found else 99

    @rule(which=st.integers(0, 5))
    def approve(self, which) -> None:
        number = self.number(which)
        seen = self.changes.change(number).hash if number != 99 else bytes(32)
        self.attempt(self.changes.approve(number, MADE, seen))

    @rule(which=st.integers(0, 5))
    def run(self, which) -> None:
        self.attempt(self.changes.run_change(self.number(which, approved=True), WAYAN, {}))

    @rule(others=st.lists(st.integers(0, 5), min_size=2, max_size=3))
    def run_together(self, others) -> None:
        """Several at once, and somebody is shut out at the same time."""

        async def all_at_once() -> None:
            await asyncio.gather(
                *(self.changes.run_change(self.number(which, approved=True), WAYAN, {}) for which in others),
                self.desk.shut_out.revoke(CALLER, OFFICER, "stolen"),
                return_exceptions=True,
            )

        self.attempt(all_at_once())

    @rule()
    def write_nothing(self) -> None:
        """The disk is full while something is run."""
        self.records.broken = True
        self.run(0)
        self.attempt(self.desk.shut_out.revoke(CALLER, OFFICER, "stolen"))
        self.records.broken = False

    @invariant()
    def what_is_back_was_approved_since_it_was_taken_away(self) -> None:
        """Judged by the log and by what is in force alone."""
        leaves, seen = self.records.leaves, self.looked
        granted = self.desk.current().grants[CALLER].by_key
        have = frozenset(map(str, granted)) | (
            frozenset() if self.desk.shut_out.is_revoked(CALLER) else {CALLER}
        )
        done = [leaf.subject for leaf in leaves[seen:] if leaf.what == "change done"]
        for each in have - self.have:
            since = leaves[self.taken.get(each, 0) :]
            assert any(_decided(since, subject) for subject in done), f"{each} is back"
        for each in self.have - have:
            self.taken[each] = len(leaves)
        self.have, self.looked = have, len(leaves)
        if (kept := self.desk.document().hash) != self.hashes[-1]:
            self.hashes.append(kept)
            self.past.append(have - {CALLER})


def _decided(leaves, subject) -> bool:
    """Whether a change was asked for and approved in these."""
    found = [leaf.what for leaf in leaves if leaf.subject == subject]
    return {"change asked", "change approved"} <= set(found)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
