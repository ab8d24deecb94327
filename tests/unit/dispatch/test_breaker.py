"""A token is not asked again for what it failed at twice, unless both failures may have had another cause."""

import pytest

from segeld.dispatch.breaker import PAUSE, Asked, Breaker
from segeld.model.algorithm import Algorithm
from segeld.model.names import KeyName, TokenName

ASKED = Asked(TokenName("payroll"), KeyName(bytes(32)), Algorithm.RSA_PSS_SHA256)
OTHERS = [
    Asked(TokenName("letters"), ASKED.key, ASKED.algorithm),
    Asked(ASKED.token, KeyName(bytes([1]) * 32), ASKED.algorithm),
    Asked(ASKED.token, ASKED.key, Algorithm.RSA_PSS_SHA384),
]


def test_the_second_failure_opens_it_for_ten_minutes() -> None:
    breaker = Breaker()
    assert not breaker.failed(ASKED, proved=0, now=10)
    assert breaker.pause(ASKED, 10) == 0
    assert breaker.failed(ASKED, proved=11, now=12)
    assert breaker.pause(ASKED, 12) == PAUSE
    assert breaker.pause(ASKED, 12 + PAUSE - 1) == 1
    assert [breaker.pause(other, 12) for other in OTHERS] == [0, 0, 0]
    assert breaker.pause(ASKED, 12 + PAUSE) == 0


def test_then_it_takes_two_again() -> None:
    breaker = Breaker()
    breaker.failed(ASKED, proved=0, now=0)
    breaker.failed(ASKED, proved=1, now=2)
    assert breaker.pause(ASKED, 2 + PAUSE) == 0
    assert not breaker.failed(ASKED, proved=PAUSE, now=3 + PAUSE)
    assert breaker.failed(ASKED, proved=4 + PAUSE, now=5 + PAUSE)


@pytest.mark.parametrize("proved", [5, 10])
def test_workers_that_were_sick_together_count_once(proved) -> None:
    breaker = Breaker()
    breaker.failed(ASKED, proved=0, now=10)
    assert not breaker.failed(ASKED, proved=proved, now=11)


def test_a_signature_in_between_makes_it_a_first_failure_again() -> None:
    breaker = Breaker()
    breaker.failed(ASKED, proved=0, now=10)
    breaker.worked(ASKED)
    assert not breaker.failed(ASKED, proved=11, now=12)


def test_failures_far_apart_are_two_first_ones() -> None:
    breaker = Breaker()
    breaker.failed(ASKED, proved=0, now=10)
    assert not breaker.failed(ASKED, proved=11, now=11 + PAUSE)
