"""One Sign of one digest with nothing else to do, beside the sum of what it cannot do without."""

import asyncio
import statistics
from typing import Final

from commit import Commits, commits
from load import Caller, channel, sequence
from raw import raw_loops
from rows import Row
from setting import P256, RSA, Bench, Key

from segel.testing import DevDaemon

ALLOWED: Final = 1.0
"""Milliseconds beyond the sum."""
HOW: Final = (
    "Median of unary Sign calls with a request_id, one after the other, over mTLS on an idle daemon. Reference: the "
    "median of an empty call (WhoAmI) on the same channel, plus that of one C_Sign with its verification, plus two "
    "small transactions fsynced with the daemon's pragmas on the same disk. The goal is that sum and 1.0 ms."
)


async def measure(bench: Bench) -> list[Row]:
    with bench.daemon() as daemon, commits(bench.folder) as database:
        return [await _one(bench, daemon, database, key, has_goal=key is P256) for key in (P256, RSA)]


async def _one(bench: Bench, daemon: DevDaemon, database: Commits, key: Key, *, has_goal: bool) -> Row:
    count = 60 if bench.quick else 300
    names = ("sign", "empty_call", "sign_and_verify", "commit")
    found: dict[str, list[float]] = {name: [] for name in names}
    with raw_loops(bench.program, bench.testbed, key, verify=True, count=1) as loops:
        async with channel(daemon.target, daemon.tls()) as opened:
            caller = Caller(opened, key)
            for number in range(bench.rounds + 1):
                empty = statistics.median(await sequence(caller.nothing, count))
                device = await asyncio.to_thread(loops.single, count)
                commit = await asyncio.to_thread(database.single, count)
                sign = statistics.median(await sequence(caller.one, count))
                if number:
                    for name, seconds in zip(names, (sign, empty, device, commit), strict=True):
                        found[name].append(seconds * 1000)
    sums = [
        empty + device + 2 * commit
        for empty, device, commit in zip(
            found["empty_call"], found["sign_and_verify"], found["commit"], strict=True
        )
    ]
    reference = statistics.median(sums)
    return Row(
        f"one Sign of one digest, idle daemon, {key.title}",
        "ms",
        found["sign"],
        sums,
        HOW,
        goal=(reference + ALLOWED) / reference if has_goal else None,
        at_most=True,
        facts={f"{name}_ms": round(statistics.median(values), 4) for name, values in found.items()},
    )
