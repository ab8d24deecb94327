"""A policy of 1,000 callers put in force while others sign, and how soon whoever is revoked is cut."""

import asyncio
import itertools
import json
import os
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from load import channel
from rows import Row, percentile
from setting import P256, Bench

import segel
from segel.models_changes import UnrevokeCaller
from segel.testing import DevDaemon
from segel.v1 import signing_pb2_grpc

CALLERS: Final = 1000
KEYS: Final = 50
LONGEST: Final = 1.0
"""Seconds that applying it may take, and until a stream is cut."""
PAUSE: Final = 20.0
"""Milliseconds that signing may pause for it."""
IDLE: Final = 2.0
"""Seconds of signing before it, at least."""
Gaps = list[float]
"""Milliseconds between one signature and the next."""
AT_ONCE: Final = 4
HOW: Final = (
    f"A policy of {CALLERS} callers, each with a rate and two grants of {KEYS} keys, is proposed by one officer, approved "
    "by another and run. Reference: 1 s for the three calls together."
)
HOW_PAUSE: Final = (
    f"The longest time between two signatures of a caller that keeps {AT_ONCE} calls of one digest under way, while that "
    "policy is put in force. Reference: the longest in as much time before it, and 20 ms. over_idle: the difference to the "
    "former, round by round; load: processes that wanted a processor, the bench's own too."
)
HOW_P99: Final = "The same, but what 99 of 100 such times of all rounds do not exceed. Reference: that of as much time before it, and 20 ms."
HOW_CUT: Final = (
    "From the call of RevokeCaller to the end of an open SignStream, as its client sees it. Reference: 1 s."
)


async def measure(bench: Bench) -> list[Row]:
    applied: list[float] = []
    pauses: list[Gaps] = []
    quiet: list[Gaps] = []
    loads: list[float] = []
    cut: list[float] = []
    with bench.daemon() as daemon:
        async with _officer(daemon, "wayan") as asks, _officer(daemon, "made") as agrees:
            before = (await asks.policy.get()).toml
            for number in range(bench.rounds):
                took, pause, idle = await _applied(daemon, before + _callers(number % 2 + 1))
                applied.append(took)
                pauses.append(pause)
                quiet.append(idle)
                loads.append(round(os.getloadavg()[0], 1))
                cut.append(await _cut(daemon, asks, agrees))
    ones = [LONGEST] * len(applied)
    return [
        Row(f"a policy of {CALLERS} callers put in force", "s", applied, ones, HOW, goal=1.0, at_most=True),
        _pause(
            "longest pause in signing meanwhile",
            [_longest(g) for g in pauses],
            [_longest(g) for g in quiet],
            HOW_PAUSE,
            loads,
        ),
        _pause(
            "p99 of the time between two signatures meanwhile",
            [_p99(pauses)],
            [_p99(quiet)],
            HOW_P99,
            loads,
        ),
        Row("an open stream of a revoked caller is cut", "s", cut, ones, HOW_CUT, goal=1.0, at_most=True),
    ]


def _pause(name: str, meanwhile: list[float], idle: list[float], how: str, loads: list[float]) -> Row:
    """All in milliseconds."""
    over = [round(a - b, 1) for a, b in zip(meanwhile, idle, strict=True)]
    return Row(
        name,
        "ms",
        meanwhile,
        [one + PAUSE for one in idle],
        how,
        goal=1.0,
        at_most=True,
        facts={
            "over_idle": over,
            "over_idle_median": round(statistics.median(over), 1),
            "idle": [round(one, 1) for one in idle],
            "load": loads,
        },
    )


def _longest(gaps: Gaps) -> float:
    return max(gaps)


def _p99(rounds: list[Gaps]) -> float:
    """Of all rounds together: one alone has too few."""
    return percentile([gap for gaps in rounds for gap in gaps], 0.99)


def _callers(weight: int) -> str:
    keys = [f"keys/sha256-{number:064x}" for number in range(KEYS)]
    return "\n" + "\n".join(
        f"""\
[[callers]]
name = "office-{number}"
sans = ["uri:spiffe://bench/{number}", "dns:office-{number}.example"]
weight = {weight}
rate = 100
[[callers.grants]]
keys = ["{keys[number % KEYS]}", "{keys[(number + 1) % KEYS]}"]
algorithms = ["ECDSA_P256_SHA256", "RSA_PSS_SHA256"]"""
        for number in range(CALLERS)
    )


@asynccontextmanager
async def _officer(daemon: DevDaemon, name: str) -> AsyncIterator[segel.Officer]:
    async with segel.Officer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(name)) as officer:
        yield officer


async def _put_in_force(daemon: DevDaemon, toml: str) -> tuple[float, float]:
    """When it began and how long it took. By a process of its own: what officers' clients do is no pause in signing.
    Nor is its start: before it begins, it waits as long as signing is looked at without it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("policy_officers.py")), stdin=PIPE, stdout=PIPE
    )
    given = {
        "target": daemon.environment["SEGELCTL_TARGET"],
        "directory": str(daemon.directory),
        "toml": toml,
    }
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(given).encode() + b"\n")
    await process.stdout.readline()
    await asyncio.sleep(IDLE)
    answer, _ = await process.communicate(b"go\n")
    if process.returncode:
        raise RuntimeError("the officers did not put it in force")
    began, took = json.loads(answer)
    return began, took


async def _applied(daemon: DevDaemon, toml: str) -> tuple[float, Gaps, Gaps]:
    """Seconds that it took, the gaps meanwhile, and those in as much time before."""
    async with daemon.async_client("registry") as client:
        signer = await client.signer(P256.name)
        moments: list[float] = []

        async def sign() -> None:
            while True:
                await signer.sign_digest(bytes(32))
                moments.append(time.perf_counter())

        signing = [asyncio.create_task(sign()) for _ in range(AT_ONCE)]
        began, took = await _put_in_force(daemon, toml)
        ended = began + took
        await asyncio.sleep(0.2)
        for task in signing:
            task.cancel()
        results = await asyncio.gather(*signing, return_exceptions=True)
        for result in results:
            if not isinstance(result, asyncio.CancelledError):
                raise RuntimeError("signing ended by itself") from result  # noqa: TRY004  # it is about no type
    long = min(took + 0.1, IDLE)
    return took, _gaps(moments, began, ended + 0.1), _gaps(moments, began - long, began)


def _gaps(moments: list[float], first: float, last: float) -> Gaps:
    inside = [moment for moment in moments if first <= moment <= last]
    return [(b - a) * 1000 for a, b in itertools.pairwise(inside)]


async def _cut(daemon: DevDaemon, asks: segel.Officer, agrees: segel.Officer) -> float:
    async with channel(daemon.target, daemon.tls("backoffice")) as opened:
        stream = signing_pb2_grpc.SigningStub(opened).SignStream()
        await stream.read()
        began = time.perf_counter()
        revoking = asyncio.create_task(asks.policy.revoke("backoffice", "measured"))
        await stream.code()
        took = time.perf_counter() - began
        await revoking
    change = await asks.changes.propose(UnrevokeCaller("backoffice"))
    await agrees.changes.approve(change.name, change.action_hash)
    await asks.changes.run(change.name)
    return took
