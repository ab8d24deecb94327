"""Makes a large audit log with the daemon's own codec and writer; kept for the next run."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from segeld.audit.frontier import Frontier
from segeld.audit.identity import FOLDER, OwnLog, open_log
from segeld.audit.leaf import HASH, AnyLeaf, Intent, Outcome, PartRange, encode
from segeld.audit.writer import Writer

CHUNK: Final = 107
"""Digests of one chunk: what a P-256 token signs in 20 ms."""
_AT_ONCE: Final = 2_560
_DONE: Final = "complete"


def log_of(folder: Path, count: int) -> Path:
    """The log's folder: `count` items in chunks of 107, an intent and an outcome for each."""
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(open_log(folder), count)
        (folder / _DONE).touch()
    return folder / FOLDER


def _write(log: OwnLog, count: int) -> None:
    writer = Writer(log.folder, log.signer, Frontier(), [])
    first, waiting = 0, []
    for leaf in _leaves(log, count):
        waiting.append(encode(leaf))
        if len(waiting) == _AT_ONCE:
            writer.publish(first, waiting)
            first += len(waiting)
            waiting = []
    writer.publish(first, waiting)


def _leaves(log: OwnLog, count: int) -> Iterator[AnyLeaf]:
    """One job, its digests and signatures being random octets."""
    at = int(time.time() * 1000)
    key, job = os.urandom(HASH), os.urandom(16)
    yield log.opened(at)
    for number, first in enumerate(range(0, count, CHUNK)):
        size = min(CHUNK, count - first)
        octets = os.urandom(HASH * size)
        at += 10
        yield Intent(
            at,
            "backoffice",
            key,
            7,
            "segel-a",
            (PartRange(job, first, size),),
            log.commitments.of_list([octets]),
        )
        yield Outcome(at + 9, 2 * number + 1, octets, os.urandom(HASH * size))
