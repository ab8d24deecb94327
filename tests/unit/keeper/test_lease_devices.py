"""Devices and names: what one device refused is known under each of its names, and to no other device."""

from lease_steps import SERIAL, begin, borrowers, end, lent

from segeld.ipc.keeper_wire import NotLent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.lease import Lease
from segeld.keeper.memory import Memory
from segeld.model.secret import Pin


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


def test_a_token_that_was_swapped_in_the_middle_of_an_attempt_waits_for_its_outcome() -> None:
    lease = lent(b"1234")
    lease.waiting.clear()
    lease.waiting.extend(borrowers(5, serial="4711"))
    assert lease.begin() is None
    lease.ended(LoginOutcome.OK)
    assert lease.begin() is None, "that is not durable yet"
    lease.settled()
    assert begin(lease) == 5
