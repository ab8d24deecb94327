"""Octets on disk for each digest: of the database with the signature, and of the audit log beside it."""

from pathlib import Path
from typing import Final

import apsw
from rows import Row
from setting import P256, RSA, Bench, digests

LIMITS: Final = {RSA.title: (330.0, 100.0), P256.title: (None, None)}
"""Database and audit log, in octets for each digest."""


async def measure(bench: Bench) -> list[Row]:
    count = 4_000 if bench.quick else 24_000
    rows = []
    for key in (RSA, P256):
        with bench.daemon():
            pass  # makes the database and the log
        before = _sizes(bench.state)
        with bench.daemon(fresh=False) as daemon:
            async with daemon.async_client() as client:
                job = await client.jobs.create(key.name, digests(count))
                if (await job.wait()).signed_count != count:
                    raise RuntimeError("not all signed")
        after = _sizes(bench.state)
        for place, limit in zip(("database", "audit"), LIMITS[key.title], strict=True):
            each = (after[place] - before[place]) / count
            rows.append(
                Row(
                    f"{place} per digest, {key.title}",
                    "octets",
                    [each],
                    [limit or float(LIMITS[RSA.title][place == "audit"])],
                    f"A job of {count:,} in a fresh state: how much the {place} grew, from a daemon that had stopped to "
                    "one that has (so the WAL is in the database, and every leaf in the log). Results are kept. "
                    "Reference: the limit for RSA-2048.",
                    goal=None if limit is None else 1.0,
                    at_most=True,
                    facts={"items": count, "free_in_database": round(after["free"] / count, 1)},
                )
            )
    return rows


def _sizes(state: Path) -> dict[str, int]:
    database = apsw.Connection(str(state / "segel.db"), flags=apsw.SQLITE_OPEN_READONLY)
    free = database.pragma("freelist_count") * database.pragma("page_size")
    database.close()
    return {
        "database": sum(path.stat().st_size for path in state.glob("segel.db*")),
        "audit": sum(path.stat().st_size for path in (state / "audit").rglob("*") if path.is_file()),
        "free": free,
    }
