"""What an activation must not undo: an officer's quarantine that began meanwhile, the limits of a token that signs."""

import asyncio
from pathlib import Path

import pytest
from acts_fake import acts

from segeld.config.schema import Module, PinPrompt, Token
from segeld.model.activation import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage, TokenState, WorkerStatus
from segeld.supervisor.guard import Guard
from segeld.supervisor.token import TokenSupervisor
from segeld.supervisor.token_notes import OfThisRun

NAME = TokenName("seal")
TIMEOUT = 10


class FakeKeeper:
    """Takes a PIN when `gate` is open."""

    def __init__(self) -> None:
        self.asked, self.gate, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.holds = False

    async def hold(self, *_) -> None:
        self.asked.set()
        await self.gate.wait()
        self.holds = True

    async def forget(self, *_) -> None:
        self.holds = False


class NothingBarred:
    def is_barred(self, *_) -> bool:
        return False

    def is_halted(self) -> bool:
        return False


async def _serve(*_) -> None:
    raise AssertionError("no worker is started")


def supervised(tmp_path, keeper: FakeKeeper, notes: OfThisRun) -> TokenSupervisor:
    """Two workers, which the test sets up."""

    async def running() -> FakeKeeper:
        return keeper

    return TokenSupervisor(
        NAME,
        Token(module="m", label="seal", pin=PinPrompt(), workers=2),
        Module(path=Path("/nonexistent")),
        running,
        _serve,
        lambda: None,
        Guard(tmp_path / "pin-guard"),
        acts(),
        NothingBarred(),
        notes,
    )


async def test_an_activation_that_waits_while_the_token_is_put_in_quarantine_does_not_end_it(
    tmp_path,
) -> None:
    keeper, notes = FakeKeeper(), OfThisRun()
    token = supervised(tmp_path, keeper, notes)
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"123456"), who="ayu"))
        await keeper.asked.wait()
        await token.quarantine("the reader was found open", "budi")
        keeper.gate.set()
        with pytest.raises(Fault) as refused:
            await activating
    assert refused.value.reason is Reason.TOKEN_STATE
    assert "budi put it in quarantine" in refused.value.text
    assert (token.state, token.is_barred(), keeper.holds) == (TokenState.QUARANTINED, True, False)
    assert notes.quarantine(NAME).by == "budi"


async def test_an_activation_that_waits_for_its_workers_ends_at_once_when_the_token_is_put_in_quarantine(
    tmp_path,
) -> None:
    keeper = FakeKeeper()
    keeper.gate.set()
    token = supervised(tmp_path, keeper, OfThisRun())
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"123456"), who="ayu"))
        await token.news.until(lambda: token._pin.is_held() and token._isolation.is_suspended)
        await token.quarantine("the reader was found open", "budi")
        with pytest.raises(Fault) as refused:
            await activating
    assert refused.value.reason is Reason.TOKEN_STATE
    assert "budi put it in quarantine" in refused.value.text
    assert (token.state, keeper.holds) == (TokenState.QUARANTINED, False)


async def limited(tmp_path, *stages: Stage) -> tuple[TokenSupervisor, OfThisRun]:
    """Active with five signatures left; the keeper has gone, and its PIN with it."""
    keeper, notes = FakeKeeper(), OfThisRun()
    keeper.gate.set()
    token = supervised(tmp_path, keeper, notes)
    await notes.limit(NAME, "ayu", Limits(signatures=5))
    token.begins_anew(Limits(signatures=5))
    await token.began(Limits(signatures=5), "ayu")
    for slot, stage in zip(token._slots, stages, strict=True):
        slot.status = WorkerStatus(stage)
    token._pin.state = PinState.HELD
    token.update()
    assert token.is_active()
    return token, notes


async def test_a_pin_that_nothing_has_proved_lifts_no_limits(tmp_path) -> None:
    token, notes = await limited(tmp_path, Stage.READY, Stage.READY)
    await token.activate(Pin(b"any"), who="budi")
    assert (token.record().signatures_left, notes.limited_by(NAME)) == (5, "ayu")


async def test_an_activation_that_fails_leaves_the_limits_of_a_token_that_signs(tmp_path) -> None:
    token, notes = await limited(tmp_path, Stage.READY, Stage.WAITING)
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"any"), who="budi"))
        await token.news.until(token._pin.is_held)
        token._pin._refused(Fault(Reason.PIN_INCORRECT, "refused"))
        with pytest.raises(Fault, match="refused"):
            await activating
    assert token.is_active()
    assert (token.reserve(100), notes.limited_by(NAME)) == (5, "ayu")
