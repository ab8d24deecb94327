"""A desk of changes over a store in memory, with a clock of the test's own."""

import asyncio

import pytest
import structlog
from key_bench import KeyBench
from office_fakes import MADE, WAYAN, FakeExecutor, FakeRecords

from segeld.office.actions import AdoptLog, ApplyPolicy, InitializeToken, UnblockPin
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import Person


class Office:
    """A desk and all that it leans on; `restart` is what a crash leaves."""

    def __init__(self) -> None:
        self.records = FakeRecords()
        self.policy = FakeExecutor()
        self.token = FakeExecutor(secrets=("so_pin", "new_pin"))
        self.officers = {"wayan", "made"}
        self.entered: dict[str, int] = {}
        """How often somebody became an officer."""
        self.revoked: set[bytes] = set()
        """Certificates."""
        self.outdated = ""
        self.two_person = True
        self.now = 1_000_000.0
        self.moved = asyncio.Event()
        self.desk = self._desk()

    def _desk(self) -> ChangeDesk:
        return ChangeDesk(
            self.records,
            {
                ApplyPolicy: self.policy,
                AdoptLog: self.policy,
                UnblockPin: self.token,
                InitializeToken: self.token,
            },
            two_person=lambda: self.two_person,
            standing=self._standing,
            outdated=lambda action: self.outdated,
            changed=self.moved.set,
            clock=lambda: self.now,
        )

    def _standing(self, who: Person) -> str:
        if who.name not in self.officers or who.fingerprint in self.revoked:
            return ""
        return str(self.entered.get(who.name, 1))

    async def restart(self) -> None:
        self.desk = self._desk()
        await self.desk.start()

    async def asked(self, action=None, who=WAYAN):
        return await self.desk.propose(action or ApplyPolicy("weight = 1"), who)

    async def approved(self, action=None, who=WAYAN, by=MADE):
        change = await self.asked(action, who)
        return await self.desk.approve(change.number, by, change.hash)


@pytest.fixture(autouse=True)
def events():
    """Everything that is logged, as it was meant: the events, not their rendering."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
async def bench(tmp_path) -> KeyBench:
    """A desk of keys that was loaded."""
    bench = KeyBench(tmp_path)
    await bench.desk.load(bench.records)
    return bench
