"""The stores that must all behave alike. Another one is added to STORES, and nowhere else."""

from dataclasses import dataclass, field
from pathlib import Path

from store_fakes import COMMITMENTS, Handy

from segeld.jobqueue.sqlite import SqliteStore


@dataclass
class SqliteStores:
    """One database, opened again and again: as a daemon that restarts."""

    folder: Path
    opened: list[SqliteStore] = field(default_factory=list)

    async def open(self) -> Handy:
        store = await SqliteStore.open(self.folder / "segel.db", COMMITMENTS)
        self.opened.append(store)
        return Handy(store)

    async def close(self) -> None:
        while self.opened:
            await self.opened.pop().aclose()


STORES = {"sqlite": SqliteStores}
