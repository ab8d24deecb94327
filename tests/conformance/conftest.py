"""Each test of this folder runs with each store."""

from collections.abc import AsyncIterator

import pytest
from all_stores import STORES
from store_fakes import Handy


@pytest.fixture(params=STORES)
async def stores(request, memory_path) -> AsyncIterator:
    stores = STORES[request.param](memory_path)
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
