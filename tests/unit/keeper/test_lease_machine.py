"""Leases of one device, whatever happens in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from lease_steps import SERIAL, SPENT, after_restart, end

from segeld.ipc.keeper_wire import Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.lease import Borrower, Lease, Trial
from segeld.model.secret import Pin

NAMES = st.integers(0, 1)
PINS = st.sampled_from([b"1111", b"2222", b"3333"])


class LeaseMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, with restarts at any moment: by itself a device that is configured under two names
    sees each refused PIN once, and a PIN whose attempts stay open twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.workers = 0
        self.refused: set[bytes] = set()
        self.tried: dict[bytes, int] = {}
        """Attempts without an officer since it was last known what became of one."""
        self.file = Record()
        self.begun: Trial | None = None
        self.restart()

    @rule()
    def restart(self) -> None:
        """Keeper and front are killed: what was written is all there is."""
        memory = after_restart(self.file)
        self.leases = [Lease("tokens/a", b"k", memory), Lease("tokens/b", b"k", memory)]
        self.begun = None

    @rule(name=NAMES, pin=PINS, by_officer=st.booleans())
    def hold(self, name, pin, by_officer) -> None:
        taken = self.leases[name].hold(Pin(pin), by_officer=by_officer, serial=SERIAL)
        assert not (taken and pin in self.refused)

    @rule(name=NAMES)
    def ask(self, name) -> None:
        self.workers += 1
        self.leases[name].waiting.append(Borrower(self.workers, SERIAL, True))

    @precondition(lambda self: self.begun is None)
    @rule(name=NAMES, written=st.booleans())
    def begin(self, name, written) -> None:
        lease = self.leases[name]
        begun = lease.begin()
        if not isinstance(begun, Trial):
            return
        if not written:
            end(lease, None)
            return
        self.file = begun.record
        lease.recorded()
        pin = bytes(begun.pin.view())
        assert pin not in self.refused, "a refused PIN was given out"
        self.tried[pin] = 0 if begun.by_officer else self.tried.get(pin, 0) + 1
        assert self.tried[pin] <= 2, "an open attempt was followed by more than one"
        self.begun, self.by = begun, lease

    @precondition(lambda self: self.begun is not None)
    @rule(outcome=st.sampled_from([*LoginOutcome, None]), written=st.booleans())
    def end(self, outcome, written) -> None:
        """A PIN may have been exchanged, or forgotten, while another was on its way: the outcome is that one's."""
        pin = self.begun.print_
        self.begun = None
        record = self.by.ended(outcome, 0xA0 if outcome in SPENT else 0)
        for lease in self.leases:
            assert lease.begin() is None, "another attempt began before this outcome was durable"
        self.by.settled()
        if outcome not in (None, LoginOutcome.REMOVED):
            self.tried[pin] = 0
        if not written:
            self.restart()  # it was killed before it could write: the attempt is open in the file
            self.tried[pin] = 1
            return
        self.file = record
        if outcome in SPENT:
            self.refused.add(pin)
        elif outcome is LoginOutcome.OK:
            self.refused.discard(pin)

    @rule(name=NAMES, pin=PINS)
    def type_for_one_login(self, name, pin) -> None:
        self.workers += 1
        self.leases[name].waiting.append(Borrower(self.workers, SERIAL, True, Pin(pin)))

    @precondition(lambda self: self.begun is None)
    @rule(name=NAMES, old=st.none() | PINS, new=PINS, written=st.booleans())
    def change(self, name, old, new, written) -> None:
        """The token has another PIN; whoever knew the old one must not try it."""
        record = self.leases[name].changed(SERIAL, None if old is None else Pin(old), Pin(new))
        if not written:
            self.restart()
            return
        self.file = record
        if old is not None:
            self.refused.add(old)
        self.refused.discard(new)
        self.tried[new] = 0

    @precondition(lambda self: self.begun is None)
    @rule(name=NAMES, pin=PINS, written=st.booleans())
    def refuse_otherwise(self, name, pin, written) -> None:
        """In a C_SetPIN, say: it was sent without an attempt of ours."""
        record = self.leases[name].refused(Pin(pin), SERIAL)
        assert not self.leases[name].may_send(Pin(pin), SERIAL)
        if not written:
            self.restart()
            return
        self.file = record
        self.refused.add(pin)

    @rule(name=NAMES)
    def clear(self, name) -> None:
        """An officer's act: an attempt that is under way stays open."""
        self.leases[name].forget([SERIAL])
        self.file = self.leases[name].memory.of(SERIAL)
        self.refused = set()
        self.tried = {} if self.begun is None or self.begun.by_officer else {self.begun.print_: 1}

    @rule(name=NAMES)
    def forget(self, name) -> None:
        self.leases[name].forget()
        assert self.leases[name].pin is None

    @invariant()
    def one_at_a_time(self) -> None:
        if self.begun is not None:
            for lease in self.leases:
                assert lease.begin() is None


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=80, stateful_step_count=40)
