"""A real keeper process: what others see of it, and what becomes of those who wait when it hangs or ends."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from keeper_rig import SERIAL, TIMEOUT, TOKEN

from segeld.model.faults import Fault
from segeld.model.secret import Pin
from segeld.supervisor import keeper_handle


async def test_it_shows_its_name_and_leaves_no_core(keeper) -> None:
    await keeper.forget(TOKEN)  # it has started when it answers
    process = Path("/proc") / str(keeper.pid)
    assert process.joinpath("cmdline").read_bytes().startswith(b"segeld: keeper")
    limits = process.joinpath("limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    assert "NoNewPrivs:\t1" in process.joinpath("status").read_text()


async def test_when_it_is_killed_everybody_who_waits_is_told(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    os.kill(keeper.pid, signal.SIGKILL)
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await worker.lent()
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def test_its_memory_is_not_readable_by_others_of_the_same_user(keeper) -> None:
    await keeper.forget(TOKEN)
    memory = os.stat(f"/proc/{keeper.pid}/mem")  # noqa: PTH116  # quick, and no file of a disk
    assert memory.st_uid == 0  # by PR_SET_DUMPABLE, whoever runs it


async def test_a_keeper_that_hangs_is_ended_with_the_login_that_waits_for_it(
    keeper, borrow, monkeypatch
) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    monkeypatch.setattr(keeper_handle, "_PATIENCE", 0.1)
    os.kill(keeper.pid, signal.SIGSTOP)
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await asyncio.wait_for(keeper.severed(TOKEN, worker.number, worker.lending), TIMEOUT)


async def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_ones(
    keeper, missing
) -> None:
    os.kill(keeper.pid, signal.SIGSTOP)
    impatient = asyncio.create_task(keeper.forget(TOKEN))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    impatient.cancel()
    holding = asyncio.create_task(keeper.hold_file(TOKEN, str(missing), SERIAL, by_officer=True))
    await asyncio.wait({impatient})
    os.kill(keeper.pid, signal.SIGCONT)
    with pytest.raises(Fault, match="No such file"):
        await holding


async def test_an_officer_who_does_not_wait_leaves_a_pin_that_is_held_or_is_not(keeper, borrow) -> None:
    """What was typed is wiped here only when it is on its way."""
    os.kill(keeper.pid, signal.SIGSTOP)
    first = asyncio.create_task(keeper.forget(TOKEN))
    impatient = asyncio.create_task(keeper.hold(TOKEN, Pin(b"123456"), SERIAL))
    await asyncio.sleep(0)
    impatient.cancel()
    os.kill(keeper.pid, signal.SIGCONT)
    await asyncio.wait({first, impatient})
    await keeper.hold_pad(TOKEN)  # it still listens
