"""A job of a million digests: what memory it takes, and how long others wait meanwhile."""

import asyncio
from typing import Final

import interactive
from load import Caller, channel, paced
from memory import sampling
from raw import raw_loops
from rows import Row
from setting import P256, Bench, digests

import segel

MOST: Final = 250.0
"""MB of any process."""
GROWTH: Final = 1.2
"""Of the peak, from a job to one ten (quick: five) times as large."""


async def measure(bench: Bench) -> list[Row]:
    small, large = (20_000, 100_000) if bench.quick else (100_000, 1_000_000)
    before, _ = await _run(bench, small, asks=False)
    peaks, waits = await _run(bench, large, asks=True)
    how = (
        f"Highest PSS, read every 0.5 s while a P-256 job of {large:,} digests is uploaded from a generator, signed, and "
        "all its results are read, and another caller has one digest signed every 30 ms. Of several workers the "
        "largest. Reference: the limit."
    )
    rows = [
        Row(f"memory of a {title}, job of {large:,}", "MB", [peak], [MOST], how, goal=1.0, at_most=True)
        for title, peak in sorted(peaks.items())
    ]
    worst = max(peaks, key=lambda title: peaks[title] / before[title])
    how = (
        f"The same peak beside that of a job of {small:,} in a fresh daemon; of all processes the one that grew most: "
        f"the {worst}."
    )
    name = f"memory with {large:,} digests, not {small:,}"
    rows.append(Row(name, "MB", [peaks[worst]], [before[worst]], how, goal=GROWTH, at_most=True))
    assert waits is not None
    return [waits, *rows]


async def _run(bench: Bench, count: int, *, asks: bool) -> tuple[dict[str, float], Row | None]:
    with bench.daemon() as daemon:
        device = await _device(bench) if asks else 0.0
        async with (
            channel(daemon.target, daemon.tls("registry")) as opened,
            daemon.async_client() as client,
        ):
            caller = Caller(opened, P256)
            idle = []
            if asks:
                await paced(caller.one, interactive.EVERY, lambda number: number == 20)
                idle.append(await _idle(bench, caller))
            with sampling(daemon.pid) as peaks:
                job = await client.jobs.create(P256.name, digests(count))
                async with asyncio.TaskGroup() as group:
                    ended = group.create_task(job.wait())
                    if asks:
                        calling = group.create_task(
                            paced(caller.one, interactive.EVERY, lambda _: ended.done())
                        )
                read = 0
                async for result in job.results():
                    read += isinstance(result, segel.Signature)
                if read != count or ended.result().signed_count != count:
                    raise RuntimeError(f"{read} signatures of {count}")
            if not asks:
                return dict(peaks), None
            idle.append(await _idle(bench, caller))
            return dict(peaks), interactive.row(P256, idle, [calling.result()], device)


async def _device(bench: Bench) -> float:
    with raw_loops(bench.program, bench.testbed, P256, verify=True, count=1) as loops:
        return await asyncio.to_thread(loops.single, 200)


async def _idle(bench: Bench, caller: Caller) -> list[float]:
    count = 100 if bench.quick else 500
    return await paced(caller.one, interactive.EVERY, lambda number: number == count)
