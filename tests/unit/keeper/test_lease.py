"""The login lease: one attempt at a time, written down before it is made; a refused PIN is never given out again."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper import lease as lease_module
from segeld.keeper.lease import Borrower, Denied, Lease, Trial
from segeld.keeper.memory import MAX_REMEMBERED, Memory, fingerprint
from segeld.model.secret import Pin

SERIAL = "0815"
SPENT = [LoginOutcome.REFUSED, LoginOutcome.LOCKED, LoginOutcome.EXPIRED]


@pytest.fixture(autouse=True)
def _quick_fingerprints(monkeypatch):
    monkeypatch.setattr(lease_module, "fingerprint", lambda pin, key, serial: bytes(pin.view()))


def borrowers(*numbers: int, serial: str = SERIAL, trusted: bool = True) -> list[Borrower]:
    return [Borrower(number, serial, trusted) for number in numbers]


def lent(pin: bytes = b"1234", *, by_officer: bool = True, memory: Memory | None = None) -> Lease:
    lease = Lease("tokens/a", b"k", memory or Memory())
    assert lease.hold(Pin(pin), by_officer=by_officer, serial=SERIAL)
    lease.waiting.extend(borrowers(1, 2, 3))
    begun = lease.begin()
    assert isinstance(begun, Trial)
    assert begun.borrower.worker == 1
    assert lease.recorded().given
    return lease


def end(lease: Lease, outcome: LoginOutcome | None, ckr: int = 0) -> Record | None:
    record = lease.ended(outcome, ckr)
    lease.settled()
    return record


def begin(lease: Lease) -> int | NotLent | None:
    begun = lease.begin()
    if isinstance(begun, Trial):
        lease.recorded()
        return begun.borrower.worker
    return begun.why if isinstance(begun, Denied) else None


def after_restart(record: Record) -> Memory:
    return Memory({SERIAL: record})


def test_the_second_worker_waits_for_the_first_ones_outcome_to_be_durable() -> None:
    lease = lent()
    assert lease.begin() is None
    assert lease.ended(LoginOutcome.OK) == Record()
    assert lease.begin() is None
    lease.settled()
    assert begin(lease) == 2


def test_an_attempt_is_in_what_is_to_be_remembered_before_the_pin_is_given_out() -> None:
    lease = Lease("tokens/a", b"k")
    lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.waiting.extend(borrowers(1))
    begun = lease.begin()
    assert isinstance(begun, Trial)
    assert (begun.record, begun.given) == (Record(open={b"1234": 1}), False)


@pytest.mark.parametrize("outcome", SPENT)
def test_a_refused_pin_is_given_to_nobody_else_and_not_taken_again_even_after_a_restart(outcome) -> None:
    lease = lent(b"1234")
    record = end(lease, outcome, 0xA0)
    assert begin(lease) is None
    assert not lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    assert lease.hold(Pin(b"9999"), by_officer=True, serial=SERIAL)
    later = Lease("tokens/a", b"k", after_restart(record))
    assert not later.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)
    assert later.hold(Pin(b"1234"), by_officer=False, serial=None)  # no token was seen yet
    later.waiting.extend(borrowers(1))
    assert begin(later) is NotLent.REFUSED
    assert later.pin is None


@pytest.mark.parametrize(
    "outcome",
    [LoginOutcome.NOT_TRIED, LoginOutcome.LENGTH, LoginOutcome.LOCKED, LoginOutcome.CANCELLED],
)
def test_a_pin_that_cost_no_try_is_dropped_but_may_come_again(outcome) -> None:
    lease = lent(b"1234")
    assert end(lease, outcome) == Record()
    assert lease.pin is None
    assert lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)


@pytest.mark.parametrize("outcome", [None, LoginOutcome.REMOVED])
def test_an_attempt_that_stays_open_allows_exactly_one_more(outcome) -> None:
    lease = lent()
    end(lease, outcome)
    assert begin(lease) == 2
    end(lease, outcome)
    assert begin(lease) is NotLent.OPEN
    assert lease.pin is None


def test_none_more_if_the_tokens_flags_are_not_known_to_tell_the_truth() -> None:
    lease = lent()
    record = end(lease, None)
    lease.waiting.clear()
    lease.waiting.extend(borrowers(4, trusted=False))
    assert begin(lease) is NotLent.DISTRUST
    later = lent(b"1234", by_officer=True, memory=after_restart(record))  # an officer may
    assert end(later, LoginOutcome.OK) == Record()


def test_a_good_login_clears_what_was_open_and_tells_wrong_pins_from_it() -> None:
    lease = lent(b"1111")
    record = end(lease, None)
    later = lent(b"2222", memory=after_restart(record))
    assert end(later, LoginOutcome.OK) == Record(refused=(b"1111",))


def test_another_token_under_the_same_name_neither_inherits_nor_spends() -> None:
    lease = lent()
    end(lease, LoginOutcome.REFUSED, 0xA0)
    assert lease.hold(Pin(b"1234"), by_officer=False, serial="4711")
    lease.waiting.clear()
    lease.waiting.extend(borrowers(5, serial="4711"))
    assert begin(lease) == 5


def test_one_device_under_two_names_is_tried_by_one_at_a_time_and_both_know_what_it_refused() -> None:
    memory = Memory()
    lease, other = lent(b"1234", memory=memory), Lease("tokens/b", b"k", memory)
    assert other.hold(Pin(b"1234"), by_officer=False, serial=None)
    other.waiting.extend(borrowers(7))
    assert other.begin() is None
    lease.ended(LoginOutcome.REFUSED, 0xA0)
    assert other.begin() is None, "that is not durable yet"
    lease.settled()
    assert begin(other) is NotLent.REFUSED
    assert not other.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    other.forget((SERIAL,))
    assert lease.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)


def test_a_device_at_whose_pad_somebody_types_is_not_tried_by_another_name_meanwhile() -> None:
    memory = Memory()
    lease, other = Lease("tokens/a", b"k", memory), Lease("tokens/b", b"k", memory)
    lease.hold_pad()
    other.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.waiting.extend(borrowers(1))
    other.waiting.extend(borrowers(2))
    assert begin(lease) == 1
    assert other.begin() is None
    lease.ended(LoginOutcome.OK)
    assert begin(other) == 2


def test_another_device_waits_for_nobody() -> None:
    memory = Memory()
    lent(b"1234", memory=memory)
    other = Lease("tokens/b", b"k", memory)
    other.hold(Pin(b"1234"), by_officer=False, serial="4711")
    other.waiting.extend(borrowers(2, serial="4711"))
    assert begin(other) == 2


def test_what_an_officer_clears_does_not_become_known_by_that() -> None:
    lease = lent(b"9999", by_officer=True, memory=Memory({}, lost=True))
    end(lease, LoginOutcome.REFUSED, 0xA0)
    lease.forget((SERIAL,))
    lease.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)
    assert begin(lease) is NotLent.UNKNOWN


def test_a_token_that_was_swapped_in_the_middle_of_an_attempt_waits_for_its_outcome() -> None:
    lease = lent(b"1234")
    lease.waiting.clear()
    lease.waiting.extend(borrowers(5, serial="4711"))
    assert lease.begin() is None
    lease.ended(LoginOutcome.OK)
    assert lease.begin() is None, "that is not durable yet"
    lease.settled()
    assert begin(lease) == 5


def test_of_a_lost_memory_nothing_follows_but_an_officers_own_attempt() -> None:
    lease = Lease("tokens/a", b"k", Memory({}, lost=True))
    lease.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)
    lease.waiting.extend(borrowers(1))
    assert begin(lease) is NotLent.UNKNOWN
    lease = lent(by_officer=True, memory=Memory({}, lost=True))
    end(lease, LoginOutcome.OK)
    assert begin(lease) == 2  # by itself: the token is known now


def test_of_a_lost_memory_nothing_follows_either_when_an_officers_own_attempt_was_refused() -> None:
    lease = lent(b"9999", by_officer=True, memory=Memory({}, lost=True))
    record = end(lease, LoginOutcome.REFUSED, 0xA0)
    later = Lease("tokens/a", b"k", Memory({SERIAL: record}, lost=True))
    later.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)  # which may be what was refused before
    later.waiting.extend(borrowers(1))
    assert begin(later) is NotLent.UNKNOWN


def test_a_pin_that_the_flags_forbid_is_dropped_although_an_earlier_attempt_is_open() -> None:
    lease = lent(b"1234")
    end(lease, None)
    assert begin(lease) == 2
    assert end(lease, LoginOutcome.NOT_TRIED) == Record(open={b"1234": 1})
    assert not lease.holds()


def test_what_was_taken_back_is_durable_before_the_next_attempt_begins() -> None:
    """Else the word that it is would be taken for the next attempt's, if the same worker asks again."""
    lease = Lease("tokens/a", b"k")
    lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.waiting.extend(borrowers(1, 1))
    assert isinstance(lease.begin(), Trial)
    lease.ended(None)
    assert lease.begin() is None
    lease.settled()
    assert begin(lease) == 1


def test_no_refusal_is_dropped_when_there_are_many() -> None:
    memory = Memory({SERIAL: Record(tuple(b"%d" % number for number in range(MAX_REMEMBERED)))})
    lease = Lease("tokens/a", b"k", memory)
    lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.waiting.extend(borrowers(1))
    assert begin(lease) is NotLent.FULL


def test_an_officers_act_clears_the_memory() -> None:
    lease = lent(b"1234")
    end(lease, LoginOutcome.REFUSED, 0xA0)
    lease.forget()
    assert not lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.forget((SERIAL,))
    assert lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)


def test_the_same_pin_typed_again_while_it_is_on_trial_is_not_tried_again() -> None:
    lease = lent(b"1234")
    assert lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    end(lease, LoginOutcome.REFUSED, 0xA0)
    assert begin(lease) is None


def test_another_pin_typed_while_one_is_on_trial_gets_its_own_attempt() -> None:
    lease = lent(b"1234")
    assert lease.hold(Pin(b"9999"), by_officer=True, serial=SERIAL)
    end(lease, LoginOutcome.REFUSED, 0xA0)
    assert begin(lease) == 2
    assert bytes(lease.pin.view()) == b"9999"


def test_a_worker_that_goes_before_its_attempt_was_durable_leaves_nothing_open() -> None:
    lease = Lease("tokens/a", b"k")
    lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
    lease.waiting.extend(borrowers(1, 2))
    assert isinstance(lease.begin(), Trial)
    assert end(lease, None) == Record()
    assert begin(lease) == 2


def test_a_changed_pin_takes_the_held_ones_place_and_the_old_one_is_refused_from_then_on() -> None:
    lease = lent(b"1111")
    end(lease, LoginOutcome.OK)
    assert lease.changed(SERIAL, Pin(b"1111"), Pin(b"2222")) == Record(refused=(b"1111",))
    assert bytes(lease.pin.view()) == b"2222"
    assert not lease.hold(Pin(b"1111"), by_officer=True, serial=SERIAL)


def test_while_the_pin_is_exchanged_nobody_gets_the_old_one_but_a_typed_one_may_be_tried() -> None:
    lease = lent(b"1111")
    end(lease, LoginOutcome.OK)
    lease.frozen = True
    assert begin(lease) is None
    lease.waiting.append(Borrower(9, SERIAL, True, Pin(b"1111")))
    assert begin(lease) == 9
    end(lease, LoginOutcome.OK)
    assert begin(lease) is None
    lease.changed(SERIAL, Pin(b"1111"), Pin(b"2222"))
    lease.frozen = False
    begun = lease.begin()
    assert isinstance(begun, Trial)
    assert (begun.borrower.worker, bytes(begun.pin.view())) == (2, b"2222")


@pytest.mark.parametrize("outcome", [None, LoginOutcome.REFUSED, LoginOutcome.OK])
def test_what_an_officer_clears_during_an_attempt_leaves_that_one_open_until_it_has_ended(outcome) -> None:
    memory = after_restart(Record(refused=(b"0000",), open={b"1234": 1, b"5678": 1}))
    lease = lent(b"1234", memory=memory)
    lease.forget((SERIAL,))
    assert memory.of(SERIAL) == Record(open={b"1234": 1})
    ended = {
        None: Record(open={b"1234": 1}),
        LoginOutcome.REFUSED: Record(refused=(b"1234",)),
        LoginOutcome.OK: Record(),
    }
    assert end(lease, outcome, 0xA0 if outcome is LoginOutcome.REFUSED else 0) == ended[outcome]
    lease.forget((SERIAL,))
    assert memory.of(SERIAL) == Record()


def test_a_pad_is_good_for_one_login() -> None:
    lease = Lease("tokens/a", b"k")
    lease.hold_pad()
    lease.waiting.extend(borrowers(1, 2))
    begun = lease.begin()
    assert isinstance(begun, Trial)
    assert (begun.pin, begun.record) == (None, None)
    lease.recorded()
    assert lease.ended(LoginOutcome.OK) is None
    assert not lease.holds()


def test_the_fingerprint_is_of_pin_key_and_token() -> None:
    assert fingerprint(Pin(b"1"), b"k", "a") == fingerprint(Pin(b"1"), b"k", "a")
    others = [(b"2", b"k", "a"), (b"1", b"l", "a"), (b"1", b"k", "b")]
    prints = {fingerprint(Pin(pin), key, token) for pin, key, token in [(b"1", b"k", "a"), *others]}
    assert len(prints) == 4


NAMES = st.integers(0, 1)


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

    @rule(name=NAMES, pin=st.sampled_from([b"1111", b"2222", b"3333"]), by_officer=st.booleans())
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
