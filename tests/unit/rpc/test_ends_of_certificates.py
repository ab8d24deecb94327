"""Whose certificate ends when, as they came with it."""

import asyncio
import datetime as dt
import time
from dataclasses import replace

import pytest

from segel.v1 import signing_pb2
from segeld.model.faults import Fault, Reason
from segeld.rpc.identity import Certificate
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.seen import IN_USE, MAX_EACH, Seen

ASK = signing_pb2.WhoAmIRequest()
DAY = 86_400.0


@pytest.fixture
async def served(daemon):
    for name, sans, days in (
        ("short", ["uri:spiffe://example/backoffice"], 10),
        ("long", ["uri:spiffe://example/backoffice"], 100),
        ("second", ["dns:other.example"], 20),
    ):
        daemon.authority.issue(name, sans, days=days)
    daemon.hours = []
    daemon.open_calls = OpenCalls(
        lambda: daemon.policy,
        lambda *who: daemon.shut_out(*who),  # noqa: PLW0108 - tests exchange it
        Seen(lambda: sum(daemon.hours)),
    )
    daemon.came = []
    daemon.open_calls.came.append(lambda: daemon.came.append(daemon.open_calls.ends()))
    return await daemon.start()


def days_left(ends) -> dict[str, int]:
    return {name: round((end - time.time()) / DAY) for name, end in ends}


async def test_who_came_is_known_with_the_end_of_their_certificate(served):
    assert served.open_calls.ends() == []
    await served.signing("short").WhoAmI(ASK)
    assert days_left(served.open_calls.ends()) == {"backoffice": 10}
    await served.signing("second").WhoAmI(ASK)
    assert days_left(served.open_calls.ends()) == {"backoffice": 10, "other": 20}


async def test_of_two_hosts_of_one_caller_the_one_that_must_renew_counts(served):
    """Until it has not come for an hour; then it has renewed its certificate, or is no more."""
    for who in ("short", "long", "short", "long"):
        await served.signing(who).WhoAmI(ASK)
        assert days_left(served.open_calls.ends()) == {"backoffice": 10}
    served.hours.append(IN_USE)
    await served.signing("long").WhoAmI(ASK)
    assert days_left(served.open_calls.ends()) == {"backoffice": 100}


async def test_a_certificate_is_told_of_when_it_is_first_seen_and_not_at_every_call(served):
    await asyncio.gather(*(served.signing("long").WhoAmI(ASK) for _ in range(5)))
    assert [days_left(each) for each in served.came] == [{"backoffice": 100}]
    await served.signing("short").WhoAmI(ASK)
    await served.signing("long").WhoAmI(ASK)
    assert [days_left(each) for each in served.came[1:]] == [{"backoffice": 10}]


async def test_who_may_not_come_any_more_is_forgotten(served):
    await served.signing("short").WhoAmI(ASK)
    await served.signing("second").WhoAmI(ASK)
    policy = served.policy
    served.policy = replace(
        policy, principals={san: who for san, who in policy.principals.items() if who.name != "other"}
    )
    assert list(days_left(served.open_calls.ends())) == ["backoffice"]
    served.shut_out = lambda who, fingerprint, sans: Fault(Reason.CALLER_REVOKED, "You were revoked.")
    assert served.open_calls.ends() == []


def test_whoever_comes_with_a_new_certificate_each_time_fills_no_memory():
    seen = Seen()
    at = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    for number in range(3 * MAX_EACH):
        assert seen.note("tax", Certificate((), at, bytes([number])))
    assert [each.fingerprint[0] for _, each in seen.in_use()] == list(range(2 * MAX_EACH, 3 * MAX_EACH))
    assert seen.last("tax").fingerprint == bytes([3 * MAX_EACH - 1])
