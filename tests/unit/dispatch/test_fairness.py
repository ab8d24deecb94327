"""Shares of a token: bounded waiting, nobody idle while somebody waits, weights respected. Time is only a number."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from segeld.dispatch.fairness import UPPER_SHARE, Fairness, Waiting
from segeld.model.priority import Priority

CHUNK_SECONDS = 0.02

costs = st.floats(0.001, 0.05)
weights = st.lists(st.integers(1, 8), min_size=1, max_size=20)


def serve(fairness: Fairness, waiting, cost, weight=1, *, guess: float = 1.0) -> tuple[Priority, str]:
    """One chunk: charged with a guess when it is taken, with the rest when it was measured."""
    choice = fairness.choose(waiting)
    assert choice is not None
    priority, caller = choice
    present = {each for each in waiting if waiting[each]}
    for seconds in (cost * guess, cost - cost * guess):
        fairness.charge(priority, caller, seconds, weight=weight, waiting=present)
    return choice


@given(weights, st.floats(0.3, 3), st.integers(1, 300), st.integers(0, 2**32))
def test_callers_that_always_wait_get_their_weight(weights, guess, chunks, seed) -> None:
    """After any number of chunks, what two callers used differs, by weight, by no more than a chunk of each."""
    random, fairness = Random(seed), Fairness()
    waiting = [Waiting(str(number), 1) for number in range(len(weights))]
    used = Counter[str]()
    largest = 0.0
    for _ in range(chunks):
        cost = random.uniform(0.001, 0.05)
        largest = max(largest, cost)
        choice = fairness.choose({Priority.NORMAL: waiting})
        assert choice is not None
        _, caller = choice
        weight = weights[int(caller)]
        for seconds in (cost * guess, cost - cost * guess):
            fairness.charge(Priority.NORMAL, caller, seconds, weight=weight, waiting={Priority.NORMAL})
        used[caller] += cost
    shares = [used[str(number)] / weight for number, weight in enumerate(weights)]
    assert max(shares) - min(shares) <= largest + 1e-9


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_a_caller_that_waits_is_served_after_at_most_one_chunk_more_of_each_other(count, seed) -> None:
    random, fairness = Random(seed), Fairness()
    callers = "abcdef"[:count]
    passed: dict[str, Counter[str]] = {caller: Counter() for caller in callers}
    since = dict.fromkeys(callers, 1)
    for _ in range(100):
        here = set(random.choices(callers, k=random.randint(1, 2 * count)))
        for caller in callers:
            if caller not in here:  # it has nothing any more: when it comes back it is new
                since[caller] += 1
                passed[caller].clear()
        _, caller = serve(
            fairness, {Priority.NORMAL: [Waiting(each, since[each]) for each in sorted(here)]}, 0.02
        )
        passed[caller].clear()
        for other in here - {caller}:
            passed[other][caller] += 1
            assert max(passed[other].values()) <= 2


@given(
    st.dictionaries(st.sampled_from(Priority), st.lists(st.sampled_from("abc"), unique=True), max_size=3),
    st.lists(costs, max_size=30),
)
def test_somebody_is_served_whenever_somebody_waits(waiting, before) -> None:
    fairness = Fairness()
    here = {priority: [Waiting(caller, 1) for caller in callers] for priority, callers in waiting.items()}
    for cost in before:
        if any(here.values()):
            priority, caller = serve(fairness, here, cost)
            assert caller in waiting[priority]
    assert (fairness.choose(here) is None) == (not any(here.values()))


@given(st.integers(0, 2**32))
def test_interactive_work_gets_four_fifths_while_jobs_wait(seed) -> None:
    random = Random(seed)
    fairness = Fairness()
    both = {Priority.INTERACTIVE: [Waiting("a", 1)], Priority.NORMAL: [Waiting("b", 1)]}
    used = Counter[Priority]()
    for _ in range(1000):
        cost = random.uniform(0.001, 0.05)
        priority, _ = serve(fairness, both, cost)
        used[priority] += cost
    share = used[Priority.INTERACTIVE] / used.total()
    assert abs(share - UPPER_SHARE) < 0.05


def test_each_lower_priority_gets_a_fifth_of_what_is_left() -> None:
    fairness = Fairness()
    everybody = {priority: [Waiting("a", 1)] for priority in Priority}
    used = Counter(serve(fairness, everybody, CHUNK_SECONDS)[0] for _ in range(1000))
    assert abs(used[Priority.INTERACTIVE] - 800) <= 5
    assert abs(used[Priority.NORMAL] - 160) <= 5
    assert abs(used[Priority.LOW] - 40) <= 5


def test_interactive_work_goes_first_as_long_as_it_is_little() -> None:
    fairness = Fairness()
    both = {Priority.INTERACTIVE: [Waiting("a", 1)], Priority.NORMAL: [Waiting("b", 1)]}
    for _ in range(100):
        for _ in range(5):
            serve(fairness, {Priority.NORMAL: [Waiting("b", 1)]}, CHUNK_SECONDS)
        assert serve(fairness, both, CHUNK_SECONDS)[0] is Priority.INTERACTIVE
        assert not fairness.jobs_are_due()


def test_whoever_was_away_saved_nothing_up() -> None:
    fairness = Fairness()
    for _ in range(500):
        serve(fairness, {Priority.NORMAL: [Waiting("a", 1)]}, CHUNK_SECONDS)
    both = {Priority.NORMAL: [Waiting("a", 1), Waiting("b", 2)]}
    served = Counter(serve(fairness, both, CHUNK_SECONDS)[1] for _ in range(20))
    assert abs(served["a"] - served["b"]) <= 1


def test_jobs_that_were_passed_over_for_long_do_not_hold_up_others_for_long() -> None:
    fairness = Fairness()
    for _ in range(10_000):
        fairness.charge(Priority.INTERACTIVE, "a", 1.0, weight=1, waiting={Priority.NORMAL})
    both = {Priority.INTERACTIVE: [Waiting("a", 1)], Priority.NORMAL: [Waiting("b", 1)]}
    in_a_row = 0
    while serve(fairness, both, CHUNK_SECONDS)[0] is Priority.NORMAL:
        in_a_row += 1
    assert in_a_row * CHUNK_SECONDS <= 0.6
