"""What an activation must not undo: an officer's quarantine that began meanwhile, the limits of a token that signs. And when
it may say that it is done: the token has taken this very PIN, and the keeper has it.
"""

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

    def __init__(self, *, is_open: bool = False) -> None:
        self.asked, self.gate, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.holds = False
        if is_open:
            self.gate.set()

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


async def limited(
    tmp_path, *stages: Stage, keeper: FakeKeeper | None = None
) -> tuple[TokenSupervisor, OfThisRun]:
    """Active with five signatures left; the keeper has gone, and its PIN with it. `keeper` is the new one."""
    notes = OfThisRun()
    token = supervised(tmp_path, keeper or FakeKeeper(is_open=True), notes)
    await notes.limit(NAME, "ayu", Limits(signatures=5))
    token.begins_anew(Limits(signatures=5))
    await token.began(Limits(signatures=5), "ayu")
    for slot, stage in zip(token._slots, stages, strict=True):
        slot.status = WorkerStatus(stage)
    token._pin.state = PinState.HELD
    token.update()
    assert token.is_active()
    return token, notes


class Proof:
    """The login that shows whether the PIN is the token's: made when it is asked for, and ended by the test."""

    def __init__(self, token: TokenSupervisor) -> None:
        self.asked, self.over = asyncio.Event(), asyncio.Event()
        self.times = 0
        self.refused: Fault | None = None
        self._pin = token._pin
        token.clerk.prove_pin = self.make

    async def make(self) -> None:
        self.times += 1
        given = self._pin.given
        self.asked.set()
        await self.over.wait()
        if self.refused is not None:
            self._pin.refused(self.refused)
            raise self.refused
        self._pin.took(given, "4711")

    def end(self, refused: Fault | None = None) -> None:
        self.refused = refused
        self.over.set()


async def test_an_activation_of_a_token_that_signs_only_tightens_its_limits(tmp_path) -> None:
    token, notes = await limited(tmp_path, Stage.READY, Stage.READY)
    Proof(token).end()
    await token.activate(Pin(b"any"), who="budi")
    assert (token.record().signatures_left, notes.limited_by(NAME)) == (5, "ayu")


async def test_a_token_that_signs_without_its_pin_is_activated_when_a_login_has_shown_it(tmp_path) -> None:
    token, _ = await limited(tmp_path, Stage.READY, Stage.READY)
    proof = Proof(token)
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"right"), who="budi"))
        await proof.asked.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not activating.done(), "it was not tried yet"
        proof.end()
        await activating
        await token.activate(Pin(b"any"), who="budi")  # it is active, and its PIN known to be right
    assert (token._pin.is_proved(), token.record().state_reason, proof.times) == (True, "", 1)


async def test_a_wrong_pin_for_a_token_that_signs_without_its_own_is_told_and_not_kept(tmp_path) -> None:
    keeper = FakeKeeper(is_open=True)
    token, _ = await limited(tmp_path, Stage.READY, Stage.READY, keeper=keeper)
    proof = Proof(token)
    proof.end(Fault(Reason.PIN_INCORRECT, "refused"))
    with pytest.raises(Fault, match="refused"):
        await token.activate(Pin(b"wrong"), who="budi")
    assert (token.state, token._pin.is_held(), proof.times) == (TokenState.ACTIVE, False, 1)
    assert "Its PIN is gone" in token.record().state_reason


@pytest.mark.parametrize("before", [True, False])
async def test_an_activation_whose_keeper_is_lost_is_not_done(tmp_path, before) -> None:
    """Before the login that shows the PIN, or right after it."""
    keeper = FakeKeeper(is_open=True)
    token, _ = await limited(tmp_path, Stage.READY, Stage.READY, keeper=keeper)
    proof = Proof(token)
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"right"), who="budi"))
        await (keeper.asked if before else proof.asked).wait()
        keeper.ended.set()
        proof.end()
        with pytest.raises(Fault, match="The keeper process ended") as lost:
            await activating
    assert lost.value.reason is Reason.TOKEN_RECOVERING
    assert "Its PIN is gone" in token.record().state_reason


async def test_a_login_with_an_earlier_pin_shows_nothing_of_the_one_that_was_typed(tmp_path) -> None:
    """The configured one is on trial at the start when an officer types another."""
    token = supervised(tmp_path, FakeKeeper(is_open=True), OfThisRun())
    proof = Proof(token)
    async with asyncio.timeout(TIMEOUT):
        earlier = token._pin.given
        activating = asyncio.create_task(token.activate(Pin(b"another"), who="budi"))
        await token.news.until(token._pin.is_held)
        token._pin.took(earlier, "4711")
        token._slots[0].status = WorkerStatus(Stage.READY)
        token.update()
        await proof.asked.wait()
        assert not token._pin.is_proved()
        proof.end(Fault(Reason.PIN_INCORRECT, "refused"))
        with pytest.raises(Fault, match="refused"):
            await activating
    assert (token.state, token._pin.is_held()) == (TokenState.ACTIVE, False)


async def test_what_is_held_since_an_activation_failed_is_not_dropped_with_it(tmp_path) -> None:
    """Its keeper was lost, and the configured PIN is read again by itself."""
    keeper = FakeKeeper(is_open=True)
    token = supervised(tmp_path, keeper, OfThisRun())
    given = await token._pin.hold(Pin(b"typed"))
    await token._pin.hold(Pin(b"another"))
    await token._pin.drop(given)
    assert (token._pin.is_held(), keeper.holds) == (True, True)
    await token._pin.drop(token._pin.given)
    assert (token._pin.is_held(), keeper.holds) == (False, False)


async def test_an_activation_that_fails_leaves_the_limits_of_a_token_that_signs(tmp_path) -> None:
    token, notes = await limited(tmp_path, Stage.READY, Stage.WAITING)
    proof = Proof(token)
    async with asyncio.timeout(TIMEOUT):
        activating = asyncio.create_task(token.activate(Pin(b"any"), who="budi"))
        await token.news.until(token._pin.is_held)
        proof.end(Fault(Reason.PIN_INCORRECT, "refused"))
        with pytest.raises(Fault, match="refused"):
            await activating
    assert token.is_active()
    assert (token.reserve(100).count, notes.limited_by(NAME)) == (5, "ayu")
