"""The login lease: one attempt at a time, and a refused PIN is never given out again."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper import lease as lease_module
from segeld.keeper.lease import Lease
from segeld.model.secret import Pin

SPENT = [LoginOutcome.REFUSED, LoginOutcome.LOCKED, LoginOutcome.EXPIRED]


@pytest.fixture(autouse=True)
def _quick_fingerprints(monkeypatch):
    monkeypatch.setattr(lease_module, "_fingerprint", lambda pin: bytes(pin.view()))


def lent(pin: bytes = b"1234") -> Lease:
    lease = Lease()
    assert lease.hold(Pin(pin), by_officer=True)
    lease.waiting.extend([1, 2, 3])
    assert lease.next_worker() == 1
    return lease


def test_the_second_worker_waits_for_the_first_ones_outcome() -> None:
    lease = lent()
    assert lease.next_worker() is None
    lease.ended(LoginOutcome.OK)
    assert lease.next_worker() == 2


@pytest.mark.parametrize("outcome", SPENT)
def test_a_refused_pin_is_given_to_nobody_else_and_not_taken_again(outcome) -> None:
    lease = lent(b"1234")
    lease.ended(outcome, 0xA0)
    assert lease.next_worker() is None
    assert not lease.hold(Pin(b"1234"), by_officer=True)
    assert lease.hold(Pin(b"9999"), by_officer=True)


@pytest.mark.parametrize("outcome", [LoginOutcome.NOT_TRIED, LoginOutcome.LENGTH, LoginOutcome.LOCKED])
def test_a_pin_that_cost_no_try_is_dropped_but_may_come_again(outcome) -> None:
    lease = lent(b"1234")
    lease.ended(outcome)
    assert lease.pin is None
    assert lease.hold(Pin(b"1234"), by_officer=True)


@pytest.mark.parametrize("outcome", [None, LoginOutcome.REMOVED])
def test_an_attempt_that_stays_open_allows_exactly_one_more(outcome) -> None:
    lease = lent()
    lease.ended(outcome)
    assert lease.next_worker() == 2
    lease.ended(outcome)
    assert lease.pin is None
    assert lease.next_worker() is None


def test_an_officers_act_clears_the_memory() -> None:
    lease = lent(b"1234")
    lease.ended(LoginOutcome.REFUSED, 0xA0)
    lease.forget(refused_too=False)
    assert not lease.hold(Pin(b"1234"), by_officer=True)
    lease.forget(refused_too=True)
    assert lease.hold(Pin(b"1234"), by_officer=True)


def test_the_same_pin_typed_again_while_it_is_on_trial_is_not_tried_again() -> None:
    lease = lent(b"1234")
    assert lease.hold(Pin(b"1234"), by_officer=True)
    lease.ended(LoginOutcome.REFUSED, 0xA0)
    assert lease.next_worker() is None


def test_another_pin_typed_while_one_is_on_trial_gets_its_own_attempt() -> None:
    lease = lent(b"1234")
    assert lease.hold(Pin(b"9999"), by_officer=True)
    lease.ended(LoginOutcome.REFUSED, 0xA0)
    assert lease.next_worker() == 2
    assert bytes(lease.pin.view()) == b"9999"


class LeaseMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, a token sees each refused PIN once."""

    def __init__(self) -> None:
        super().__init__()
        self.lease = Lease()
        self.workers = 0
        self.refused: set[bytes] = set()
        self.on_trial: bytes | None = None

    @rule(pin=st.sampled_from([b"1111", b"2222", b"3333"]), by_officer=st.booleans())
    def hold(self, pin, by_officer) -> None:
        taken = self.lease.hold(Pin(pin), by_officer=by_officer)
        assert taken == (pin not in self.refused)

    @rule()
    def ask(self) -> None:
        self.workers += 1
        self.lease.waiting.append(self.workers)

    @precondition(lambda self: self.lease.lent_to is None)
    @rule()
    def lend(self) -> None:
        if self.lease.next_worker() is not None:
            pin = bytes(self.lease.pin.view())
            assert pin not in self.refused, "a refused PIN was given out"
            self.on_trial = pin

    @precondition(lambda self: self.lease.lent_to is not None)
    @rule(outcome=st.sampled_from([*LoginOutcome, None]))
    def end(self, outcome) -> None:
        """A PIN may have been exchanged, or forgotten, while another was on its way: the outcome is that one's."""
        self.lease.ended(outcome, 0xA0 if outcome in SPENT else 0)
        if outcome in SPENT:
            self.refused.add(self.on_trial)

    @rule()
    def forget(self) -> None:
        self.lease.forget(refused_too=False)
        assert self.lease.pin is None

    @invariant()
    def one_at_a_time(self) -> None:
        if self.lease.lent_to is not None:
            assert self.lease.next_worker() is None


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=60, stateful_step_count=30)
