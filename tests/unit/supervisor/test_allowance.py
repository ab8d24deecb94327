"""What is left of an activation: never more signatures than were allowed, whoever signs and whatever fails."""

import asyncio

import pytest
from acts_fake import acts
from hypothesis import given, settings
from hypothesis import strategies as st

from segeld.model.activation import NO_LIMITS, Limits
from segeld.model.names import TokenName
from segeld.supervisor.allowance import Allowance
from segeld.supervisor.term import Term

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 50)),
        st.tuples(st.just("return"), st.integers(0, 50), st.integers(0, 50)),
        st.tuples(st.just("narrow"), st.integers(0, 60)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(st.integers(1, 100), STEPS)
def test_there_are_never_more_signatures_than_were_allowed(allowed, steps):
    allowance = Allowance(Limits(signatures=allowed), 0.0)
    held: list[int] = []
    made, most = 0, allowed
    for step in steps:
        match step:
            case ("reserve", wanted):
                given_out = allowance.reserve(wanted, 0.0)
                assert given_out <= wanted
                if given_out:
                    held.append(given_out)
            case ("return", which, wanted) if held:
                reserved = held.pop(which % len(held))
                now = min(wanted, reserved)
                made += now
                others = allowance.give_back(reserved, made=now)
                assert others == (now < reserved)
            case ("narrow", wanted):
                allowance.narrow(Limits(signatures=wanted), 0.0)
                most = min(most, max(made + sum(held) + wanted, made))
        assert made + sum(held) <= allowed
        assert made + allowance.left <= most
        assert bool(allowance.over(0.0)) == (allowance.left == 0)


@settings(deadline=None)
@given(st.integers(1, 100), st.lists(st.integers(1, 9), max_size=80))
def test_everything_that_is_allowed_can_be_had(allowed, wishes):
    allowance = Allowance(Limits(signatures=allowed), 0.0)
    made = 0
    for wish in wishes:
        reserved = allowance.reserve(wish, 0.0)
        assert reserved == min(wish, allowed - made)
        made += reserved
        allowance.give_back(reserved, made=reserved)
    assert allowance.left == allowed - made


def test_no_limit_is_none():
    allowance = Allowance(NO_LIMITS, 0.0)
    assert (allowance.reserve(7, 1e12), allowance.left, allowance.over(1e12)) == (7, None, "")
    assert not allowance.give_back(7, made=0)


def test_after_its_time_nothing_is_given():
    allowance = Allowance(Limits(seconds=10.0), 5.0)
    assert (allowance.reserve(3, 14.9), allowance.over(14.9)) == (3, "")
    assert allowance.reserve(3, 15.0) == 0
    assert "time" in allowance.over(15.0)


@pytest.mark.parametrize(
    ("there", "new", "until", "left"),
    [
        (NO_LIMITS, Limits(10.0, 5), 10.0, 5),
        (Limits(3.0, 2), Limits(10.0, 5), 3.0, 2),
        (Limits(30.0, 20), Limits(10.0, 5), 10.0, 5),
        (Limits(30.0, 20), NO_LIMITS, 30.0, 20),
    ],
)
def test_limits_of_an_active_token_are_only_made_tighter(there, new, until, left):
    allowance = Allowance(there, 0.0)
    allowance.narrow(new, 0.0)
    assert (allowance.until, allowance.left) == (until, left)


@pytest.fixture
def deactivated():
    return asyncio.Event()


@pytest.fixture
def term(deactivated):
    async def deactivate():
        deactivated.set()

    return Term(TokenName("seal"), deactivate, acts())


async def test_the_last_signature_ends_the_activation_once_it_is_made(term, deactivated):
    term.begin(Limits(signatures=3))
    two, one, none = term.reserve(2), term.reserve(2), term.reserve(1)
    assert (two.count, one.count, none.count) == (2, 1, 0)
    term.give_back(one, made=1)
    assert not term.why
    assert term.give_back(two, made=1)
    last = term.reserve(5)
    assert last.count == 1
    term.give_back(last, made=1)
    await asyncio.wait_for(deactivated.wait(), 5)
    assert term.why == "The 3 signatures of its activation are made."
    assert not term.reserve(1)


async def test_the_end_of_its_time_ends_the_activation(term, deactivated):
    term.begin(Limits(seconds=0.02))
    await asyncio.wait_for(deactivated.wait(), 5)
    assert term.why == "The time of its activation is over."


async def test_a_new_activation_forgets_why_the_last_one_ended(term, deactivated):
    term.begin(Limits(seconds=0.01))
    await asyncio.wait_for(deactivated.wait(), 5)
    term.begin(NO_LIMITS)
    assert (term.why, term.until, term.reserve(9).count) == ("", None, 9)


async def test_an_officer_who_ends_it_first_leaves_no_timer(term, deactivated):
    term.begin(Limits(seconds=60.0, signatures=1))
    term.end()
    assert (term.why, term.until, term.left) == ("", None, None)
    assert term._timer is None


@pytest.mark.parametrize("made", [0, 3])
async def test_what_an_earlier_activation_set_aside_widens_nothing(term, made):
    term.begin(NO_LIMITS)
    earlier = term.reserve(5)
    term.begin(Limits(signatures=5))
    now = term.reserve(5)
    assert not term.give_back(earlier, made=made)
    assert (term.left, term.reserve(1).count) == (5, 0)
    assert term.give_back(now, made=2)
    assert term.reserve(9).count == 3
    term.end()
