"""The login lease: one attempt at a time, written down before it is made, and what comes between begin and end."""

from lease_steps import SERIAL, begin, borrowers, end, lent

from segeld.ipc.keeper_wire import Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.lease import Borrower, Lease, Trial
from segeld.model.secret import Pin


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
