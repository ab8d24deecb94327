"""How fast digests are taken into a job, until it is sealed."""

import time
from typing import Final

from rows import Row
from setting import P256, Bench, digests

WANTED: Final = 300_000.0
"""Digests a second."""


async def measure(bench: Bench) -> list[Row]:
    count = 200_000 if bench.quick else 1_000_000
    ready = list(digests(count))
    rates = []
    with bench.daemon() as daemon:
        async with daemon.async_client() as client:
            for number in range(min(bench.rounds, 3) + 1):
                began = time.perf_counter()
                job = await client.jobs.create(P256.name, ready)
                passed = time.perf_counter() - began
                if number:
                    rates.append(count / passed)
                await job.cancel()
                await job.wait()
    how = (
        f"client.jobs.create with a list of {count:,} ready digests of 32 octets, until the job is sealed, so durable: "
        "the client's own work, mTLS and the database together. Reference: the goal."
    )
    return [Row("acceptance of digests into a job", "digests/s", rates, [WANTED], how, goal=1.0)]
