"""Opening that fails, or is given up half-way, leaves nothing behind: neither the lock nor a thread."""

import asyncio
import threading

import apsw
import pytest
from store_fakes import soon

from segeld.jobqueue.sqlite import DatabaseInUse, store
from segeld.jobqueue.store_faults import StoreBroken


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("segeld-db")}


async def test_what_cannot_be_read_at_first_leaves_nothing(open_store, monkeypatch):
    def broken(db):
        raise apsw.IOError("as the test wants it")

    with monkeypatch.context() as patch:
        patch.setattr(store.leaf_rows, "count", broken)
        with pytest.raises(StoreBroken):
            await open_store()
    assert threads() == set()
    await (await open_store()).sealed(1)


async def test_any_error_while_it_is_prepared_releases_the_lock(open_store, monkeypatch):
    def broken(path, vfs):
        raise RuntimeError("a fault of the program")

    with monkeypatch.context() as patch:
        patch.setattr(store, "prepare", broken)
        with pytest.raises(RuntimeError):
            await open_store()
    await (await open_store()).sealed(1)


@pytest.mark.parametrize("name", ["segeld-db-write", "segeld-db-read"])
async def test_a_thread_that_is_not_to_be_had_leaves_nothing(open_store, monkeypatch, name):
    start = threading.Thread.start

    def limited(thread):
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        with pytest.raises(RuntimeError, match="new thread"):
            await open_store()
    for thread in threading.enumerate():
        if thread.name.startswith("segeld-db"):
            await asyncio.to_thread(thread.join, 5)
    assert threads() == set()
    await (await open_store()).sealed(1)


@pytest.mark.parametrize("fails", [False, True])
async def test_opening_that_was_given_up_releases_the_lock(open_store, monkeypatch, fails):
    prepared, release, prepare = threading.Event(), threading.Event(), store.prepare

    def slow(path, vfs):
        prepared.set()
        assert release.wait(10)
        if fails:
            raise OSError("as the test wants it")
        prepare(path, vfs)

    with monkeypatch.context() as patch:
        patch.setattr(store, "prepare", slow)
        opening = soon(open_store())
        await asyncio.to_thread(prepared.wait, 10)
        opening.cancel()
        await asyncio.wait({opening})
        assert opening.cancelled()
        with pytest.raises(DatabaseInUse):
            await open_store()
        release.set()
    for _ in range(500):
        try:
            await (await open_store()).sealed(1)
        except DatabaseInUse:
            await asyncio.sleep(0.01)
        else:
            break
    else:
        pytest.fail("it is locked still")


async def test_connecting_that_was_given_up_leaves_nothing(open_store, monkeypatch):
    connected, release, count = threading.Event(), threading.Event(), store.leaf_rows.count

    def slow(db):
        connected.set()
        assert release.wait(10)
        return count(db)

    with monkeypatch.context() as patch:
        patch.setattr(store.leaf_rows, "count", slow)
        opening = soon(open_store())
        await asyncio.to_thread(connected.wait, 10)
        opening.cancel()
        release.set()
        await asyncio.wait({opening})
        assert opening.cancelled()
    assert threads() == set()
    await (await open_store()).sealed(1)
