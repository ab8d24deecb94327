"""Nothing is lost, nothing is served twice, no chunk mixes kinds or callers."""

import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from work_fake import KEYS, FakeWork

from segeld.dispatch.lanes import MAX_OCTETS, Chunk, Lanes, Suits
from segeld.model.algorithm import Algorithm
from segeld.model.kind import Kind
from segeld.model.names import KeyName


def anything(kind: Kind) -> bool:
    return True


def only(key: KeyName) -> Suits:
    return lambda kind: kind.key == key


def take(lanes: Lanes, suits: Suits, size: int) -> Chunk | None:
    """Of the first caller that suits."""
    waiting = lanes.waiting(suits)
    if not waiting:
        return None
    kind = lanes.next_kind(waiting[0].caller, suits)
    assert kind is not None
    return lanes.take(waiting[0].caller, kind, size)


works = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(1, 30),
        st.sampled_from(KEYS),
        st.sampled_from([Algorithm.RSA_PKCS1_SHA256, Algorithm.RSA_PSS_SHA256]),
    ),
    max_size=25,
)


@given(works, st.integers(1, 16))
def test_every_input_is_served_once_and_no_chunk_mixes(works, size) -> None:
    lanes = Lanes()
    waiting = [FakeWork(*work) for work in works]
    for one in waiting:
        lanes.push(one)
    served: Counter[tuple[int, int]] = Counter()
    while (chunk := take(lanes, anything, size)) is not None:
        assert 1 <= len(chunk.items) <= size
        assert len({work.caller for work, _ in chunk.items}) == 1
        assert {work.kind for work, _ in chunk.items} == {chunk.kind}
        served.update((id(work), position) for work, position in chunk.items)
    assert served == Counter({(id(one), position): 1 for one in waiting for position in range(one.count)})
    assert list(lanes) == []
    assert not lanes


def test_only_keys_that_the_token_holds_are_taken() -> None:
    lanes = Lanes()
    lanes.push(FakeWork("a", 2, KEYS[0]))
    lanes.push(FakeWork("a", 2, KEYS[1]))
    chunk = take(lanes, only(KEYS[1]), 10)
    assert chunk is not None
    assert chunk.kind.key == KEYS[1]
    assert take(lanes, only(KEYS[1]), 10) is None
    assert take(lanes, only(KEYS[2]), 10) is None


def test_small_orders_of_one_caller_are_gathered_into_one_chunk() -> None:
    lanes = Lanes()
    for _ in range(5):
        lanes.push(FakeWork("a", 1))
    chunk = take(lanes, anything, 8)
    assert chunk is not None
    assert len(chunk.items) == 5


def test_the_works_of_one_kind_take_turns() -> None:
    lanes = Lanes()
    large, small = FakeWork("a", 100), FakeWork("a", 8)
    lanes.push(large)
    lanes.push(small)
    served = [chunk.items[0][0] for _ in range(4) if (chunk := take(lanes, anything, 4))]
    assert served == [large, small, large, small]


def test_what_comes_back_goes_first() -> None:
    lanes = Lanes()
    first, second = FakeWork("a", 1), FakeWork("a", 1)
    lanes.push(first)
    take(lanes, anything, 1)
    lanes.push(second)
    first.waiting.appendleft(0)
    lanes.push_front(first)
    lanes.push_front(first)
    chunk = take(lanes, anything, 1)
    assert chunk is not None
    assert chunk.items == ((first, 0),)


def test_withdrawn_work_is_gone() -> None:
    lanes = Lanes()
    one = FakeWork("a", 3)
    lanes.push(one)
    lanes.withdraw(one)
    lanes.withdraw(one)
    assert take(lanes, anything, 8) is None


def test_a_caller_that_comes_back_after_it_had_nothing_is_told_apart() -> None:
    lanes = Lanes()
    lanes.push(FakeWork("a", 2))
    (before,) = lanes.waiting(anything)
    lanes.push(FakeWork("a", 2))
    assert lanes.waiting(anything) == [before]
    take(lanes, anything, 4)
    lanes.push(FakeWork("a", 2))
    assert lanes.waiting(anything)[0].since > before.since


def test_a_chunk_is_bounded_in_octets_too() -> None:
    lanes = Lanes()
    for _ in range(2):
        lanes.push(FakeWork("a", 128, algorithm=Algorithm.ED25519, size=64 * 1024))
    served = 0
    while (chunk := take(lanes, anything, 256)) is not None:
        assert 0 < sum(len(work.input(position)) for work, position in chunk.items) <= MAX_OCTETS
        served += len(chunk.items)
    assert served == 256


def test_the_kinds_of_one_caller_take_turns_even_if_one_comes_back_each_time() -> None:
    lanes = Lanes()
    sick, healthy = FakeWork("a", 1, KEYS[0]), FakeWork("a", 3, KEYS[1])
    lanes.push(sick)
    lanes.push(healthy)
    served = []
    for _ in range(6):
        chunk = take(lanes, anything, 1)
        assert chunk is not None
        served.append(chunk.kind.key)
        if chunk.kind == sick.kind:
            sick.waiting.appendleft(0)
            lanes.push_front(sick)
    assert served == [KEYS[0], KEYS[1]] * 3


class Sequences(RuleBasedStateMachine):
    """Each position is either waiting in the lanes, or held, or withdrawn: never two of these, never none."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.works: list[FakeWork] = []
        self.inside: set[FakeWork] = set()
        self.gone: set[FakeWork] = set()
        self.held: list[tuple[FakeWork, int]] = []

    @rule(
        caller=st.sampled_from("abc"),
        count=st.integers(1, 5),
        key=st.sampled_from(KEYS),
        size=st.sampled_from([32, 600_000]),
    )
    def push(self, caller: str, count: int, key: KeyName, size: int) -> None:
        one = FakeWork(caller, count, key, Algorithm.ED25519, size=size)
        self.lanes.push(one)
        self.works.append(one)
        self.inside.add(one)

    @rule(size=st.integers(1, 4), key=st.sampled_from([None, *KEYS]))
    def take(self, size: int, key: KeyName | None) -> None:
        suits = anything if key is None else only(key)
        chunk = take(self.lanes, suits, size)
        if chunk is None:
            assert not [one for one in self.inside if suits(one.kind)]
            return
        assert 1 <= len(chunk.items) <= size
        assert not set(chunk.items) & set(self.held)
        for work, _ in chunk.items:
            assert work in self.inside
            assert work.kind == chunk.kind
            assert work.caller == chunk.items[0][0].caller
        self.held += chunk.items
        self.inside = {one for one in self.inside if one.waiting}

    @rule(choice=st.integers(0, 100))
    def withdraw(self, choice: int) -> None:
        if self.works:
            one = self.works[choice % len(self.works)]
            self.lanes.withdraw(one)
            self.inside.discard(one)
            self.gone.add(one)

    @rule(choice=st.integers(0, 100))
    def bring_back(self, choice: int) -> None:
        if self.held:
            one, position = self.held.pop(choice % len(self.held))
            if one not in self.gone:
                one.waiting.appendleft(position)
                self.lanes.push_front(one)
                self.inside.add(one)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        there = list(self.lanes)
        assert len(there) == len(set(there))
        assert set(there) == self.inside
        for one in self.inside:
            positions = [*one.waiting, *(position for held, position in self.held if held is one)]
            assert len(positions) == len(set(positions)) == one.count


TestSequences = Sequences.TestCase


def test_many_small_orders_of_one_caller_cost_no_more_each_than_few() -> None:
    """Counted in steps of the interpreter, which do not depend on what else the machine does."""

    def steps(count: int) -> int:
        lanes = Lanes()
        works = [FakeWork("a", 1, KEYS[number % 3]) for number in range(count)]
        taken = 0

        def step(frame, event, argument):
            nonlocal taken
            frame.f_trace_lines = True
            taken += 1
            return step

        before = sys.gettrace()
        sys.settrace(step)
        try:
            for one in works:
                lanes.push(one)
            for one in works[::2]:
                lanes.withdraw(one)
            while take(lanes, anything, 8) is not None:
                pass
        finally:
            sys.settrace(before)
        return taken

    assert steps(1_600) < 12 * steps(160)
