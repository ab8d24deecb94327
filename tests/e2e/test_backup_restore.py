"""A backup is taken while the daemon signs, and put back; the log shows that, and both logs can be verified."""

import asyncio
import hashlib
import shutil
import subprocess
import sys

import pytest

import segel
from segel.models_changes import AdoptLog
from segel.testing import DevDaemonError, dev_daemon

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(600)]


def run(*arguments, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def verify(log, key) -> str:
    return run("segeld.ctl", "audit", "verify", "--dir", log, "--key", key)


@pytest.fixture
def bed(tmp_path, ready_beds):
    return ready_beds.at(tmp_path / "bed", "p256").directory


def adopt(daemon) -> None:
    """What two officers do after a restore, before anything is signed."""

    async def change() -> None:
        target = daemon.environment["SEGELCTL_TARGET"]
        async with (
            segel.Officer.connect(target, tls=daemon.tls("wayan")) as one,
            segel.Officer.connect(target, tls=daemon.tls("made")) as other,
        ):
            asked = await one.changes.propose(AdoptLog())
            await other.changes.approve(asked.name, asked.action_hash)
            await one.changes.run(asked.name)

    asyncio.run(change())


def signed(daemon, request_id: str) -> list:
    with daemon.client() as client:
        job = client.jobs.create(daemon.key, DIGESTS, request_id=request_id)
        job.wait(timeout=60)
        return list(job.results())


def test_a_backup_is_restored_and_a_new_log_continues_the_old_one(bed, tmp_path) -> None:
    config, backup, state = bed / "segeld.toml", tmp_path / "backup.db", bed / "state"
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        before = signed(daemon, "before")
        assert "checked" in run("segeld", "backup", backup, "--config", config)
        assert "is there already" in run("segeld", "backup", backup, "--config", config, code=1)
        signed(daemon, "after")
        assert "in use" in run("segeld", "restore", backup, "--config", config, code=1)
    first_key = (state / "audit" / "key.pub").read_text().strip()

    said = run("segeld", "restore", backup, "--config", config)
    (old_log,) = state.glob("audit-*")
    new_key = next(word for word in said.split() if word.startswith("segel/"))
    assert "verified" in verify(old_log, first_key)

    with dev_daemon("--workers", "1", directory=bed) as daemon:
        adopt(daemon)
        again = signed(daemon, "before")
        assert [one.value for one in again] == [one.value for one in before]
        assert {one.leaf_index for one in again} == {0}, (
            "a receipt of the old log was given out for the new one"
        )
        with daemon.client() as client:
            assert [job.request_id for job in client.jobs.list()] == ["before"]
        assert len(signed(daemon, "after")) == len(DIGESTS)
    told = verify(state / "audit", new_key)
    assert "continues" in told
    assert first_key.split("+")[0] in told


def test_a_database_that_is_older_than_its_log_is_not_started(bed, tmp_path) -> None:
    database, copy = bed / "state" / "segel.db", tmp_path / "copy.db"
    with dev_daemon("--workers", "1", directory=bed):
        pass
    shutil.copy(database, copy)
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        signed(daemon, "later")
    shutil.copy(copy, database)
    with pytest.raises(DevDaemonError, match="older than the log") as refused, dev_daemon(directory=bed):
        pass
    assert "segeld restore" in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_database_does_not_take_another_log(bed, tmp_path) -> None:
    state = bed / "state"
    with dev_daemon("--workers", "1", directory=bed):
        pass
    shutil.rmtree(state / "audit")
    (state / "audit.key").unlink()
    with pytest.raises(DevDaemonError, match="and its key are gone, though"), dev_daemon(directory=bed):
        pass
    assert not (state / "audit").exists(), "an empty log was made before it was refused"


def test_a_database_does_not_take_a_log_of_another_daemon(bed, tmp_path, ready_beds) -> None:
    other = ready_beds.at(tmp_path / "other", "p256").directory
    for folder in (bed, other):
        with dev_daemon("--workers", "1", directory=folder):
            pass
    shutil.rmtree(bed / "state" / "audit")
    shutil.copytree(other / "state" / "audit", bed / "state" / "audit")
    shutil.copy(other / "state" / "audit.key", bed / "state" / "audit.key")
    with pytest.raises(DevDaemonError, match="do not belong together"), dev_daemon(directory=bed):
        pass


@pytest.mark.parametrize("lost", ["audit", "audit/checkpoint", "audit/key.pub", "audit.key"])
def test_a_restore_after_the_log_was_lost(bed, tmp_path, lost) -> None:
    config, backup, state = bed / "segeld.toml", tmp_path / "backup.db", bed / "state"
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        signed(daemon, "before")
    run("segeld", "backup", backup, "--config", config)
    path = state / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = run("segeld", "restore", backup, "--config", config)
    unlinked = lost in {"audit", "audit/checkpoint"}
    assert ("THE OLD AUDIT LOG CANNOT BE LINKED" in said) == unlinked
    key = next(word for word in said.split() if word.startswith("segel/"))
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        adopt(daemon)
        signed(daemon, "after")
    verify(state / "audit", key)
    told = run("segeld.ctl", "audit", "tail", "-n", "1000", "--dir", state / "audit")
    assert ("log not linked" in told) == unlinked
    lines = told.splitlines()
    adopted = next(number for number, line in enumerate(lines) if "log adopted" in line)
    assert not [line for line in lines[:adopted] if "probe" in line], "signed before it was adopted"
    assert [line for line in lines[adopted:] if "probe" in line], "keys were not proved before they signed"


def test_what_is_no_backup_changes_nothing(bed, tmp_path) -> None:
    config, state, other = bed / "segeld.toml", bed / "state", tmp_path / "other.db"
    with dev_daemon("--workers", "1", directory=bed):
        pass
    other.write_bytes(b"a letter")
    before = sorted(path.name for path in state.iterdir())
    assert "is no backup of segel" in run("segeld", "restore", other, "--config", config, code=1)
    assert sorted(path.name for path in state.iterdir()) == before
    nowhere = tmp_path / "none" / "backup.db"
    assert "there is no folder" in run("segeld", "backup", nowhere, "--config", config, code=1)
