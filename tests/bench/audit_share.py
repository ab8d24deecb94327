"""What the audit log costs a job: the real database and publisher in this process, with the audit and without."""

import asyncio
import hashlib
import itertools
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

import apsw
from raw import raw_loops
from rows import Row
from setting import P256, RSA, Bench, Key

from segeld.audit.identity import open_log
from segeld.audit.leaf import HASH, AnyLeaf, Commitments
from segeld.audit.publisher import Publisher
from segeld.jobqueue.claims import Claim, Part
from segeld.jobqueue.sqlite import leaf_rows, settling
from segeld.jobqueue.sqlite.store import SqliteStore
from segeld.model.algorithm import BY_NUMBER, EcdsaEncoding
from segeld.model.job import Items, JobSpec
from segeld.model.kind import Kind
from segeld.model.names import KeyName, TokenName
from segeld.model.priority import Priority

SHARES: Final = ((RSA, 80, 256, 1.0), (P256, 240, 71, 4.0))
"""Key, digests of a chunk, octets of a signature, and the goal in percent."""
HOW: Final = (
    "CPU seconds of every thread while a job goes through the real SqliteStore and Publisher in this process, claim and "
    "settle for each chunk, nothing being signed, and a checkpoint for as many as the loops do in a second; less the same with the audit taken out: no commitments, no hashes of "
    "signatures, no leaves encoded or inserted, nothing published. Each is the least of three runs (quick: two). That difference for each item, as a share of the "
    "time in which two loops that sign and verify do one item (a job is slower, so its share is smaller). Flushing to "
    "disk is not CPU time: the audit adds no transaction, and its files are written by a thread of their own. "
    "Reference: the limit."
)
_NOTHING: Final = bytes(HASH)


async def measure(bench: Bench) -> list[Row]:
    return [await _one(bench, key, chunk, octets, limit) for key, chunk, octets, limit in SHARES]


async def _one(bench: Bench, key: Key, chunk: int, octets: int, limit: float) -> Row:
    count = chunk * ((28_000 if bench.quick else 70_000) // chunk)
    folder = bench.folder / "audit-share"
    shares, costs, rates = [], [], []
    with raw_loops(bench.program, bench.testbed, key, verify=True) as loops:
        for number in range(bench.rounds + 1):
            rate = await asyncio.to_thread(loops.rate, bench.seconds)
            with_audit, without = [], []
            for _ in range(2 if bench.quick else 3):  # what disturbs a run only adds to it: the least counts
                with_audit.append(await _cpu(folder, key, chunk, octets, count, round(rate)))
                with _without_audit():
                    without.append(await _cpu(folder, key, chunk, octets, count, 0))
            whole, rest = min(with_audit), min(without)
            if number:
                costs.append((whole - rest) / count)
                rates.append(rate)
                shares.append((whole - rest) / count * rate * 100)
    return Row(
        f"the audit's share of job time, {key.title}",
        "%",
        shares,
        [limit],
        HOW,
        goal=1.0,
        at_most=True,
        facts={
            "microseconds_per_item": round(statistics.median(costs) * 1e6, 3),
            "loop_signatures_per_second": round(statistics.median(rates), 1),
            "chunk": chunk,
            "percent_of_two_cores": round(statistics.median(shares) / 2, 3),
        },
    )


async def _cpu(folder: Path, key: Key, chunk: int, octets: int, count: int, a_second: int) -> float:
    """CPU seconds of claiming and settling a job of `count`.

    :param a_second: after so many, what was recorded is published, as it is every second; 0: never.
    """
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)  # noqa: PTH103  # a Path's would be taken for one that blocks
    log = open_log(folder)
    store = await SqliteStore.open(
        folder / "segel.db", log.commitments if a_second else _NoCommitments(_NOTHING)
    )
    publisher = Publisher(store, log)
    await publisher.start()
    kind = Kind(KeyName(b"k" * 32), BY_NUMBER[key.algorithm], EcdsaEncoding.DER)
    now = time.time()
    spec = JobSpec("office", "bench", kind, Priority.NORMAL, (), now + 86_400, 86_400)
    inputs = tuple(os.urandom(32) for _ in range(count))
    signatures = [os.urandom(octets) for _ in range(chunk)]
    job, _ = await store.create_job(spec, Items(inputs), seal=True)
    published = 0
    token = TokenName("segel-a")
    began = time.process_time()
    for first in range(0, count, chunk):
        part = Part(job.id, first, inputs[first : first + chunk])
        claimed = await store.claim(Claim(time.time(), "office", kind, token, (part,)))
        await store.settle(claimed.id, signatures, attempts=3, at=time.time())
        if a_second and first - published >= a_second:
            published = first
            await publisher.publish()
    if a_second:
        await publisher.publish()
    took = time.process_time() - began
    await store.aclose()
    shutil.rmtree(folder)
    return took


class _NoCommitments(Commitments):
    def of(self, data: bytes) -> bytes:
        del data
        return _NOTHING

    def of_list(self, commitments: object) -> bytes:
        del commitments
        return _NOTHING


@contextmanager
def _without_audit() -> Iterator[None]:
    """Leaves are numbered, since claims are named by them, and that is all."""
    numbers = itertools.count()
    digest = SimpleNamespace(digest=lambda: _NOTHING)

    def append(db: apsw.Connection, leaf: AnyLeaf) -> int:
        del db, leaf
        return next(numbers)

    with (
        patch.object(leaf_rows, "append", append),
        patch.object(settling, "hashlib", SimpleNamespace(**vars(hashlib) | {"sha256": lambda _: digest})),
    ):
        yield
