"""The publisher: whatever stops it, and wherever, the next run completes what it left."""

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest
from audit_fakes import FakeSource, fill, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import check
from prometheus_client import CollectorRegistry

from segeld.audit import publisher as module
from segeld.audit import source as sources
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.identity import open_log
from segeld.audit.leaf import Act, encode
from segeld.audit.merkle import consistency_proof, is_consistent
from segeld.audit.metrics import AuditMetrics
from segeld.audit.publisher import Publisher
from segeld.audit.reader import open_log_folder
from segeld.audit.tiles import Tiles
from segeld.audit.verify import verify
from segeld.model.faults import Fault, Reason

OPERATIONS = ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir", "close")


class Killed(BaseException):
    """Nothing after this happens in the process."""


class Disk:
    """Counts file operations, and fails the one that was chosen; or, if it is a kill, that and all after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException) -> None:
        self.seen = 0
        for name in OPERATIONS:
            real = getattr(os, name)

            def operation(*arguments, _real=real, _name=name, **named):
                self.seen += 1
                if self.seen == failing or (isinstance(error, Killed) and self.seen > failing):
                    if _name == "write" and self.seen == failing:
                        _real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                    if _name == "close":
                        _real(*arguments)
                    raise error
                return _real(*arguments, **named)

            monkeypatch.setattr(os, name, operation)


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def checkpoint_of(log) -> Checkpoint:
    return Checkpoint.open((log.folder / "checkpoint").read_bytes(), log.signer.verifier)


def test_what_is_published_is_a_log(made, source):
    leaves = check(made.folder, str(made.signer.verifier))
    assert len(leaves) == source.count == 841
    report = verify(made.folder, made.signer.verifier)
    assert report.problems == []
    assert report.warnings == []
    assert (report.size, report.intents, report.outcomes, report.acts) == (841, 400, 400, 40)
    assert report.signatures + report.unsigned == 1200
    assert files_of(made.folder) == sorted(
        [
            "checkpoint", "index", "key.pub", "salt", "tile/1/000.p/3",
            *(f"tile/{level}/{name}" for level in ("0", "entries") for name in ("000", "001", "002", "003.p/73")),
        ]
    )  # fmt: skip


def test_leaves_in_full_bundles_are_trimmed_and_no_others(made, source):
    assert sorted(source.kept) == list(range(768, 841))


def test_later_runs_go_on(log, source):
    sizes = []
    for chunks in (0, 1, 120, 8, 40, 0, 500):
        fill(source, log, chunks)
        publish(source, log)
        sizes.append(checkpoint_of(log).size)
        assert len(check(log.folder, str(log.signer.verifier))) == source.count == sizes[-1]
        assert verify(log.folder, log.signer.verifier).warnings == []
    assert sizes == sorted(sizes)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=5))
def test_any_sequence_of_runs_gives_the_same_log(tmp_path_factory, counts):
    state = tmp_path_factory.mktemp("state")
    log, source = open_log(state), FakeSource()
    source.record(log.opened(1))
    before = None
    for count in counts:
        source.record(*(encode(Act(number, "probe", "", "")) for number in range(count)))
        publish(source, log)
        now = checkpoint_of(log)
        if before is not None:
            proof = consistency_proof(before.size, now.size, Tiles(log.folder, now.size).node)
            assert is_consistent(before.size, before.root, now.size, now.root, proof)
        before = now
    assert len(check(log.folder, str(log.signer.verifier))) == source.count


def operations_of_a_round(folder: Path) -> int:
    """How many file operations the second run makes that the tests below interrupt."""
    state = folder / "count"
    state.mkdir()
    log, source = open_log(state), FakeSource()
    fill(source, log, 100)
    publish(source, log)
    fill(source, log, 200)
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, 1 << 30, Killed())
        publish(source, log)
    return disk.seen


@pytest.mark.parametrize("error", ["full", "broken", "killed"])
def test_stopped_at_every_file_operation(memory_path, error):
    total = operations_of_a_round(memory_path)
    assert total > 50
    for failing in range(1, total + 1):
        state = memory_path / f"{error}-{failing}"
        state.mkdir()
        log, source = open_log(state), FakeSource()
        fill(source, log, 100)
        publish(source, log)
        first = checkpoint_of(log)
        fill(source, log, 200)
        reason = {"full": OSError(errno.ENOSPC, "x"), "broken": OSError(errno.EIO, "x"), "killed": Killed()}[
            error
        ]

        async def run(source=source, log=log, failing=failing, reason=reason) -> None:
            publisher = Publisher(source, log)
            await publisher.start()
            with pytest.MonkeyPatch.context() as patch:
                Disk(patch, failing, reason)
                try:
                    done = await publisher.publish()
                except Killed:
                    return
            assert done == (publisher.trouble is None)
            if not done:  # the same run recovers by itself
                assert await publisher.publish()
                assert publisher.trouble is None

        asyncio.run(run())
        there = checkpoint_of(log)
        assert there.size >= first.size
        # At any moment the files are those of the checkpoint that stands there.
        assert verify(log.folder, log.signer.verifier).problems == []
        publish(source, log)
        now = checkpoint_of(log)
        tiles = Tiles(log.folder, now.size)
        for old in (first, there):
            proof = consistency_proof(old.size, now.size, tiles.node)
            assert is_consistent(old.size, old.root, now.size, now.root, proof)
        assert len(check(log.folder, str(log.signer.verifier))) == source.count == now.size
        assert verify(log.folder, log.signer.verifier).warnings == []


def test_a_database_that_is_older(made, source):
    source.count = 800
    with pytest.raises(sources.LogAhead, match=r"841 leaves, but the database knows 800.*segeld restore"):
        publish(source, made)


def test_a_database_with_other_leaves(made, source):
    source.kept[800] = encode(Act(1, "other", "", ""))
    with pytest.raises(sources.LogDiffers, match=r"have not the root.*segeld restore"):
        publish(source, made)


def test_a_database_that_lost_leaves(made, source):
    del source.kept[800]
    with pytest.raises(sources.LogDiffers, match="leaf 800 is neither"):
        publish(source, made)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: (folder / "tile/0/001").unlink(), "tile/0/001 is missing"),
        (lambda folder: (folder / "tile/entries/001").unlink(), "tile/entries/001 is missing"),
        (lambda folder: (folder / "tile/0/000").write_bytes(b"x"), "tile/0/000 was changed: it has 1 octet."),
        (lambda folder: (folder / "tile/0/001").write_bytes(bytes(8192)), "have not the root"),
        (lambda folder: (folder / "checkpoint").write_text("x"), "is not this log's"),
        (
            lambda folder: (folder / "checkpoint").unlink(),
            "the files hold 0 leaves of 841, and the database has given away",
        ),
    ],
)
def test_files_that_were_changed(made, source, change, text):
    change(made.folder)
    with pytest.raises(sources.LogUnfit, match=text):
        publish(source, made)


def test_files_that_are_older(log, source):
    fill(source, log, 260)
    publish(source, log)
    note = (log.folder / "checkpoint").read_bytes()
    fill(source, log, 260)
    publish(source, log)
    (log.folder / "checkpoint").write_bytes(note)
    with pytest.raises(sources.LogDiffers, match="leaf 512 is neither in full files nor in the database"):
        publish(source, log)
    source.count, source.kept = 600, dict.fromkeys(range(512, 600), b"x")
    with pytest.raises(sources.LogDiffers, match=r"have not the root"):
        publish(source, log)


def test_the_last_partial_files_may_be_lost(made, source):
    """They are not made durable: the database has those leaves."""
    for path in made.folder.rglob("*.p/*"):
        path.write_bytes(b"")
    publish(source, made)
    assert len(check(made.folder, str(made.signer.verifier))) == 841


async def test_every_interval_and_at_once_when_there_is_enough(log, source, monkeypatch):
    fill(source, log, 1)
    published = asyncio.Event()

    async def trim(before: int) -> None:
        """Asked for when the first full file is there, and no earlier."""
        if before == 256:
            published.set()

    monkeypatch.setattr(source, "trim_leaves", trim)
    publisher = Publisher(source, log, interval=60, every=300)
    await publisher.start()
    task = asyncio.create_task(publisher.run())
    while source.count < 300:
        publisher.recorded(source.record(encode(Act(1, "probe", "", ""))))
    async with asyncio.timeout(10):
        await published.wait()
    publisher.recorded(source.record(encode(Act(1, "probe", "", ""))))
    assert publisher.behind > 0
    await publisher.aclose()
    assert publisher.size == source.count
    assert publisher.behind == 0
    await task


async def test_trouble_is_told_and_ends_by_itself(log, source, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.02)
    fill(source, log, 1)
    told = asyncio.Queue()
    publisher = Publisher(source, log, interval=0.01, on_trouble=told.put_nowait)
    await publisher.start()
    with pytest.MonkeyPatch.context() as patch:
        real = os.fsync
        full = True

        def fsync(descriptor: int) -> None:
            if full:
                raise OSError(errno.ENOSPC, "no", "/audit/checkpoint.new")
            real(descriptor)

        patch.setattr(os, "fsync", fsync)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            text = await told.get()
            assert "/audit/checkpoint.new no space left on device" in text
            assert "kept in the database" in text
            assert publisher.trouble == text
            full = False
            assert await told.get() is None
        source.raises = Fault(Reason.STORAGE_UNAVAILABLE, "The database is away.")
        async with asyncio.timeout(10):
            assert await told.get() == "The audit log's leaves cannot be read: The database is away."
            source.raises = None
            assert await told.get() is None
    await publisher.aclose()
    await task
    assert publisher.size == source.count


@pytest.mark.parametrize("name", ["key.pub", "salt", "checkpoint", "tile/entries/002"])
async def test_files_that_somebody_removes_meanwhile(made, source, name):
    publisher = Publisher(source, made)
    await publisher.start()
    assert await publisher.publish()
    path = made.folder / name
    path.rename(made.folder.parent / "kept")
    source.record(encode(Act(1, "probe", "", "")))
    assert not await publisher.publish()
    assert publisher.trouble is not None
    assert publisher.trouble.startswith(f"somebody removed files of the audit log: {path} is missing")
    assert not path.exists()
    (made.folder.parent / "kept").rename(path)
    assert await publisher.publish()
    assert publisher.trouble is None
    assert len(check(made.folder, str(made.signer.verifier))) == source.count


async def test_cancelled_in_the_middle(log, source):
    fill(source, log, 500)
    publisher = Publisher(source, log)
    await publisher.start()
    for _ in range(5):
        task = asyncio.create_task(publisher.publish())
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait({task})
    await publisher.aclose()
    assert len(check(log.folder, str(log.signer.verifier))) == source.count


async def test_metrics(made, source):
    publisher = Publisher(source, made)
    registry = CollectorRegistry()
    AuditMetrics(registry, publisher)
    await publisher.start()
    assert registry.get_sample_value("segel_audit_leaves") == 841
    assert registry.get_sample_value("segel_audit_behind_seconds") == 0
    publisher.recorded(841)
    assert registry.get_sample_value("segel_audit_behind_seconds") > 0
    assert registry.get_sample_value("segel_audit_trouble") == 0


def test_a_reader_beside_a_writer(log, source):
    """Whoever read a checkpoint can read its tree, though wider partial files took the place of its own."""
    fill(source, log, 100)
    publish(source, log)
    before = open_log_folder(log.folder, log.signer.verifier)
    fill(source, log, 10)
    publish(source, log)
    assert [len(before.tiles.leaves(number)) for number in (0,)] == [before.checkpoint.size]
    assert len(before.tiles.hashes(0, 0)) == before.checkpoint.size
    fill(source, log, 100)
    publish(source, log)
    before = type(before)(
        log.folder, before.note, before.checkpoint, True, Tiles(log.folder, before.checkpoint.size)
    )
    assert len(before.tiles.leaves(0)) == before.checkpoint.size
    assert before.tiles.node(7, 0) == Tiles(log.folder, source.count).node(7, 0)


def test_modes(made):
    for path in made.folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o007 == 0
        assert path.name != "salt" or mode == 0o600
