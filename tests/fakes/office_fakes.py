"""What is kept of officers' decisions, in memory; and an executor that does as it is told."""

import asyncio
from dataclasses import dataclass, field

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.office.changes import Person
from segeld.office.executor import Description


class FakeRecords:
    """As a database: all or nothing, and gone after a crash is only what was never written."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.leaves = []
        self.broken = False

    async def records(self, prefix):
        return {name: value for name, value in sorted(self.kept.items()) if name.startswith(prefix)}

    async def keep(self, writes, leaf):
        await asyncio.sleep(0)  # as a real one: others come in between
        if self.broken:
            raise Fault(Reason.STORAGE_UNAVAILABLE, "The database cannot be written.")
        for name, value in writes.items():
            if value is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = value
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def acts(self, subject):
        """What was done to something, and by whom."""
        return [(leaf.what, leaf.who) for leaf in self.leaves if leaf.subject == subject]


@dataclass
class FakeExecutor:
    """`outcome` is raised by `run`, unless it is None; `hold` makes it wait."""

    secrets: tuple[str, ...] = ()
    needs_approval: bool = True
    summary: tuple[str, ...] = ("Something is changed.", "This is lost: everything.")
    binding: bool = False
    impossible: Fault | None = None
    outcome: BaseException | None = None
    hold: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    runs: list = field(default_factory=list)
    seen: list = field(default_factory=list)

    async def describe(self, action):
        if self.impossible is not None:
            raise self.impossible
        return Description(self.summary, self.needs_approval, self.binding)

    async def run(self, action, who, secrets, approved_by=""):
        self.runs.append((action, who, approved_by))
        for name, pin in sorted(secrets.items()):
            with pin.view() as view:
                self.seen.append((name, bytes(view)))
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.outcome is not None:
            raise self.outcome


WAYAN = Person("wayan", "uri:wayan", b"w" * 32)
WAYAN_TOO = Person("wayan", "email:wayan@example.org")
MADE = Person("made", "uri:made", b"m" * 32)
KETUT = Person("ketut", "uri:ketut", b"k" * 32)


def secrets() -> dict[str, Pin]:
    """Those that an unblocking needs."""
    return {"so_pin": Pin(b"so-canary-1"), "new_pin": Pin(b"new-canary-2")}
