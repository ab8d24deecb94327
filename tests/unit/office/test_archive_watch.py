"""That leaves were archived stands in the log: who did it, which leaves; once, and also if nobody was there to see it."""

import asyncio
import shutil

import pytest

from segeld.audit import layout
from segeld.audit.archived import Mark
from segeld.audit.identity import open_log
from segeld.model.faults import Fault, Reason
from segeld.office.archive_watch import RECORD, ArchiveWatch

BEFORE = 1_790_000_000_000


class Kept:
    """Records that are kept, with their leaves."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.leaves = []
        self.full = False
        self.told = asyncio.Event()

    async def records(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in self.there.items() if name.startswith(prefix)}

    async def keep(self, writes, leaf) -> int:
        if self.full:
            raise Fault(Reason.STORAGE_UNAVAILABLE, "The disk is full.")
        self.there |= writes
        self.leaves.append(leaf)
        self.told.set()
        return len(self.leaves)


@pytest.fixture
def log(tmp_path):
    return open_log(tmp_path)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def archived(log, bundles: int, by: str = "siti as root") -> None:
    note = Mark(log.origin, bundles, BEFORE, bytes(32), by).sign(log.signer)
    path = log.folder / layout.ARCHIVED
    path.with_suffix(".new").write_bytes(note)
    path.with_suffix(".new").replace(path)


def look(watch, times: int = 1) -> None:
    async def often() -> None:
        for _ in range(times):
            await watch.look()

    asyncio.run(often())


def test_each_archiving_is_one_act(log, kept):
    watch = ArchiveWatch(kept, log)
    look(watch, 2)
    assert kept.leaves == []
    archived(log, 2)
    look(watch, 3)
    archived(log, 1003, "made")
    look(watch, 3)
    first, second = kept.leaves
    assert (first.what, first.who, first.subject) == ("log archived", "siti as root", log.origin)
    assert first.facts == {
        "leaves": "0 to 511",
        "files": "tile/entries/000 to tile/entries/001",
        "all before": "2026-09-21 14:13:20.000Z",
    }
    assert (second.who, second.facts["leaves"]) == ("made", "512 to 256767")
    assert second.facts["files"] == "tile/entries/002 to tile/entries/x001/002"


def test_a_restart_does_not_say_it_again(log, kept):
    archived(log, 2)
    look(ArchiveWatch(kept, log))
    look(ArchiveWatch(kept, log))
    assert len(kept.leaves) == 1
    archived(log, 3)
    look(ArchiveWatch(kept, log))
    assert kept.leaves[1].facts["leaves"] == "512 to 767"


def test_what_was_not_recorded_is_tried_again(log, kept):
    watch = ArchiveWatch(kept, log)
    archived(log, 2)
    kept.full = True
    look(watch, 2)
    assert (kept.leaves, kept.there) == ([], {})
    kept.full = False
    look(watch)
    assert len(kept.leaves) == 1


def test_another_log_begins_with_nothing_archived(log, kept, tmp_path):
    archived(log, 5)
    look(ArchiveWatch(kept, log))
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    following = open_log(tmp_path)
    assert following.origin != log.origin
    archived(following, 1)
    look(ArchiveWatch(kept, following))
    assert kept.leaves[-1].facts["leaves"] == "0 to 255"
    assert kept.there[RECORD].startswith(following.origin.encode())


@pytest.mark.parametrize("how", ["changed", "of another key", "no mark", "a folder"])
def test_a_mark_that_is_not_the_logs_is_not_believed(log, kept, how, tmp_path):
    archived(log, 2)
    path = log.folder / layout.ARCHIVED
    if how == "changed":
        path.write_bytes(path.read_bytes().replace(b"\n2\n", b"\n3\n"))
    elif how == "of another key":
        (tmp_path / "other").mkdir()
        path.write_bytes(Mark(log.origin, 2, BEFORE, bytes(32)).sign(open_log(tmp_path / "other").signer))
    elif how == "no mark":
        path.write_bytes(b"a letter")
    else:
        path.unlink()
        path.mkdir()
    watch = ArchiveWatch(kept, log)
    look(watch, 2)
    assert kept.leaves == []
    if how == "a folder":
        path.rmdir()
    archived(log, 2)
    look(watch)
    assert len(kept.leaves) == 1


def test_it_is_seen_while_the_daemon_runs(log, kept):
    async def run() -> None:
        watch = ArchiveWatch(kept, log, interval=0.001)
        task = asyncio.create_task(watch.run())
        archived(log, 2)
        async with asyncio.timeout(30):
            await kept.told.wait()
        task.cancel()

    asyncio.run(run())
