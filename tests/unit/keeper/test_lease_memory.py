"""What the keeper remembers of PINs: a refused one is never given out again, one whose attempt stays open once more."""

import pytest
from lease_steps import SERIAL, SPENT, after_restart, begin, borrowers, end, lent

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.lease import Lease
from segeld.keeper.memory import MAX_REMEMBERED, Memory, fingerprint
from segeld.model.secret import Pin


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


def test_what_an_officer_clears_does_not_become_known_by_that() -> None:
    lease = lent(b"9999", by_officer=True, memory=Memory({}, lost=True))
    end(lease, LoginOutcome.REFUSED, 0xA0)
    lease.forget((SERIAL,))
    lease.hold(Pin(b"1234"), by_officer=False, serial=SERIAL)
    assert begin(lease) is NotLent.UNKNOWN


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


def test_the_fingerprint_is_of_pin_key_and_token() -> None:
    assert fingerprint(Pin(b"1"), b"k", "a") == fingerprint(Pin(b"1"), b"k", "a")
    others = [(b"2", b"k", "a"), (b"1", b"l", "a"), (b"1", b"k", "b")]
    prints = {fingerprint(Pin(pin), key, token) for pin, key, token in [(b"1", b"k", "a"), *others]}
    assert len(prints) == 4


def test_a_pin_that_the_device_refused_otherwise_than_in_a_login_is_dropped_and_not_tried_again() -> None:
    lease = lent(b"1234")
    end(lease, LoginOutcome.OK)
    assert lease.may_send(Pin(b"1234"), SERIAL)
    assert lease.refused(Pin(b"another"), SERIAL) == Record(refused=(b"another",))
    assert lease.holds(), "of the one that is held that says nothing"
    record = lease.refused(Pin(b"1234"), SERIAL)
    assert (record.refused, lease.holds()) == ((b"another", b"1234"), False)
    assert not lease.may_send(Pin(b"1234"), SERIAL)
    assert not lease.hold(Pin(b"1234"), by_officer=True, serial=SERIAL)
