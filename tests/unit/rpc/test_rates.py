"""How fast and how much at once a caller may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.faults import Fault, Reason
from segeld.policy.rules import Policy, Rate, Standing
from segeld.rpc.rates import Bucket, Rates


def policy(**standing) -> Policy:
    return Policy(standings={"one": Standing(**standing)})


@given(
    st.floats(0.1, 1000),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 300)), max_size=50),
)
def test_no_span_of_time_gives_more_than_the_rate_a_burst_and_one_batch(per_second, burst, asked):
    rate = Rate(per_second, burst)
    now, taken, largest = 0.0, 0, 0
    bucket = Bucket(rate, now)
    for pause, count in asked:
        now += pause
        if bucket.take(count, rate, now) == 0.0:
            taken += count
            largest = max(largest, count)
        assert taken <= burst + per_second * now + largest + 1e-6


@given(st.floats(0.1, 1000), st.integers(1, 100), st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_whoever_waits_as_told_gets_it(per_second, burst, batches):
    rate, now = Rate(per_second, burst), 0.0
    bucket = Bucket(rate, now)
    for count in batches:
        now += bucket.take(count, rate, now)
        if now:
            now += 1e-6
        assert bucket.take(count, rate, now) <= count / per_second + 1e-3


def test_a_batch_larger_than_the_bucket_goes_and_is_paid_off():
    now = 0.0
    rates = Rates(lambda: now)
    limited = policy(rate=Rate(10, 10))
    with rates.entered(limited, "one", 50):
        pass
    with pytest.raises(Fault) as caught, rates.entered(limited, "one", 1):
        pass
    assert caught.value.reason is Reason.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(4.1)
    now = 4.1
    with rates.entered(limited, "one", 1):
        pass


def test_a_new_rate_holds_at_once_and_no_rate_forgets_the_debt():
    now = 0.0
    rates = Rates(lambda: now)
    with rates.entered(policy(rate=Rate(1, 1)), "one", 1000):
        pass
    with pytest.raises(Fault), rates.entered(policy(rate=Rate(100, 100)), "one", 1):
        pass
    with rates.entered(policy(), "one", 1000), rates.entered(policy(rate=Rate(1, 1)), "one", 1):
        pass


def test_so_many_inputs_at_once_and_no_more():
    rates, limited = Rates(), policy(at_once=3)
    with rates.entered(limited, "one", 2):
        with pytest.raises(Fault) as caught, rates.entered(limited, "one", 2):
            pass
        assert caught.value.reason is Reason.CALLER_QUOTA
        with rates.entered(limited, "one", 1), rates.entered(limited, "two", 9):
            pass
    with rates.entered(limited, "one", 3):
        pass
