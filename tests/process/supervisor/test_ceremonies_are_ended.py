"""Ceremonies that are under way when a quarantine begins, or the daemon stops."""

import asyncio

import pytest
from ceremony_desk import SEAL, TIMEOUT
from ceremony_faults import (
    active,
    called,
    generate,
    half,
)

from segeld.model.faults import Fault
from segeld.supervisor.half import Half, Known


async def test_a_quarantine_ends_a_ceremony_that_is_under_way(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        faulty.module.fail("C_GenerateKeyPair", "hangs")
        generating = asyncio.create_task(generate(supervisor))
        await called(faulty, "C_GenerateKeyPair")
        await supervisor.quarantine(SEAL, "a strange noise")
        failed = await asyncio.wait_for(half(generating), TIMEOUT)
        assert failed.known is Known.UNKNOWN
        assert "its token is in quarantine" in failed.fault.text
        assert "Whether it is there is not known" in failed.fault.text


async def test_a_ceremony_that_is_under_way_when_the_daemon_stops_leaves_no_process(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        faulty.module.fail("C_GenerateKeyPair", "hangs")
        generating = asyncio.create_task(generate(supervisor))
        await called(faulty, "C_GenerateKeyPair")
        clerk = supervisor._tokens[SEAL].clerk
        clerk._while = 0.1
        worker = clerk._keys._desk._worker
    assert worker.ended.is_set()
    assert not clerk._working
    with pytest.raises((Half, Fault, asyncio.CancelledError)):
        await asyncio.wait_for(generating, TIMEOUT)
