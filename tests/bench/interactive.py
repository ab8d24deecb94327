"""How long somebody who waits for one signature waits while a large job runs, beside an idle daemon."""

import asyncio
from collections.abc import Sequence
from typing import Final

from load import Caller, channel, paced
from raw import raw_loops
from rows import Row, percentile
from setting import RSA, Bench, Key, digests

EVERY: Final = 0.030
"""Seconds between two calls."""


async def measure(bench: Bench) -> list[Row]:
    count = 100 if bench.quick else 300
    idle: list[list[float]] = []
    busy: list[list[float]] = []
    with bench.daemon() as daemon, raw_loops(bench.program, bench.testbed, RSA, verify=True) as loops:
        device = await asyncio.to_thread(loops.single, 100)
        a_second = await asyncio.to_thread(loops.rate, bench.seconds)
        size = round(a_second * (count * EVERY * 2 + 2))
        async with (
            channel(daemon.target, daemon.tls("registry")) as opened,
            daemon.async_client() as client,
        ):
            caller = Caller(opened, RSA)
            await paced(caller.one, EVERY, lambda number: number == 20)
            for _ in range(bench.rounds):
                idle.append(await paced(caller.one, EVERY, lambda number: number == count))
                job = await client.jobs.create(RSA.name, digests(size))
                await asyncio.sleep(0.3)
                busy.append(await paced(caller.one, EVERY, lambda number: number == count))
                if (await job.refresh()).state.is_final:
                    raise RuntimeError("the job ended before the measurement did")
                await job.cancel()
                await job.wait()
    return [row(RSA, idle, busy, device)]


def row(key: Key, idle: Sequence[Sequence[float]], busy: Sequence[Sequence[float]], device: float) -> Row:
    """Each round's p99, the ratio of all together: of a few hundred calls the p99 is a matter of three of them."""
    before = percentile([one for round_ in idle for one in round_], 0.99)
    during = percentile([one for round_ in busy for one in round_], 0.99)
    allowed = 2 * before + device
    return Row(
        f"interactive p99 while a big job runs, {key.title}",
        "ms",
        [percentile(round_, 0.99) * 1000 for round_ in busy],
        [(2 * percentile(round_, 0.99) + device) * 1000 for round_ in idle],
        "Single Sign calls of another caller, one begun every 30 ms whether or not the last has ended, while a job "
        "keeps every worker busy. Reference: twice the p99 of the same calls on the idle daemon, plus one C_Sign with "
        "verification. The ratio is that of the p99 over the calls of all rounds.",
        goal=1.0,
        at_most=True,
        ratio_of=during / allowed,
        facts={
            "idle_p99_ms": round(before * 1000, 3),
            "busy_p99_ms": round(during * 1000, 3),
            "busy_p50_ms": round(percentile([one for round_ in busy for one in round_], 0.5) * 1000, 3),
            "device_ms": round(device * 1000, 3),
            "calls": sum(map(len, busy)),
        },
    )
