"""Officers who go away while their act is under way: it goes to its end, and its end is recorded under their name."""

import asyncio
import contextlib

import grpc
import pytest

from segel.v1 import token_admin_pb2 as pb
from segel.v1 import tokens_pb2
from segeld.model.faults import Fault, Reason
from segeld.rpc.roles import ACTS, ROLES
from segeld.rpc.to_the_end import ToTheEnd

PAYROLL = "tokens/payroll"
READING = ("List", "Get", "Read", "Find", "Prove", "Check", "Explain", "Watch", "WhoAmI", "ServerReflection")
FOR_ONE_CALLER = {"Sign", "SignStream", "CreateJob", "AppendItems", "SealJob", "CancelJob", "DeleteJob"}
CALLS = {
    "activate": (
        "ActivateToken",
        pb.ActivateTokenRequest(name=PAYROLL, pin=b"pin-canary"),
        "token activated",
        "token activation failed",
    ),
    "deactivate": (
        "DeactivateToken",
        pb.DeactivateTokenRequest(name=PAYROLL),
        "token deactivated",
        "token deactivation failed",
    ),
    "quarantine": (
        "QuarantineToken",
        pb.QuarantineTokenRequest(name=PAYROLL, reason="found open"),
        None,
        "token quarantine failed",
    ),
    "release": ("ReleaseToken", pb.ReleaseTokenRequest(name=PAYROLL), None, "token release failed"),
}


class Held:
    """A method of the inventory that takes its time."""

    def __init__(self, daemon, method, monkeypatch) -> None:
        self.begun, self.go_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.left = asyncio.Event()
        """The daemon knows that the caller is gone."""
        self.fails: Exception | None = None
        self.pin = None
        self._method = getattr(daemon.inventory, method)
        monkeypatch.setattr(daemon.inventory, method, self.held)
        bring = ToTheEnd.bring

        async def noticing(acts, act, name):
            try:
                return await bring(acts, act, name)
            except asyncio.CancelledError:
                self.left.set()
                raise

        monkeypatch.setattr(ToTheEnd, "bring", noticing)

    async def held(self, *args, **kwargs):
        self.pin = next((each for each in args if hasattr(each, "wipe")), None)
        self.begun.set()
        try:
            await self.go_on.wait()
            if self.fails is not None:
                raise self.fails
            return await self._method(*args, **kwargs)
        finally:
            self.ended.set()


async def leave(daemon, method, held) -> None:
    """An officer calls, and goes away when it has begun."""
    name, message, *_ = CALLS[method]
    call = getattr(daemon.admin(), name)(message)
    async with asyncio.timeout(60):
        await held.begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(60):
        await held.left.wait()


async def recorded(daemon, held) -> list[tuple[str, str, str]]:
    """What is in the log when the daemon has stopped, which waits for what is under way."""
    held.go_on.set()
    async with asyncio.timeout(60):
        await daemon.servers.stop(10)
        await daemon.acts.drained()
    return [(leaf.what, leaf.who, leaf.subject) for leaf in daemon.acts._recorder.leaves]


def test_every_method_that_changes_something_for_everybody_is_an_act():
    names = {method: method.rsplit("/", 1)[1] for method in ROLES if not method.startswith("/grpc.")}
    changing = {
        method
        for method, name in names.items()
        if not name.startswith(READING) and name not in FOR_ONE_CALLER
    }
    assert changing == ACTS


@pytest.mark.parametrize("method", CALLS)
async def test_the_end_is_recorded_under_their_name(daemon, monkeypatch, method):
    held = Held(daemon, method, monkeypatch)
    await daemon.start()
    await leave(daemon, method, held)
    leaves = await recorded(daemon, held)
    _, _, done, _ = CALLS[method]
    if done is None:  # it is recorded by the inventory, together with the act
        assert len(daemon.inventory.decided) == 1
    else:
        assert leaves[-1] == (done, "siti", PAYROLL)


@pytest.mark.parametrize("method", CALLS)
async def test_so_is_a_failure(daemon, monkeypatch, method):
    held = Held(daemon, method, monkeypatch)
    held.fails = Fault(Reason.PIN_INCORRECT, "The token says no.")
    await daemon.start()
    await leave(daemon, method, held)
    assert (await recorded(daemon, held))[-1] == (CALLS[method][3], "siti", PAYROLL)


async def test_the_pin_is_there_as_long_as_it_is_used_and_no_longer(daemon, monkeypatch):
    held = Held(daemon, "activate", monkeypatch)
    await daemon.start()
    await leave(daemon, "activate", held)
    await recorded(daemon, held)
    assert daemon.inventory.pins == [b"pin-canary"]
    assert len(held.pin) == 0


async def test_an_end_of_the_daemon_waits_for_it(daemon, monkeypatch):
    held = Held(daemon, "deactivate", monkeypatch)
    await daemon.start()
    await leave(daemon, "deactivate", held)
    stopping = asyncio.ensure_future(daemon.servers.stop(30))
    await asyncio.sleep(0)
    assert not daemon.servers._officers.gate.drained.is_set()
    assert not stopping.done()
    held.go_on.set()
    await stopping
    assert held.ended.is_set()


async def test_but_not_for_ever(daemon, monkeypatch, events):
    held = Held(daemon, "activate", monkeypatch)
    await daemon.start()
    await leave(daemon, "activate", held)
    await daemon.servers.stop(0.01)
    assert held.ended.is_set()
    assert len(held.pin) == 0
    assert daemon.servers._officers.gate.drained.is_set()
    assert [each["act"] for each in events if each["event"] == "an act was given up"] == [
        "/segel.v1.TokenAdmin/ActivateToken"
    ]


async def test_it_counts_as_a_call_until_it_has_ended(daemon, monkeypatch, refusal):
    daemon.limit(max_calls_per_caller=1)
    held = Held(daemon, "activate", monkeypatch)
    await daemon.start()
    await leave(daemon, "activate", held)
    refused = await refusal(daemon.tokens().ListTokens(tokens_pb2.ListTokensRequest()))
    assert refused.reason == "CALLER_QUOTA"
    await recorded(daemon, held)


async def test_what_fails_in_an_odd_way_then_is_in_the_daemons_log(daemon, monkeypatch, events):
    held = Held(daemon, "deactivate", monkeypatch)
    held.fails = RuntimeError("odd")
    await daemon.start()
    await leave(daemon, "deactivate", held)
    await recorded(daemon, held)
    (event,) = [each for each in events if each["event"] == "an act that nobody waits for failed"]
    assert event["act"] == "/segel.v1.TokenAdmin/DeactivateToken"
    assert event["exc_info"] is held.fails


async def test_whoever_reads_is_not_waited_for(daemon, monkeypatch):
    held = Held(daemon, "survey", monkeypatch)
    await daemon.start()
    call = daemon.tokens().ListSlots(tokens_pb2.ListSlotsRequest())
    async with asyncio.timeout(60):
        await held.begun.wait()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
        await call
    async with asyncio.timeout(60):
        await held.ended.wait()
