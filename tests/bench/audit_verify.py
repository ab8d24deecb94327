"""How long it takes to verify a large audit log, and to prove that one item is in it."""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from audit_log import CHUNK, log_of
from rows import Row
from setting import Bench

from segeld.audit import find, layout
from segeld.audit.find_index import FILE as INDEX
from segeld.audit.find_index import IndexWriter
from segeld.audit.leaf import HASH, Outcome
from segeld.audit.note import Verifier
from segeld.audit.proof import prove
from segeld.audit.reader import Log, open_log_folder

WANTED: Final = 200_000.0
"""Items a second."""
FIND: Final = 1.0
"""Seconds to find an item."""
MOST: Final = 50.0
"""Milliseconds for a proof."""
_PROOFS: Final = 50
_FINDS: Final = 25


async def measure(bench: Bench) -> list[Row]:
    return await asyncio.to_thread(_measure, bench)


def _measure(bench: Bench) -> list[Row]:
    count = 300_000 if bench.quick else 10_000_000
    folder = log_of(bench.folder / f"log-{count}", count)
    key = folder.parent / "elsewhere.pub"  # as an auditor has it
    key.write_bytes((folder / layout.KEY).read_bytes())
    rates, leaves = [], []
    for number in range(2 if bench.quick else 3):
        began = time.perf_counter()
        report = _command("verify", folder, key)
        passed = time.perf_counter() - began
        if not report["verified"] or report["signatures"] != count:
            raise RuntimeError(f"the log does not verify: {report}")
        if number or bench.quick:
            rates.append(count / passed)
            leaves.append(report["size"] / passed)
    how = (
        f"`segelctl audit verify` as a command, over a log of {count:,} items in chunks of {CHUNK}, written with the "
        "daemon's own codec and writer, with its salt. Reference: the goal."
    )
    facts = {"items": count, "leaves_per_second": round(statistics.median(leaves))}
    return [
        Row("audit verify", "items/s", rates, [WANTED], how, goal=1.0, facts=facts),
        _proof(folder, key, count),
        *_found(folder, key, count),
    ]


def _found(folder: Path, key: Path, count: int) -> list[Row]:
    log = open_log_folder(folder, None)
    began = time.perf_counter()
    with contextlib.closing(IndexWriter.open(folder, log.checkpoint.origin)) as writer:
        added = writer.catch_up(log.tiles)
    indexing = time.perf_counter() - began
    took = []
    chunks = -(-count // CHUNK)
    for number in range(1, 8):
        signature = _signature(log, 2 * (number * chunks // 8) + 2).hex()
        began = time.perf_counter()
        _command("find", folder, key, "--signature", signature)
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    _command("find", folder, key, "--signature", signature, "--all")
    everything = time.perf_counter() - began
    return [
        Row(
            "audit find in that log",
            "s",
            took,
            [FIND],
            "`segelctl audit find --signature` as a command, start of Python, proofs and the checkpoint's signature "
            "included, with the index; signatures all over the log. Reference: the limit.",
            goal=1.0,
            at_most=True,
            facts={
                "without_index_s": round(everything, 2),
                "bundles_indexed_now": added,
                "indexing_s": round(indexing, 2),
                "index_octets_per_item": round((folder / INDEX).stat().st_size / count, 2),
            },
        ),
        _found_here(folder, key, count),
    ]


def _found_here(folder: Path, key: Path, count: int) -> Row:
    """As the daemon does for an auditor who asks it."""
    verifier = Verifier.parse(key.read_text())
    chunks = -(-count // CHUNK)
    took = []
    for number in range(_FINDS):
        log = open_log_folder(folder, verifier)
        signature = _signature(log, 2 * (number * chunks // _FINDS) + 2)
        took.append(_timed(folder, verifier, signature, there=True))
    absent = [_timed(folder, verifier, os.urandom(HASH), there=False) for _ in range(_FINDS)]
    return Row(
        "audit find in that log, in process",
        "s",
        took,
        [FIND],
        "The log opened anew, its checkpoint verified, and every attempt with a signature found, with the index; signatures "
        "all over the log. of_none_s: one that is not in it. Reference: the limit.",
        goal=1.0,
        at_most=True,
        facts={"of_none_s": round(statistics.median(absent), 3), "of_none_max_s": round(max(absent), 3)},
    )


def _timed(folder: Path, verifier: Verifier, signature: bytes, *, there: bool) -> float:
    began = time.perf_counter()
    found = list(find.items(open_log_folder(folder, verifier), signature=signature))
    passed = time.perf_counter() - began
    if bool(found) != there:
        raise RuntimeError(f"{len(found)} items were found")
    return passed


def _proof(folder: Path, key: Path, count: int) -> Row:
    verifier = Verifier.parse(key.read_text())
    chunks = -(-count // CHUNK)
    took = []
    for number in range(_PROOFS):
        leaf = 2 * (number * chunks // _PROOFS) + 2
        began = time.perf_counter()
        prove(open_log_folder(folder, verifier), leaf)
        took.append((time.perf_counter() - began) * 1000)
    middle = 2 * (chunks // 2) + 2
    signature = _signature(open_log_folder(folder, verifier), middle)
    commands = {}
    for name, options in (("leaf", ("--leaf", str(middle))), ("signature", ("--signature", signature.hex()))):
        began = time.perf_counter()
        _command("prove", folder, key, *options)
        commands[f"command_by_{name}_ms"] = round((time.perf_counter() - began) * 1000, 1)
    return Row(
        "proof of one item in that log",
        "ms",
        took,
        [MOST],
        "The log opened anew, its checkpoint verified, and the proof made and checked, from the leaf that a receipt names, "
        "in process; leaves all over the log. As a command, start of Python included: command_by_leaf_ms, and "
        "command_by_signature_ms, which has to look for it first. Reference: the limit.",
        goal=1.0,
        at_most=True,
        facts=commands,
    )


def _signature(log: Log, index: int) -> bytes:
    leaf = log.leaf(index)
    assert isinstance(leaf, Outcome)
    return leaf.signatures[:HASH]


def _command(name: str, folder: Path, key: Path, *options: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "segeld.ctl",
        "audit",
        name,
        "--dir",
        str(folder),
        "--key",
        f"{key}",
        "--json",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"segelctl audit {name}: {done.stderr or done.stdout}")
    return dict(json.loads(done.stdout))
