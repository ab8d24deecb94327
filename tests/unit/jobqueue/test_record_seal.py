"""Whoever writes officers' records into the file, and has not the key, is found out at the next start."""

import apsw
import pytest

from segeld.audit.leaf import Act, Intent
from segeld.jobqueue.codec import seal as with_checksum
from segeld.jobqueue.sqlite import SqliteStore
from segeld.jobqueue.sqlite.record_seal import PREFIX, RecordSeal

KEY = bytes(range(32))
ACT = Act(1, "policy applied", "siti", "policy")


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "records.mark"


@pytest.fixture
def opened(open_store, mark):
    async def opened(key=KEY, file=mark) -> SqliteStore:
        return (await open_store(seal=RecordSeal(key, file))).store

    return opened


@pytest.fixture
async def written(opened):
    """Closed after three records."""
    store = await opened()
    assert await store.check_records() == ""
    await store.keep({"policy": b"strict", "revoked/one": b"yes"}, ACT)
    await store.keep({"policy": b"stricter", "key/1": b"disabled"}, ACT)
    await store.keep({"key/1": None}, ACT)
    await store.aclose()


def rows(database):
    with apsw.Connection(str(database)) as db:
        return dict(db.execute("SELECT name, data FROM setting"))


def put(database, name, value) -> None:
    """As somebody who knows the form and not the key."""
    with apsw.Connection(str(database)) as db:
        if value is None:
            db.execute("DELETE FROM setting WHERE name = ?", (name,))
        else:
            db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


async def test_what_was_kept_is_as_it_was(opened, written):
    store = await opened()
    assert await store.check_records() == ""
    assert await store.records("") == {"policy": b"stricter", "revoked/one": b"yes"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("policy", b"lax"), ("revoked/one", None), ("revoked/two", b"yes"), ("key/1", b"disabled")],
)
async def test_what_another_program_wrote_is_seen_and_stays_seen(opened, written, database, name, value):
    put(database, PREFIX + name, None if value is None else with_checksum(0, value))
    store = await opened()
    assert "changed, added or removed" in await store.check_records()
    await store.keep({"change/1": b"mine"}, ACT)  # by whoever became an officer so
    await store.keep({name: b"anything"}, ACT)
    assert "changed, added or removed" in await store.check_records()


async def test_two_records_that_changed_places_are_seen(opened, written, database):
    before = rows(database)
    put(database, PREFIX + "policy", before[PREFIX + "revoked/one"])
    put(database, PREFIX + "revoked/one", before[PREFIX + "policy"])
    assert "changed, added or removed" in await (await opened()).check_records()


async def test_older_records_with_their_older_seal_are_seen(opened, written, database):
    older = rows(database)
    store = await opened()
    await store.keep({"revoked/two": b"yes", "policy": b"strictest"}, ACT)
    await store.aclose()
    for name in rows(database):
        put(database, name, older.get(name))
    assert "put back as they were earlier" in await (await opened()).check_records()


async def test_a_seal_cannot_be_taken_off_or_made_by_others(opened, written, database):
    put(database, "records_seal", None)
    store = await opened()
    assert "no seal" in await store.check_records()
    await store.keep({"change/1": b"mine"}, ACT)
    assert "no seal" in await store.check_records()
    await store.aclose()
    forger = await opened(key=bytes(32), file=None)
    await forger.renew_seal()
    await forger.aclose()
    store = await opened()
    assert "not the daemon's" in await store.check_records()
    await store.keep({"change/2": b"mine"}, ACT)
    assert "not the daemon's" in await store.check_records()


async def test_records_of_an_earlier_version_are_sealed_once(open_store, opened, database):
    store = (await open_store()).store
    await store.keep({"policy": b"strict"}, ACT)
    await store.aclose()
    store = await opened()
    assert await store.check_records() == ""
    await store.aclose()
    put(database, PREFIX + "policy", with_checksum(0, b"lax"))
    assert await (await opened()).check_records() != ""


async def test_records_without_a_seal_are_not_taken_for_older_ones_where_there_was_one(
    open_store, opened, written, database, mark
):
    put(database, "records_seal", None)
    mark.unlink()
    for _ in range(2):
        store = (await open_store(seal=RecordSeal(KEY, mark, known=True))).store
        assert await store.check_records() == "they have no seal"
        await store.aclose()
    assert await (await opened()).check_records() == ""  # an earlier version's would be


async def test_a_new_database_is_sealed_where_all_are(open_store, mark):
    store = (await open_store(seal=RecordSeal(KEY, mark, known=True))).store
    assert await store.check_records() == ""
    await store.keep({"policy": b"strict"}, ACT)
    assert await store.check_records() == ""


async def test_a_mark_that_came_late_or_cannot_be_written_is_no_trouble(opened, written, mark):
    mark.unlink()
    store = await opened()
    assert await store.check_records() == ""
    count = mark.read_text()
    mark.unlink()
    mark.mkdir()
    await store.keep({"policy": b"new"}, ACT)
    await store.aclose()
    mark.rmdir()
    mark.write_text(count)  # one behind: stopped between the two
    store = await opened()
    assert await store.check_records() == ""
    assert mark.read_text() != count


async def test_what_could_not_be_written_leaves_the_seal_as_it_was(opened, written):
    store = await opened()
    with pytest.raises(Exception, match="leaf of"):
        await store.keep({"policy": b"lax"}, Intent(1, "x" * 70_000, bytes(32), 1, "seal", (), bytes(32)))
    assert await store.check_records() == ""
    assert (await store.records("policy")) == {"policy": b"stricter"}


async def test_a_backup_is_judged_by_the_key_of_its_time(opened, written, mark):
    """After a restore the log has another key: these records are sealed anew, when it is known how they were."""
    store = await opened(key=bytes(32))
    assert await store.judge_records(RecordSeal(KEY)) == ""
    assert "not the daemon's" in await store.judge_records(RecordSeal(b"x" * 32))
    assert "not the daemon's" in await store.check_records()
    await store.renew_seal()
    assert await store.check_records() == ""
