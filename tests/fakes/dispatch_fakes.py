"""Stands where tokens and workers stand, for tests of the dispatcher."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

from segeld.ipc.worker_wire import ItemFailed, Remedy, Signed
from segeld.model.activation import Reserved
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName, TokenName
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState
from segeld.supervisor.worker_handle import WorkerLost

KEY = KeyName(bytes(32))
TOKEN = TokenName("payroll")
OTHER = TokenName("letters")
TIMEOUT = 5


@dataclass
class FakeTokens:
    state: TokenState = TokenState.ACTIVE
    bad: int = 0
    holders: tuple[TokenName, ...] = (TOKEN,)
    allowed: int | None = None
    """Signatures that may still be asked for."""
    made: int = 0
    activation: int = 0
    always_authenticate: bool = False

    def key(self, name):
        if name != KEY:
            return None
        holders = tuple((token, self.state) for token in self.holders)
        return KeyRecord(
            KEY,
            KeyKind.RSA_2048,
            b"",
            (),
            holders,
            None,
            "",
            always_authenticate=self.always_authenticate,
        )

    def names_on(self, token):
        return frozenset({KEY})

    def patience_of(self, token):
        return 1.0

    def note_bad_signature(self, token):
        self.bad += 1

    def reserve(self, token, most):
        given = most if self.allowed is None else min(most, self.allowed)
        if self.allowed is not None:
            self.allowed -= given
        return Reserved(given, self.activation)

    def give_back(self, token, reserved, *, made):
        self.made += made
        if self.allowed is None:
            return False
        assert reserved.activation == self.activation
        self.allowed += reserved.count - made
        return reserved.count > made


@dataclass
class FakeWorker:
    """Answers chunks when it is told to; remembers what it was given."""

    pid: int = 1
    number: int = field(default_factory=count(1).__next__)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    given: list[tuple[bytes, ...]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    script: list = field(default_factory=list)
    sessions: int = 1
    killed: str = ""
    item_ns: int = 1000

    async def sign(self, key, algorithm, encoding, *, urgent, deadlines, inputs, patience):
        if self.ended.is_set():
            raise WorkerLost("ended before", sent=False)
        self.given.append(inputs)
        self.deadlines = deadlines
        self.arrived.set()
        step = self.script.pop(0) if self.script else None
        if isinstance(step, asyncio.Event):
            waits = [asyncio.ensure_future(step.wait()), asyncio.ensure_future(self.ended.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if isinstance(step, str):
            self.kill(step)
        if isinstance(step, Exception):
            raise step
        if self.ended.is_set():
            raise WorkerLost("killed")
        outcomes = step(inputs) if callable(step) else tuple(b"signed " + data for data in inputs)
        return Signed(1, outcomes, self.item_ns * len(inputs))

    @property
    def why(self):
        return self.killed

    def retire(self):
        self.leaving.set()

    def kill(self, why):
        self.killed = self.killed or why
        self.ended.set()
        self.leaving.set()


def order(
    count: int = 1,
    *,
    caller: str = "a",
    seconds: float = TIMEOUT,
    algorithm: Algorithm = Algorithm.RSA_PKCS1_SHA256,
    size: int = 32,
    request_id: str = "",
    priority: Priority = Priority.INTERACTIVE,
) -> Order:
    inputs = tuple(number.to_bytes(size, "big") for number in range(count))
    return Order(
        caller, KEY, algorithm, EcdsaEncoding.DER, inputs, Deadline.after(seconds), request_id, priority
    )


def reasons(signed) -> list[Reason | None]:
    return [outcome.reason if isinstance(outcome, Fault) else None for outcome in signed.outcomes]


def values(signed) -> tuple[bytes, ...]:
    return tuple(outcome.value for outcome in signed.outcomes)


@dataclass
class FakeRules:
    weights: dict[str, int] = field(default_factory=dict)
    tries: int = 3
    withdrawn: set[str] = field(default_factory=set)
    approvers: dict[str, frozenset[str]] = field(default_factory=dict)
    """By caller."""
    for_jobs: bool = True
    """Keys that ask for their PIN at every signature, too."""

    def bulk(self, key):
        return self.for_jobs

    def weight(self, caller):
        return self.weights.get(caller, 1)

    def attempts(self, key):
        return self.tries

    def permits(self, caller, key, algorithm):
        return caller not in self.withdrawn

    def approvers_for(self, caller, key):
        return self.approvers.get(caller, frozenset())


def failing(reason: Reason, remedy: Remedy, *, certain: bool):
    """The first input fails so; if that ends the worker, the others are not begun."""

    def fail(inputs):
        first = ItemFailed(reason, 5, remedy, certain)
        rest = first if remedy is Remedy.ITEM else ItemFailed(reason, 5, remedy, True, begun=False)
        return (first, *(rest for _ in inputs[1:]))

    return fail


def refusing(*, certain: bool = True):
    return failing(Reason.DEVICE_ERROR, Remedy.REPLACE, certain=certain)


def spent(inputs):
    """All that a worker answers after its end was decided elsewhere."""
    return tuple(ItemFailed(Reason.DEVICE_ERROR, 5, Remedy.REPLACE, True, begun=False) for _ in inputs)


async def ended(worker: FakeWorker) -> None:
    await asyncio.wait_for(asyncio.shield(worker.serving), TIMEOUT)
