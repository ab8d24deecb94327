"""The stores that must all behave alike. Another one is added to STORES, and nowhere else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from queue_fakes import COMMITMENTS, Handy

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


@pytest.fixture(params=STORES)
async def stores(request, tmp_path) -> AsyncIterator[SqliteStores]:
    stores = STORES[request.param](tmp_path)
    yield stores
    await stores.close()


@pytest.fixture
async def store(stores) -> Handy:
    return await stores.open()


@pytest.fixture
def reopen(stores):
    """Closes the store and opens it again."""

    async def reopen() -> Handy:
        await stores.close()
        return await stores.open()

    return reopen
