"""Callers take turns; nothing is lost, nothing is served twice, no chunk mixes kinds or callers."""

import asyncio
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from segeld.dispatch.lanes import MAX_OCTETS, Lanes, Suits
from segeld.dispatch.ticket import Kind, Ticket
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.deadline import Deadline
from segeld.model.inventory import Order
from segeld.model.names import KeyName

KEYS = [KeyName(bytes([number]) * 32) for number in range(3)]


def anything(kind: Kind) -> bool:
    return True


def only(key: KeyName) -> Suits:
    return lambda kind: kind.key == key


def ticket(
    caller: str,
    count: int,
    key: KeyName = KEYS[0],
    algorithm: Algorithm = Algorithm.RSA_PKCS1_SHA256,
    size: int = 32,
) -> Ticket:
    order = Order(
        caller,
        key,
        algorithm,
        EcdsaEncoding.DER,
        (bytes(size),) * count,
        Deadline(2**62),
        "r",
    )
    loop = asyncio.new_event_loop()
    try:
        return Ticket(order, loop.create_future())
    finally:
        loop.close()


orders = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(1, 30),
        st.sampled_from(KEYS),
        st.sampled_from([Algorithm.RSA_PKCS1_SHA256, Algorithm.RSA_PSS_SHA256]),
    ),
    max_size=25,
)


@given(orders, st.integers(1, 16))
def test_every_input_is_served_once_and_chunks_are_of_one_kind_and_caller(orders, size) -> None:
    lanes = Lanes()
    tickets = [ticket(*order) for order in orders]
    for one in tickets:
        lanes.push(one)
    served: Counter[tuple[int, int]] = Counter()
    while (chunk := lanes.take(anything, size)) is not None:
        assert 1 <= len(chunk.parts) <= size
        assert len({part.order.caller for part, _ in chunk.parts}) == 1
        assert {part.kind for part, _ in chunk.parts} == {chunk.kind}
        served.update((id(part), position) for part, position in chunk.parts)
    assert served == Counter({(id(one), p): 1 for one in tickets for p in range(len(one.order.inputs))})
    assert list(lanes) == []


@given(st.lists(st.integers(1, 200), min_size=2, max_size=6), st.integers(1, 16))
def test_a_caller_with_work_waits_for_at_most_one_chunk_of_each_other(counts, size) -> None:
    lanes = Lanes()
    left = {}
    for number, count in enumerate(counts):
        lanes.push(ticket(f"caller-{number}", count))
        left[f"caller-{number}"] = count
    waited = Counter[str]()
    while (chunk := lanes.take(anything, size)) is not None:
        caller = chunk.parts[0][0].order.caller
        assert waited[caller] < len(counts)
        waited[caller] = 0
        left[caller] -= len(chunk.parts)
        waited.update(other for other, count in left.items() if count and other != caller)


def test_only_keys_that_the_token_holds_are_taken() -> None:
    lanes = Lanes()
    lanes.push(ticket("a", 2, KEYS[0]))
    lanes.push(ticket("a", 2, KEYS[1]))
    chunk = lanes.take(only(KEYS[1]), 10)
    assert chunk is not None
    assert chunk.kind.key == KEYS[1]
    assert lanes.take(only(KEYS[1]), 10) is None
    assert lanes.take(only(KEYS[2]), 10) is None


def test_small_orders_of_one_caller_are_gathered_into_one_chunk() -> None:
    lanes = Lanes()
    for _ in range(5):
        lanes.push(ticket("a", 1))
    chunk = lanes.take(anything, 8)
    assert chunk is not None
    assert len(chunk.parts) == 5


def test_what_comes_back_goes_first() -> None:
    lanes = Lanes()
    first, second = ticket("a", 1), ticket("a", 1)
    lanes.push(first)
    chunk = lanes.take(anything, 1)
    lanes.push(second)
    assert first.again(0, attempted=True)
    lanes.push_front(first)
    lanes.push_front(first)
    chunk = lanes.take(anything, 1)
    assert chunk is not None
    assert chunk.parts == ((first, 0),)


def test_a_withdrawn_ticket_is_gone() -> None:
    lanes = Lanes()
    one = ticket("a", 3)
    lanes.push(one)
    lanes.withdraw(one)
    lanes.withdraw(one)
    assert lanes.take(anything, 8) is None


def test_a_chunk_is_bounded_in_octets_too() -> None:
    lanes = Lanes()
    for _ in range(2):
        lanes.push(ticket("a", 128, algorithm=Algorithm.ED25519, size=64 * 1024))
    served = 0
    while (chunk := lanes.take(anything, 256)) is not None:
        assert 0 < sum(map(len, chunk.inputs)) <= MAX_OCTETS
        served += len(chunk.parts)
    assert served == 256


def test_the_kinds_of_one_caller_take_turns_even_if_one_comes_back_each_time() -> None:
    lanes = Lanes()
    sick, healthy = ticket("a", 1, KEYS[0]), ticket("a", 3, KEYS[1])
    lanes.push(sick)
    lanes.push(healthy)
    served = []
    for _ in range(6):
        chunk = lanes.take(anything, 1)
        assert chunk is not None
        served.append(chunk.kind.key)
        if chunk.kind == sick.kind:
            sick.again(0, attempted=False)
            lanes.push_front(sick)
    assert served == [KEYS[0], KEYS[1]] * 3


class Sequences(RuleBasedStateMachine):
    """Each position is either waiting in the lanes, or held, or withdrawn: never two of these, never none."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.tickets: list[Ticket] = []
        self.inside: set[Ticket] = set()
        self.gone: set[Ticket] = set()
        self.held: list[tuple[Ticket, int]] = []

    @rule(
        caller=st.sampled_from("abc"),
        count=st.integers(1, 5),
        key=st.sampled_from(KEYS),
        size=st.sampled_from([32, 600_000]),
    )
    def push(self, caller: str, count: int, key: KeyName, size: int) -> None:
        one = ticket(caller, count, key, Algorithm.ED25519, size)
        self.lanes.push(one)
        self.tickets.append(one)
        self.inside.add(one)

    @rule(size=st.integers(1, 4), key=st.sampled_from([None, *KEYS]))
    def take(self, size: int, key: KeyName | None) -> None:
        suits = anything if key is None else only(key)
        expected = self.lanes.next_kind(suits)
        chunk = self.lanes.take(suits, size)
        assert (chunk.kind if chunk else None) == expected
        if chunk is None:
            assert not [one for one in self.inside if suits(one.kind)]
            return
        assert 1 <= len(chunk.parts) <= size
        assert not set(chunk.parts) & set(self.held)
        for part, _ in chunk.parts:
            assert part in self.inside
            assert part.kind == chunk.kind
            assert part.order.caller == chunk.parts[0][0].order.caller
        self.held += chunk.parts
        self.inside = {one for one in self.inside if one.waiting}

    @rule(choice=st.integers(0, 100))
    def withdraw(self, choice: int) -> None:
        if self.tickets:
            one = self.tickets[choice % len(self.tickets)]
            self.lanes.withdraw(one)
            self.inside.discard(one)
            self.gone.add(one)

    @rule(choice=st.integers(0, 100))
    def bring_back(self, choice: int) -> None:
        if self.held:
            one, position = self.held.pop(choice % len(self.held))
            if one not in self.gone:
                one.again(position, attempted=False)
                self.lanes.push_front(one)
                self.inside.add(one)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        there = list(self.lanes)
        assert len(there) == len(set(there))
        assert set(there) == self.inside
        for one in self.inside:
            positions = [*one.waiting, *(position for held, position in self.held if held is one)]
            assert len(positions) == len(set(positions)) == len(one.order.inputs)


TestSequences = Sequences.TestCase


def test_many_small_orders_of_one_caller_cost_no_more_each_than_few() -> None:
    """Counted in steps of the interpreter, which do not depend on what else the machine does."""

    def steps(count: int) -> int:
        lanes = Lanes()
        tickets = [ticket("a", 1, KEYS[number % 3]) for number in range(count)]
        taken = 0

        def step(frame, event, argument):
            nonlocal taken
            frame.f_trace_lines = True
            taken += 1
            return step

        before = sys.gettrace()
        sys.settrace(step)
        try:
            for one in tickets:
                lanes.push(one)
            for one in tickets[::2]:
                lanes.withdraw(one)
            while lanes.take(anything, 8) is not None:
                pass
        finally:
            sys.settrace(before)
        return taken

    assert steps(1_600) < 12 * steps(160)
