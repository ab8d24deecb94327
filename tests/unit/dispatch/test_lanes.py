"""Callers take turns; nothing is lost, nothing is served twice, no chunk mixes kinds or callers."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from segeld.dispatch.lanes import Lanes
from segeld.dispatch.ticket import Ticket
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.deadline import Deadline
from segeld.model.inventory import Order
from segeld.model.names import KeyName

KEYS = [KeyName(bytes([number]) * 32) for number in range(3)]


def ticket(
    caller: str, count: int, key: KeyName = KEYS[0], algorithm: Algorithm = Algorithm.RSA_PKCS1_SHA256
) -> Ticket:
    order = Order(
        caller,
        key,
        algorithm,
        EcdsaEncoding.DER,
        tuple(bytes(32) for _ in range(count)),
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
    while (chunk := lanes.take(KEYS, size)) is not None:
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
    while (chunk := lanes.take(KEYS, size)) is not None:
        caller = chunk.parts[0][0].order.caller
        assert waited[caller] < len(counts)
        waited[caller] = 0
        left[caller] -= len(chunk.parts)
        waited.update(other for other, count in left.items() if count and other != caller)


def test_only_keys_that_the_token_holds_are_taken() -> None:
    lanes = Lanes()
    lanes.push(ticket("a", 2, KEYS[0]))
    lanes.push(ticket("a", 2, KEYS[1]))
    chunk = lanes.take([KEYS[1]], 10)
    assert chunk is not None
    assert chunk.kind.key == KEYS[1]
    assert lanes.take([KEYS[1]], 10) is None
    assert lanes.take([KEYS[2]], 10) is None


def test_small_orders_of_one_caller_are_gathered_into_one_chunk() -> None:
    lanes = Lanes()
    for _ in range(5):
        lanes.push(ticket("a", 1))
    chunk = lanes.take(KEYS, 8)
    assert chunk is not None
    assert len(chunk.parts) == 5


def test_what_comes_back_goes_first() -> None:
    lanes = Lanes()
    first, second = ticket("a", 1), ticket("a", 1)
    lanes.push(first)
    chunk = lanes.take(KEYS, 1)
    lanes.push(second)
    assert first.again(0, attempted=True)
    lanes.push_front(first)
    lanes.push_front(first)
    chunk = lanes.take(KEYS, 1)
    assert chunk is not None
    assert chunk.parts == ((first, 0),)


def test_a_withdrawn_ticket_is_gone() -> None:
    lanes = Lanes()
    one = ticket("a", 3)
    lanes.push(one)
    lanes.withdraw(one)
    lanes.withdraw(one)
    assert lanes.take(KEYS, 8) is None
