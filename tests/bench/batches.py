"""`Sign` with batches, beside loops that only sign and loops that also verify. For information."""

import asyncio
from typing import Final

from load import Caller, channel, rate
from raw import raw_loops
from rows import Row
from setting import P256, RSA, Bench, Key

from segel.testing import DevDaemon

BATCHES: Final = ((1, 16), (100, 8), (1000, 4))
"""Digests in one call, and callers at once."""


async def measure(bench: Bench) -> list[Row]:
    with bench.daemon() as daemon:
        return [row for key in (RSA, P256) for row in await _of_key(bench, daemon, key)]


async def _of_key(bench: Bench, daemon: DevDaemon, key: Key) -> list[Row]:
    """The loops and each batch size in turn, so that a busy machine disturbs all of them alike."""
    plain: list[float] = []
    verifying: list[float] = []
    made: dict[int, list[float]] = {batch: [] for batch, _ in BATCHES}
    testbed = bench.testbed
    with (
        raw_loops(bench.program, testbed, key, verify=False) as signing,
        raw_loops(bench.program, testbed, key, verify=True) as checking,
    ):
        async with channel(daemon.target, daemon.tls()) as opened:
            caller = Caller(opened, key)
            for number in range(bench.rounds + 1):
                rates = [await asyncio.to_thread(loops.rate, bench.seconds) for loops in (signing, checking)]
                found = {
                    batch: await rate(_call(caller, batch), callers, bench.seconds)
                    for batch, callers in BATCHES
                }
                if number:
                    plain.append(rates[0])
                    verifying.append(rates[1])
                    for batch, figure in found.items():
                        made[batch].append(figure)
    how = (
        "Unary Sign calls without a request_id. Reference: two processes, one session each, that sign and verify "
        "every signature."
    )
    unit = "signatures/s"
    loops_how = "Two processes that only sign. Reference: the same that also verify every signature."
    rows = [Row(f"plain loops {key.title}", unit, plain, verifying, loops_how)]
    for batch, callers in BATCHES:
        name = f"Sign {key.title}, {callers} callers, {batch} a call"
        rows.append(Row(name, unit, made[batch], verifying, how))
    return rows


def _call(caller: Caller, batch: int):
    wanted = caller.request(batch)

    async def call() -> int:
        await caller.send(wanted)
        return batch

    return call
