"""What officers ask: slots, tokens, and logging in."""

import asyncio
import datetime as dt

import pytest

import segel
from segel import errors
from segel.models import TokenState


@pytest.fixture
async def officer(daemon, tls):
    async with segel.Officer.connect(daemon.target, tls=tls) as one:
        yield one


async def test_slots(officer):
    slots = await officer.slots()
    assert [slot.name for slot in slots] == ["modules/a/slots/1", "modules/a/slots/2"]
    assert len(slots) == 2
    assert slots.slots[0].token.label == "Seal"
    assert slots.slots[0].token.token is None
    assert slots.slots[1].token is None
    assert slots.unreachable == ("b: no such file",)


async def test_tokens(officer):
    [token] = await officer.tokens()
    assert (token.name, token.state, token.state_time) == ("tokens/seal", TokenState.INACTIVE, None)


async def test_token(officer):
    token = await officer.token("tokens/seal")
    assert token.state is TokenState.ACTIVE
    assert token.state_time == dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)
    assert (token.keys[0].kind, token.keys[0].key) == ("P-256", None)


async def test_a_pin_is_sent_once_and_wiped(officer, daemon):
    pin = bytearray(b"123456")
    token = await officer.activate("tokens/seal", pin)
    assert token.state is TokenState.ACTIVE
    assert daemon.pins == [b"123456"]
    assert pin == bytearray(6)
    assert (await officer.deactivate("tokens/seal")).state is TokenState.INACTIVE


async def test_a_refused_pin_is_never_sent_again_by_itself(officer, daemon, kit):
    """Not even when the daemon says that it may be: tokens count."""
    daemon.refusal = kit.status("UNAVAILABLE", "TOKEN_RECOVERING", retry_after=0.0)
    pin = bytearray(b"123456")
    with pytest.raises(errors.TokenUnavailable):
        await officer.activate("tokens/seal", pin)
    assert daemon.pins == [b"123456"]
    assert pin == bytearray(6)
    daemon.refusal = kit.status("PERMISSION_DENIED", "PIN_INCORRECT")
    with pytest.raises(errors.PinRefused):
        await officer.activate("tokens/seal", b"000000")
    assert len(daemon.pins) == 2


async def test_reading_is_repeated_when_the_daemon_says_so(officer, daemon, kit):
    daemon.refusal = kit.status("UNAVAILABLE", "DAEMON_STOPPING", retry_after=0.0)
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(officer.tokens())
        await daemon.was_called("ListTokens", 1)
        daemon.refusal = None
    assert len(call.result()) == 1


async def test_from_settings(daemon, tls, monkeypatch):
    for name, value in {
        "TARGET": daemon.target,
        "TLS_CA": tls.ca,
        "TLS_CERT": tls.cert,
        "TLS_KEY": tls.key,
    }.items():
        monkeypatch.setenv(f"SEGELCTL_{name}", str(value))
    async with segel.Officer.from_settings() as officer:
        assert len(await officer.tokens()) == 1


async def test_without_await(daemon, tls):
    def use():
        with segel.BlockingOfficer.connect(daemon.target, tls=tls) as officer:
            assert len(officer.slots()) == 2
            assert len(officer.tokens()) == 1
            assert officer.token("tokens/seal").name == "tokens/seal"
            assert officer.activate("tokens/seal", b"1234").state is TokenState.ACTIVE
            assert officer.deactivate("tokens/seal").state is TokenState.INACTIVE

    await asyncio.to_thread(use)
