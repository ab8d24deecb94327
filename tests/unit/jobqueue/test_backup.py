"""Copies of the database: made while it is written, checked, and put back."""

import asyncio
from types import SimpleNamespace

import pytest
from store_fakes import items, signature, spec
from typer.testing import CliRunner

from segeld import config
from segeld.cli.main import app
from segeld.jobqueue.sqlite import DatabaseDamaged, DatabaseInUse, back_up, restore
from segeld.model.job import JobFilter


async def names(store) -> list[str]:
    jobs = await store.jobs("office", JobFilter(), before=None, limit=1000)
    return sorted(job.spec.request_id for job in jobs)


async def test_a_backup_holds_one_moment_while_the_daemon_writes(store, open_store, database, tmp_path):
    await store.create_job(spec("first"), items(20_000), seal=True)
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    loop = asyncio.get_running_loop()
    written = []

    def meanwhile(done: int, pages: int) -> None:
        del done, pages
        made = asyncio.run_coroutine_threadsafe(store.sealed(1, f"later-{len(written)}"), loop)
        written.append(made.result(10))

    octets = await asyncio.to_thread(back_up, database, copy, meanwhile)
    assert written
    assert octets == copy.stat().st_size
    assert not copy.stat().st_mode & 0o077
    assert [file.name for file in copy.parent.iterdir()] == ["copy.db"]
    assert await names(await open_store(copy)) == ["first"]


async def test_a_backup_never_takes_the_place_of_a_file(store, database, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    with pytest.raises(FileExistsError, match="another name"):
        await asyncio.to_thread(back_up, database, copy)
    assert copy.read_text() == "precious"


async def test_there_must_be_something_to_copy(tmp_path):
    with pytest.raises(FileNotFoundError, match="not there"):
        await asyncio.to_thread(back_up, tmp_path / "segel.db", tmp_path / "copy.db")


async def test_a_backup_of_a_damaged_database_is_none(store, database, tmp_path):
    await store.create_job(spec(), items(20_000), seal=True)
    await store.aclose()
    octets = bytearray(database.read_bytes())
    octets[4096 * 3 : 4096 * 40] = bytes(4096 * 37)
    database.write_bytes(octets)
    with pytest.raises(DatabaseDamaged):
        await asyncio.to_thread(back_up, database, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy.db*"))


async def test_a_backup_takes_the_databases_place(store, open_store, database, tmp_path):
    job = await store.sealed(3, "before")
    await store.sign(job, 0, 2)
    copy = tmp_path / "copy.db"
    await asyncio.to_thread(back_up, database, copy)
    await store.sealed(1, "after")
    with pytest.raises(DatabaseInUse):
        await asyncio.to_thread(restore, copy, database)
    await store.aclose()
    aside = await asyncio.to_thread(restore, copy, database)
    assert await names(await open_store()) == ["before"]
    old = await open_store(aside)
    assert await names(old) == ["after", "before"]
    assert [found.value for found in await old.all_results(job)] == [signature(0), signature(1)]


async def test_what_is_no_backup_takes_nothings_place(store, database, tmp_path):
    await store.aclose()
    before = database.read_bytes()
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"nothing" * 1000)
    with pytest.raises(DatabaseDamaged):
        await asyncio.to_thread(restore, bad, database)
    assert database.read_bytes() == before


async def test_a_backup_can_be_restored_where_nothing_is(store, open_store, database, tmp_path):
    await store.sealed(1)
    copy, elsewhere = tmp_path / "copy.db", tmp_path / "elsewhere.db"
    await asyncio.to_thread(back_up, database, copy)
    assert await asyncio.to_thread(restore, copy, elsewhere) is None
    assert await names(await open_store(elsewhere)) == ["r"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command with a configuration whose state_dir is the test's folder."""
    monkeypatch.setattr(config, "load", lambda _: SimpleNamespace(state_dir=tmp_path))
    return lambda *words: asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])


async def test_the_commands_copy_and_restore(run, store, open_store, database, tmp_path):
    await store.sealed(1)
    copy = tmp_path / "copy.db"
    done = await run("backup", copy, "--config", "any.toml")
    assert (done.exit_code, done.stdout) == (0, f"{copy}: 0.2 MB, checked\n")
    soon_refused = await run("restore", copy)
    assert (soon_refused.exit_code, "in use" in soon_refused.stderr) == (1, True)
    await store.aclose()
    done = await run("restore", copy)
    assert done.exit_code == 0
    assert done.stdout.startswith(
        f"{database}: restored from {copy}\nThe database that was there is now {database}."
    )
    assert await names(await open_store()) == ["r"]


async def test_the_commands_say_what_is_wrong_in_a_line(run, tmp_path):
    failed = await run("backup", tmp_path / "copy.db")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("segeld backup: ")
    assert failed.stderr.count("\n") == 1
