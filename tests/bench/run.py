"""`make bench`: segel beside what cannot be avoided, in ratios measured in one run. docs/benchmarks.md explains it."""

import argparse
import asyncio
import contextlib
import fcntl
import importlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from picture import draw
from raw import build
from rows import Row
from setting import Bench

OUT: Final = Path("build/bench")
FIGURES: Final = {
    "jobs": "job_throughput",
    "stream": "stream",
    "batches": "batches",
    "single": "single_sign",
    "interactive": "interactive",
    "big-job": "big_job",
    "disk": "disk",
    "fairness": "fairness",
    "acceptance": "acceptance",
    "audit-share": "audit_share",
    "audit-verify": "audit_verify",
    "policy": "policy_apply",
}
"""A module for each, with `async def measure(bench) -> list[Row]`."""
LONGEST: Final = 1800.0
"""Seconds for one figure: a daemon that hangs ends that figure, not the evening."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: small jobs, few rounds")
    parser.add_argument("--only", nargs="+", choices=FIGURES, metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default 5, quick 3)")
    parser.add_argument("--seconds", type=float, help="of one measurement (default 4, quick 1.5)")
    given = parser.parse_args()
    folder = OUT.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"another benchmark runs in {folder}; two at once would measure each other", file=sys.stderr
            )
            return 2
        return _run(folder, given)


def _run(folder: Path, given: argparse.Namespace) -> int:
    bench = Bench(
        folder,
        build(folder),
        given.quick,
        given.rounds or (3 if given.quick else 5),
        given.seconds or (1.5 if given.quick else 4.0),
    )
    rows: list[Row] = []
    failed: list[dict[str, Any]] = []
    print(f"{'':<52}{'median':>11} {'(min to max)':<21} {'reference':>11} {'ratio':>7}  goal")
    for name in given.only or FIGURES:
        began = time.monotonic()
        try:
            found = asyncio.run(_measured(name, bench))
        except Exception as error:  # noqa: BLE001  # the other figures are still of use
            traceback.print_exc()
            why = _words(error)
            failed.append({"name": name, "error": why})
            print(f"{name}: FAILED: {why}", flush=True)
            continue
        _show(found)
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)
        rows += found
    _write(folder, rows, failed, quick=given.quick)
    return 1 if failed else 0


def _words(error: BaseException) -> str:
    """The first of what went wrong together; of a long text the last line, which is the cause."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}"


async def _measured(name: str, bench: Bench) -> list[Row]:
    async with asyncio.timeout(LONGEST):
        rows: list[Row] = await importlib.import_module(FIGURES[name]).measure(bench)
        return rows


def _show(rows: Iterable[Row]) -> None:
    for row in rows:
        spread = f"({_short(min(row.values))} to {_short(max(row.values))})"
        verdict = {None: "", True: "  met", False: "  NOT MET"}[row.met]
        print(
            f"{row.name:<52}{_short(row.value):>11} {spread:<21} {_short(row.reference):>11} {row.ratio:>7.3f}"
            f"  {row.wish}{verdict}  [{row.unit}]",
            flush=True,
        )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _write(folder: Path, rows: list[Row], failed: list[dict[str, Any]], *, quick: bool) -> None:
    records = [row.record() | {"quick": quick} for row in rows]
    empty = dict.fromkeys(("value", "unit", "reference", "ratio", "goal", "met"))
    records += [empty | failure for failure in failed]
    (folder / "bench.json").write_text(json.dumps(records, indent=2) + "\n")
    draw(rows, folder / "bench.png", quick=quick)
    with contextlib.suppress(OSError):
        shutil.rmtree(folder / "testbed" / "state")
    print(f"{folder / 'bench.json'} and {folder / 'bench.png'}")


if __name__ == "__main__":
    sys.exit(main())
