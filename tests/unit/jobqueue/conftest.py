"""A database in a folder of its own, opened as often as a test wants."""

import pytest
from flaky_disk import FlakyDisk
from store_fakes import COMMITMENTS, Handy

from segeld.jobqueue.sqlite import SqliteStore


@pytest.fixture
def database(tmp_path):
    return tmp_path / "segel.db"


@pytest.fixture
async def open_store(database):
    """Opens the database, or another; closes all at the end."""
    opened: list[SqliteStore] = []

    async def open_store(path=database, **options) -> Handy:
        store = await SqliteStore.open(path, COMMITMENTS, **options)
        opened.append(store)
        return Handy(store)

    yield open_store
    for store in opened:
        await store.aclose()


@pytest.fixture
async def store(open_store) -> Handy:
    return await open_store()


@pytest.fixture
def disk(request):
    disk = FlakyDisk(request.node.name)
    yield disk
    disk.heal()
    disk.unregister()
