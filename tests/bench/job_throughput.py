"""A whole job, from its sealing to its last durable result, beside loops that sign and verify."""

import asyncio
from typing import Final

from raw import raw_loops
from rows import Row
from setting import P256, RSA, Bench, Key, digests

import segel

GOALS: Final = ((RSA, 0.95), (P256, 0.80))
HOW: Final = (
    "A job as large as the loops sign in one measurement: items over Job.end_time - Job.seal_time, so durable, audited "
    "and verified, two workers at nice +10. Reference: two processes at normal priority, one session each, "
    "C_SignInit, C_Sign and EVP_PKEY_verify for every signature, while the daemon is idle."
)


async def measure(bench: Bench) -> list[Row]:
    with bench.daemon() as daemon:
        async with daemon.async_client() as client:
            return [await _one(bench, client, key, goal) for key, goal in GOALS]


async def _one(bench: Bench, client: segel.Client, key: Key, goal: float) -> Row:
    rates, references = [], []
    with raw_loops(bench.program, bench.testbed, key, verify=True) as loops:
        count = round(await asyncio.to_thread(loops.rate, bench.seconds) * bench.seconds)
        for number in range(bench.rounds + 1):
            reference = await asyncio.to_thread(loops.rate, bench.seconds)
            job = await client.jobs.create(key.name, digests(count))
            made = await rate_of(job)
            if number:  # the first round warms up
                rates.append(made)
                references.append(reference)
    return Row(
        f"job throughput {key.title}",
        "signatures/s",
        rates,
        references,
        HOW,
        goal=goal,
        facts={"items": count},
    )


async def rate_of(job: segel.JobHandle) -> float:
    """Signatures a second, when it has ended."""
    info = await job.wait()
    if info.signed_count != info.item_count or info.end_time is None or info.seal_time is None:
        raise RuntimeError(f"not all signed: {info}")
    return info.item_count / (info.end_time - info.seal_time).total_seconds()
