"""A keeper process for each test."""

import pytest
from keeper_rig import borrowing

from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_handle import KeeperHandle


@pytest.fixture
def guard(tmp_path) -> Guard:
    return Guard(tmp_path / "pin-guard")


@pytest.fixture
async def keeper(guard):
    handle = await KeeperHandle.start(guard)
    yield handle
    await handle.close()


@pytest.fixture
async def borrow(keeper):
    """Asks for a lend; gives the worker's end."""
    async with borrowing(keeper) as ask:
        yield ask
