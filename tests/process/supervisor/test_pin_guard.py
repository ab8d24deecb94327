"""A stale PIN, a module that counts logins and locks, and whatever is killed in between: tries are not wasted."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pin_rig import Rig, all_ready, hanging
from token_daemon import CARD, TIMEOUT, until

from segel_softhsm import Testbed
from segeld.config.schema import PinDescriptor
from segeld.model.activation import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState

RESTARTS = 3
OTHER = TokenName("other")


@pytest.fixture
def rig(tmp_path: Path, testbed: Testbed) -> Rig:
    return Rig(tmp_path, testbed)


async def test_a_stale_pin_costs_one_try_over_workers_and_restarts(rig: Rig) -> None:
    for _ in range(RESTARTS):
        async with rig.daemon() as supervisor:
            said = await until(supervisor, TokenState.LOCKED)
            assert "segelctl token activate card" in said
    assert rig.module.logins == ["user"]
    assert rig.module.wrong_pins == 1


async def test_when_keepers_are_killed_again_and_again_a_stale_pin_still_costs_one_try(rig: Rig) -> None:
    async with rig.daemon(unattended=True) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        for _ in range(2):
            keeper = await supervisor.keeper()
            os.kill(keeper.pid, signal.SIGKILL)
            await asyncio.wait_for(keeper.ended.wait(), TIMEOUT)
            with pytest.raises(Fault, match=r"refused this PIN before"):
                await supervisor.activate(CARD, None)
    assert rig.module.logins == ["user"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_logins_that_never_end_are_repeated_once_or_not_at_all(rig: Rig, trusted) -> None:
    """The worker hangs in C_Login, and each time the daemon ends with it."""
    async with hanging(rig):
        for _ in range(RESTARTS):
            async with rig.daemon(workers=1, flags_trusted=trusted) as supervisor:
                token = supervisor._tokens[CARD]
                before = len(rig.module.logins)
                await asyncio.wait_for(in_login_or_locked(rig, token, before), TIMEOUT)
                if token.state is TokenState.LOCKED:
                    assert "Look at the device" in token.record().state_reason
                # The daemon goes away in the middle of the login, and with it keeper and worker.
    assert rig.module.logins == ["user"] * (2 if trusted else 1)


async def test_a_worker_killed_in_its_login_is_replaced_once(rig: Rig) -> None:
    async with hanging(rig), rig.daemon(workers=1, flags_trusted=True) as supervisor:
        token = supervisor._tokens[CARD]
        for done in range(2):
            await asyncio.wait_for(in_login_or_locked(rig, token, done), TIMEOUT)
            assert len(rig.module.logins) == done + 1
            token._slots[0].worker.kill("killed by the test")
        await until(supervisor, TokenState.LOCKED)
    assert rig.module.logins == ["user"] * 2


async def test_an_officer_puts_the_right_pin_where_it_is_read_from(rig: Rig) -> None:
    async with rig.daemon() as supervisor:
        await until(supervisor, TokenState.LOCKED)
        rig.put(rig.pin)
        await supervisor.activate(CARD, None)
        assert supervisor.token(CARD).state is TokenState.ACTIVE
        assert "does not say that few PIN tries" in supervisor.token(CARD).pin_tries
        await all_ready(supervisor)
    async with rig.daemon() as supervisor:
        await until(supervisor, TokenState.ACTIVE)
    assert rig.module.wrong_pins == 0


async def test_what_is_left_of_the_tries_is_said(rig: Rig) -> None:
    async with rig.daemon(flags_trusted=False) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        said = supervisor.token(CARD).pin_tries
        assert (
            said == "The token says that few PIN tries are left. Its flags are not known to tell the truth."
        )


async def test_attended_tokens_wait_at_the_start_and_need_no_typed_pin(rig: Rig) -> None:
    rig.put(rig.pin)
    async with rig.daemon(unattended=False) as supervisor:
        assert "segelctl token activate card" in await until(supervisor, TokenState.INACTIVE)
        assert rig.module.logins == []
        await supervisor.activate(CARD, None)
        assert supervisor.token(CARD).state is TokenState.ACTIVE


async def test_an_officers_pin_gets_its_own_attempt_while_the_configured_one_is_refused(rig: Rig) -> None:
    async with hanging(rig), rig.daemon(workers=1) as supervisor:
        token = supervisor._tokens[CARD]
        await asyncio.wait_for(in_login_or_locked(rig, token, 0), TIMEOUT)
        held = asyncio.create_task(token.news.next())
        activating = asyncio.create_task(supervisor.activate(CARD, Pin(rig.pin.encode())))
        await asyncio.wait_for(held, TIMEOUT)
        rig.module.go_on()
        assert (await asyncio.wait_for(activating, TIMEOUT)).state is TokenState.ACTIVE
    assert rig.module.logins == ["user"] * 2


async def test_the_end_of_an_activations_term_forgets_no_refusal(rig: Rig) -> None:
    """The PIN file is stale, and an officer typed the right one: for a while."""
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        await supervisor.activate(CARD, Pin(rig.pin.encode()), Limits(signatures=1))
        supervisor.give_back(CARD, supervisor.reserve(CARD, 1), made=1)
        await until(supervisor, TokenState.INACTIVE)
    logins = len(rig.module.logins)
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
    assert len(rig.module.logins) == logins


@pytest.fixture
async def refused(rig: Rig) -> str:
    """A daemon ran, `card` refused its PIN. Gives its serial number."""
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        return supervisor.token(CARD).serial


@pytest.mark.parametrize(("first", "last"), [(CARD, OTHER), (OTHER, CARD)])
async def test_two_names_of_one_device_do_not_spend_two_tries(rig: Rig, refused, first, last) -> None:
    """One by its label, the other by its serial number: the configuration alone does not show it."""
    names = {"card": rig.token(workers=1), "other": rig.token(workers=1, serial=refused)}
    async with rig.daemon(names=names, last=last) as supervisor:
        assert "refused this PIN before" in await until(supervisor, TokenState.LOCKED, name=first)
        said = await until(supervisor, TokenState.FAILED, name=last)
        assert f"same device as {first}" in said
        with pytest.raises(Fault, match="same device"):  # nor by what an officer does to the other name
            await supervisor.change_pin(last, Pin(b"111111"), Pin(b"222222"))
        with pytest.raises(Fault, match="same device"):
            await supervisor.unblock(last, Pin(b"11111111"), Pin(b"222222"))
    assert rig.module.logins == ["user"]


async def test_a_token_that_was_renamed_is_not_asked_again(rig: Rig, refused) -> None:
    names = {"other": rig.token(workers=1)}
    async with rig.daemon(names=names) as supervisor:
        assert "refused this PIN before" in await until(supervisor, TokenState.LOCKED, name=OTHER)
        with pytest.raises(Fault, match="refused this PIN before"):
            await supervisor.activate(OTHER, None)
        assert rig.module.logins == ["user"]
        await supervisor.deactivate(OTHER)  # forgets what its device refused under the other name too
        with pytest.raises(Fault, match="refused the PIN"):
            await supervisor.activate(OTHER, None)
    assert rig.module.logins == ["user"] * 2


@pytest.mark.parametrize("unattended", [True, False])
async def test_a_token_that_is_put_back_is_logged_in_only_if_that_is_wanted(rig, testbed, unattended) -> None:
    rig.put(rig.pin)
    tokens = next(path for path in testbed.directory.rglob("tokens") if path.is_dir())
    async with rig.daemon(workers=1, unattended=unattended) as supervisor:
        if not unattended:
            await until(supervisor, TokenState.INACTIVE)
            await supervisor.activate(CARD, None)
        await until(supervisor, TokenState.ACTIVE)
        away = tokens.rename(tokens.with_name("away"))
        tokens.mkdir()
        rig.serving.worker.kill("the token was pulled")
        await until(supervisor, TokenState.ABSENT)
        logins = len(rig.module.logins)
        tokens.rmdir()
        away.rename(tokens)
        if unattended:
            await until(supervisor, TokenState.ACTIVE)
        else:
            assert "segelctl token activate card" in await until(supervisor, TokenState.INACTIVE)
            assert len(rig.module.logins) == logins
            assert (await supervisor.activate(CARD, None)).state is TokenState.ACTIVE


async def in_login_or_locked(rig: Rig, token, before: int) -> None:
    while len(rig.module.logins) == before and token.state is not TokenState.LOCKED:  # noqa: ASYNC110  # another process's file
        await asyncio.sleep(0.01)


@asynccontextmanager
async def no_state(rig: Rig):
    """Nothing can be written down."""
    away = rig.state_dir.rename(rig.state_dir.with_name("away"))
    try:
        yield
    finally:
        away.rename(rig.state_dir)


async def test_an_activation_that_cannot_be_written_down_says_that_nothing_was_tried(rig: Rig) -> None:
    rig.put(rig.pin)
    async with rig.daemon(unattended=False, workers=2) as supervisor:
        await until(supervisor, TokenState.INACTIVE)
        async with no_state(rig):
            with pytest.raises(Fault, match=r"Nothing was tried: .*cannot be written.*Mend that") as told:
                await supervisor.activate(CARD, None)
        assert told.value.reason is Reason.STORAGE_UNAVAILABLE
        assert rig.module.logins == []
        assert (await supervisor.activate(CARD, None)).state is TokenState.ACTIVE


async def test_an_officer_is_told_that_what_was_refused_is_not_forgotten(rig: Rig) -> None:
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        await supervisor.activate(CARD, Pin(rig.pin.encode()))
        async with no_state(rig):
            with pytest.raises(Fault, match=r"not forgotten: .*once more: segelctl token deactivate") as told:
                await supervisor.deactivate(CARD)
        assert told.value.reason is Reason.STORAGE_UNAVAILABLE
        await until(supervisor, TokenState.INACTIVE)  # it does not sign any more all the same
        with pytest.raises(Fault, match="refused this PIN before"):
            await supervisor.activate(CARD, None)
        await supervisor.deactivate(CARD)
        with pytest.raises(Fault, match="refused the PIN"):
            await supervisor.activate(CARD, None)
    assert rig.module.logins == ["user"] * 3


@pytest.mark.parametrize(("unattended", "waiting"), [(True, TokenState.LOCKED), (False, TokenState.INACTIVE)])
async def test_a_damaged_guard_is_shown_until_the_token_was_activated_by_hand(
    rig: Rig, unattended, waiting
) -> None:
    rig.put(rig.pin)
    rig.state_dir.joinpath("pin-guard").write_bytes(b"nonsense")
    for _ in range(2):  # a restart changes nothing of it
        async with rig.daemon(unattended=unattended, workers=1) as supervisor:
            said = await until(supervisor, waiting)
            assert "damaged" in said
            assert "segelctl token activate card" in said
            ((subject, warning),) = supervisor.warnings()
            assert (subject, "segelctl token activate card" in warning) == ("tokens/card", True)
            assert rig.module.logins == []
    async with rig.daemon(unattended=unattended, workers=1) as supervisor:
        await until(supervisor, waiting)
        await supervisor.activate(CARD, None)
        assert supervisor.warnings() == ()
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.ACTIVE)
        assert supervisor.warnings() == ()


async def test_a_pin_that_came_on_a_descriptor_is_to_be_typed_when_its_keeper_is_lost(rig: Rig) -> None:
    rig.put(rig.pin)
    descriptor = os.open(rig.pin_file, os.O_RDONLY)  # the daemon's own from now on
    async with rig.daemon(workers=1, pin=PinDescriptor(descriptor)) as supervisor:
        await until(supervisor, TokenState.ACTIVE)
        os.kill((await supervisor.keeper()).pid, signal.SIGKILL)
        rig.serving.worker.kill("killed by the test")
        said = await until(supervisor, TokenState.INACTIVE, TokenState.LOCKED)
        assert supervisor.token(CARD).state is TokenState.INACTIVE
        assert "can be read only once: an officer must type it" in said
        assert said.endswith("Run: segelctl token activate card")
        with pytest.raises(Fault):
            await supervisor.activate(CARD, None)
        await supervisor.activate(CARD, Pin(rig.pin.encode()))
        assert supervisor.token(CARD).state is TokenState.ACTIVE
