"""A database that is removed or replaced under the daemon: nothing is accepted that would be lost."""

import asyncio

import pytest
from store_fakes import COMMITMENTS, items, spec

from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.jobqueue.store_faults import StoreBroken


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_written_to_a_file_that_is_not_there_any_more(tmp_path, replaced) -> None:
    told = []
    store = await SqliteStore.open(tmp_path / FILE, COMMITMENTS, told=told.append)
    await store.create_job(spec("before"), items(3), seal=True)
    await asyncio.to_thread(_take_away, tmp_path, replaced=replaced)
    with pytest.raises(StoreBroken):
        await store.create_job(spec("after"), items(3), seal=True)
    assert "removed or replaced" in store.trouble
    await asyncio.to_thread((tmp_path / "elsewhere").replace, tmp_path / FILE)
    await store.create_job(spec("after"), items(3), seal=True)
    assert store.trouble is None
    await store.aclose()


def _take_away(folder, *, replaced) -> None:
    (folder / FILE).rename(folder / "elsewhere")
    if replaced:
        (folder / FILE).write_bytes(b"")
