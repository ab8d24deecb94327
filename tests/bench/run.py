"""`make bench`: signatures a second of `Sign`, beside plain loops over the module, alternating in one run."""

import argparse
import asyncio
import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final

from load import rate, request, stub
from raw import build, raw_loops

from segel.testing import DevDaemon, dev_daemon
from segel.v1 import resources_pb2
from segel_softhsm import Testbed

OUT: Final = Path("build/bench")
WORKERS: Final = 2
KEYS: Final = (
    ("RSA-2048", "seal-rsa2048", "rsa", resources_pb2.SIGNATURE_ALGORITHM_RSA_PKCS1_SHA256),
    ("P-256", "seal-p256", "ec", resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256),
)
BATCHES: Final = ((1, 16), (100, 8), (1000, 4))
"""Digests in one call, and callers at once."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (default 2)")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    program = build(OUT)
    rows: list[dict[str, Any]] = []
    with dev_daemon("--workers", str(WORKERS), directory=OUT / "testbed") as daemon:
        testbed = Testbed.load(OUT / "testbed")
        for key in KEYS:
            rows += asyncio.run(measure(daemon, testbed, program, key, arguments.rounds, arguments.seconds))
        memory = processes(daemon.pid)
    for name, size in memory:
        print(f"{name:<28} {size:>6.1f} MB of its own")
    (OUT / "bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0


async def measure(
    daemon: DevDaemon,
    testbed: Testbed,
    program: Path,
    key: tuple[str, str, str, Any],
    rounds: int,
    seconds: float,
) -> list[dict[str, Any]]:
    """Raw loops and each batch size in turn, round by round, so that a busy machine disturbs all of them alike."""
    kind, label, scheme, algorithm = key
    wanted = {batch: request(f"keys/{label}", algorithm, batch) for batch, _ in BATCHES}
    raw: list[float] = []
    segel: dict[int, list[tuple[float, float]]] = {batch: [] for batch, _ in BATCHES}
    async with stub(daemon) as signing:
        with raw_loops(program, testbed, label, scheme, WORKERS) as loops:
            for number in range(rounds + 1):
                reference = await asyncio.to_thread(loops.rate, seconds)
                measured = [
                    (batch, await rate(signing, wanted[batch], callers, seconds))
                    for batch, callers in BATCHES
                ]
                if number:  # the first round warms up
                    raw.append(reference)
                    for batch, figures in measured:
                        segel[batch].append(figures)
    print(f"{kind}: {WORKERS} plain loops {spread(raw)} signatures/s")
    rows = []
    for batch, callers in BATCHES:
        rates = [figure for figure, _ in segel[batch]]
        ratios = [mine / reference for mine, reference in zip(rates, raw, strict=True)]
        latency = statistics.median(seconds for _, seconds in segel[batch]) * 1000
        print(
            f"  Sign, {batch:>4} a call, {callers:>2} callers: {spread(rates)} signatures/s, "
            f"{statistics.median(ratios):.2f} of plain, {latency:.1f} ms a call"
        )
        rows.append(
            {
                "name": f"Sign {kind} batch {batch}",
                "value": round(statistics.median(rates), 1),
                "unit": "signatures/s",
                "reference": round(statistics.median(raw), 1),
                "ratio": round(statistics.median(ratios), 3),
                "goal": None,
                "met": None,
            }
        )
    return rows


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def processes(front: int) -> list[tuple[str, float]]:
    """Memory that each process of the daemon has to itself (proportional set size), in MB; the front first."""
    pids = [
        front,
        *(pid for pid in map(int, (p.name for p in Path("/proc").glob("[0-9]*"))) if parent(pid) == front),
    ]
    return [(title(pid), pss(pid)) for pid in pids]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it ended meanwhile


def title(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    return words if words.startswith("segeld:") else "segeld (the front)"


def pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    sys.exit(main())
