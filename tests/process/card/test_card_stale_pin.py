"""A PIN that was changed elsewhere, many workers, many restarts: the card loses one try."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from token_daemon import CARD, PATIENT, daemon, settings, until

from segel_cards import Card
from segeld.config.schema import Config, PinFile, Token
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState

RESTARTS = int(os.environ.get("SEGEL_PIN_RESTARTS", "3"))
"""`make soak` has 20."""
WORKERS = 8


@pytest.fixture
def pin_file(tmp_path) -> Path:
    path = tmp_path / "pin"
    path.write_text("999999")
    path.chmod(0o600)
    return path


def config(card: Card, state: Path, pin_file: Path) -> Config:
    token = Token("card", serial=card.serial, workers=WORKERS, pin=PinFile(pin_file), timeouts=PATIENT)
    return settings(card.module, card.environment, state, {"card": token})


async def test_one_try_over_all_workers_and_restarts(card, tmp_path, pin_file) -> None:
    there = config(card, tmp_path / "state", pin_file)
    for _ in range(RESTARTS):
        async with daemon(there) as supervisor:
            await until(supervisor, TokenState.LOCKED)
    status = await asyncio.to_thread(card.control.status)
    print(
        f"\n{WORKERS} workers, {RESTARTS} restarts: {status.counters.verifies} try, {status.pin_tries} left"
    )
    assert (status.counters.verifies, status.counters.wrong_pins, status.pin_tries) == (1, 1, 2)
    pin_file.write_text(card.pin)  # the officer mends the file
    async with daemon(there) as supervisor:
        await until(supervisor, TokenState.ACTIVE)
    status = await asyncio.to_thread(card.control.status)
    assert status.pin_tries == 3


async def test_a_keeper_killed_in_the_middle_of_a_login_spends_no_second_try_by_itself(
    card, tmp_path, pin_file
) -> None:
    """OpenSC's flags can be stale, so its tokens are not trusted: after an open attempt an officer is needed."""
    there = config(card, tmp_path / "state", pin_file)
    await asyncio.to_thread(card.control.mute, "verify")
    async with daemon(there) as supervisor:
        await asyncio.to_thread(card.control.wait_held)
        os.kill((await supervisor.keeper()).pid, signal.SIGKILL)
        await asyncio.to_thread(card.control.unmute)
        await until(supervisor, TokenState.LOCKED)
        assert "ended without an answer" in supervisor.token(CARD).state_reason
    async with daemon(there) as supervisor:
        await until(supervisor, TokenState.LOCKED)
    assert (await asyncio.to_thread(card.control.status)).counters.verifies == 1
    async with daemon(there) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        await supervisor.activate(CARD, Pin(card.pin.encode()))
        assert supervisor.token(CARD).state is TokenState.ACTIVE
    status = await asyncio.to_thread(card.control.status)
    assert (status.counters.wrong_pins, status.pin_tries) == (1, 3)
