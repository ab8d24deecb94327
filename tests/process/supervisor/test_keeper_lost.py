"""The keeper is killed while its tokens sign: nobody stops, and a PIN that is given then is tried before that is said."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from pin_rig import Rig, all_ready, hanging
from token_daemon import CARD, TIMEOUT

from segel_softhsm import Testbed
from segeld.config.schema import PinPrompt
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState

WORKERS = 2
WRONG = b"000000"


@pytest.fixture
def rig(tmp_path: Path, testbed: Testbed) -> Rig:
    return Rig(tmp_path, testbed)


async def kill_keeper(supervisor) -> None:
    """Returns when its end is known."""
    keeper = await supervisor.keeper()
    os.kill(keeper.pid, signal.SIGKILL)
    await asyncio.wait_for(keeper.ended.wait(), TIMEOUT)


async def until(supervisor, holds) -> None:
    token = supervisor._tokens[CARD]
    await asyncio.wait_for(token.news.until(lambda: holds(token)), TIMEOUT)


async def test_a_pin_for_a_token_that_signs_without_its_keeper_is_tried_once_before_it_is_said_to_be_good(
    rig: Rig,
) -> None:
    right = rig.pin.encode()
    async with rig.daemon(pin=PinPrompt(), workers=WORKERS) as supervisor:
        await supervisor.activate(CARD, Pin(right))
        await all_ready(supervisor, WORKERS)
        await kill_keeper(supervisor)
        await until(supervisor, lambda token: "Its PIN is gone" in token.record().state_reason)
        logins = len(rig.module.logins)

        with pytest.raises(Fault, match="refused the PIN") as wrong:
            await supervisor.activate(CARD, Pin(WRONG))
        assert wrong.value.reason is Reason.PIN_INCORRECT
        assert (len(rig.module.logins) - logins, rig.module.wrong_pins) == (1, 1)
        record = supervisor.token(CARD)
        assert (record.state, record.workers_ready) == (TokenState.ACTIVE, WORKERS), "whoever signs goes on"
        assert "segelctl token activate card" in record.state_reason
        with pytest.raises(Fault) as again:
            await supervisor.activate(CARD, Pin(WRONG))
        assert again.value.reason is Reason.PIN_REFUSED_BEFORE
        assert len(rig.module.logins) - logins == 1

        record = await supervisor.activate(CARD, Pin(right))
        assert (record.state, record.state_reason, record.workers_ready) == (TokenState.ACTIVE, "", WORKERS)
        assert len(rig.module.logins) - logins == 2
        rig.serving.worker.kill("killed by the test")  # and the keeper has it: whoever is lost comes back
        await until(supervisor, lambda token: token.record().workers_ready < WORKERS)
        await all_ready(supervisor, WORKERS)


async def test_a_keeper_that_is_lost_again_in_that_login_leaves_an_activation_that_failed(rig: Rig) -> None:
    right = rig.pin.encode()
    async with rig.daemon(pin=PinPrompt(), workers=WORKERS) as supervisor:
        await supervisor.activate(CARD, Pin(right))
        await all_ready(supervisor, WORKERS)
        await kill_keeper(supervisor)
        logins = len(rig.module.logins)
        async with hanging(rig):
            activating = asyncio.create_task(supervisor.activate(CARD, Pin(right)))
            async with asyncio.timeout(TIMEOUT):
                while len(rig.module.logins) == logins:  # noqa: ASYNC110  # another process's file
                    await asyncio.sleep(0.01)
            await kill_keeper(supervisor)
        with pytest.raises(Fault) as lost:
            await asyncio.wait_for(activating, TIMEOUT)
        assert lost.value.reason is Reason.TOKEN_RECOVERING
        record = supervisor.token(CARD)
        assert (record.state, record.workers_ready) == (TokenState.ACTIVE, WORKERS)
        assert "Its PIN is gone" in record.state_reason
        assert len(rig.module.logins) - logins == 1
        await supervisor.activate(CARD, Pin(right))
        assert supervisor.token(CARD).state_reason == ""


async def test_a_pin_file_is_read_again_as_soon_as_the_keeper_is_lost(rig: Rig) -> None:
    rig.put(rig.pin)
    async with rig.daemon(workers=WORKERS) as supervisor:
        await all_ready(supervisor, WORKERS)
        before = await supervisor.keeper()
        logins = len(rig.module.logins)
        await kill_keeper(supervisor)
        await until(
            supervisor, lambda token: token._pin.held_by not in (None, before) and token._pin.is_held()
        )
        assert (supervisor.token(CARD).state_reason, len(rig.module.logins)) == ("", logins)
        await supervisor.activate(CARD, None)  # it is tried before that is said
        assert len(rig.module.logins) == logins + 1
