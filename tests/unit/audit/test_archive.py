"""Old leaves are moved away whole or not at all, whatever stops it, and the log can be verified with them and without."""

import asyncio
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from audit_fakes import FakeSource, fill, publish, signature_of
from independent import Wrong, check
from typer.testing import CliRunner

from segel.cli.exit_codes import ExitCode
from segeld.audit import archive as archiving
from segeld.audit import files, find
from segeld.audit.archive import archive
from segeld.audit.archived import Mark, read_mark
from segeld.audit.find_index import FILE, IndexWriter, candidates
from segeld.audit.identity import LogIncomplete, open_log
from segeld.audit.note import BadNote
from segeld.audit.publisher import Publisher
from segeld.audit.reader import open_log_folder
from segeld.audit.tiles import BadFile, LogUnreadable
from segeld.audit.verify import verify
from segeld.ctl.main import app

LATER = 1_999_000_000_000
"""After every leaf."""


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def bundles(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in (folder / "tile/entries").glob("*")
        if path.is_file() and path.suffix != files.NEW
    )


def both(log, *archives: Path):
    """Both verifiers' verdict, which must be one."""
    report = verify(log.folder, log.signer.verifier, archives=archives)
    try:
        check(log.folder, str(log.signer.verifier), *archives)
    except Wrong:
        assert not report.is_good
    else:
        assert report.is_good, report.problems
    return report


def start_and_stop(source, log) -> None:
    publish(source, log)


def test_what_is_older_goes_and_the_rest_stays(made, source, target):
    whole = both(made)
    done = archive(made.folder, target, LATER, made.signer)
    assert (done.bundles, done.copied, done.removed) == (2, 2, 2)
    assert (bundles(made.folder), bundles(target)) == (["002"], ["000", "001"]), "the last full one stays"
    without, with_it = both(made), both(made, target)
    assert (without.is_good, without.away, without.root) == (True, [(0, 511)], whole.root)
    assert with_it == whole
    assert without.unfinished_count == 0
    fill(source, made, 300)
    start_and_stop(source, made)
    assert both(made, target).is_good
    assert archive(made.folder, target, LATER, made.signer).bundles == source.count // 256 - 1
    assert both(made, target).away == []


def test_nothing_is_moved_that_is_not_older(made, target):
    first = 1_790_000_000_000
    assert archive(made.folder, target, first + 500, made.signer).bundles == 1
    assert read_mark(made.folder, made.signer.verifier).before <= first + 500
    assert archive(made.folder, target, first, made.signer).bundles == 1
    assert both(made, target).is_good


def test_a_dry_run_changes_nothing(made, target):
    done = archive(made.folder, target, LATER, made.signer, dry=True)
    assert (done.bundles, done.removed) == (2, 2)
    assert (bundles(made.folder), list(target.iterdir())) == (["000", "001", "002"], [])


def killed_at(step: int, folder: Path, target: Path, state: Path) -> None:
    """A process that archives, and dies by SIGKILL before its step-th change of anything on the disk."""
    left = [step]

    def counted(real):
        def call(*given, **more):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*given, **more)

        return call

    for name in ("write", "sync", "remove"):
        setattr(files, name, counted(getattr(files, name)))
    os.fsync, Path.replace = counted(os.fsync), counted(Path.replace)
    archive(folder, target, LATER, open_log(state).signer)


def test_killed_at_any_step_and_run_again(made, source, state_dir, target):
    expected = both(made)
    context = multiprocessing.get_context("fork")
    saved = state_dir.parent / "saved"
    shutil.copytree(state_dir, saved)
    kept, count, step, killed = dict(source.kept), source.count, 0, True
    while killed:
        process = context.Process(target=killed_at, args=(step, made.folder, target, state_dir))
        process.start()
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        assert killed or not process.exitcode
        assert both(made, *([target] if (target / "archived").exists() else [])).is_good, step
        assert {*bundles(made.folder), *bundles(target)} == {"000", "001", "002"}, step
        again = FakeSource()
        again.kept, again.count = dict(kept), count
        start_and_stop(again, open_log(state_dir))
        assert archive(made.folder, target, LATER, made.signer).bundles == 2
        assert (bundles(made.folder), bundles(target)) == (["002"], ["000", "001"])
        report = both(made, target)
        assert (report.root, report.signatures) == (expected.root, expected.signatures)
        shutil.rmtree(state_dir)
        shutil.copytree(saved, state_dir)
        shutil.rmtree(target)
        target.mkdir()
        step += 1
    assert step > 15


def test_a_disk_that_is_full(made, target, monkeypatch):
    def full(*_given, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archiving.files, "write", full)
    with pytest.raises(OSError, match="No space"):
        archive(made.folder, target, LATER, made.signer)
    assert bundles(made.folder) == ["000", "001", "002"]
    assert read_mark(made.folder, made.signer.verifier) is None


def test_a_bundle_that_was_changed_is_not_moved(made, target):
    path = made.folder / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="bundle 1"):
        archive(made.folder, target, LATER, made.signer)
    assert bundles(made.folder) == ["000", "001", "002"]


def test_the_mark_says_who_archived(made, target):
    archive(made.folder, target, LATER, made.signer, by="siti as root")
    mark = read_mark(made.folder, made.signer.verifier)
    assert (mark.by, mark.bundles) == ("siti as root", 2)
    assert read_mark(target, made.signer.verifier) == mark
    assert both(made, target).is_good


def test_a_mark_of_an_earlier_version_names_nobody(made, target):
    archive(made.folder, target, LATER, made.signer)
    mark = read_mark(made.folder, made.signer.verifier)
    assert mark.by == ""
    note = mark.sign(made.signer)
    assert Mark.open(note, made.signer.verifier) == mark
    for added in ("siti\n", "siti\nmore\n"):  # signed by nobody, or of too many lines
        with pytest.raises(BadNote):
            Mark.open(note.replace(b"\n\n", b"\n" + added.encode() + b"\n", 1), made.signer.verifier)


def test_another_bundle_in_the_archive(made, target):
    files.write(target / "tile/entries/001", b"another", durable=True)
    with pytest.raises(BadFile, match="not the bundle that the log has"):
        archive(made.folder, target, LATER, made.signer)
    assert bundles(made.folder) == ["000", "001", "002"]


def test_another_logs_archive(made, target, tmp_path):
    (tmp_path / "other").mkdir()
    other, leaves = open_log(tmp_path / "other"), FakeSource()
    fill(leaves, other, 400)
    publish(leaves, other)
    archive(other.folder, target, LATER, other.signer)
    with pytest.raises(LogUnreadable, match="archive of another log"):
        archive(made.folder, target, LATER, made.signer)
    with pytest.raises(LogUnreadable, match="archive of another log"):
        open_log_folder(made.folder, None, (target,))


def test_removed_without_an_archive_is_noticed(made, source, target):
    archive(made.folder, target, LATER, made.signer)
    fill(source, made, 300)
    publish(source, made)
    (made.folder / "tile/entries/002").unlink()
    assert "it is missing" in str(both(made, target).problems[0])
    with pytest.raises(LogIncomplete, match="002 is missing"):
        start_and_stop(source, open_log(made.folder.parent))


@pytest.mark.parametrize("how", ["changed", "gone", "more", "of another tree"])
def test_a_mark_that_is_not_right_excuses_nothing(made, source, target, how, tmp_path):
    archive(made.folder, target, LATER, made.signer)
    path = made.folder / "archived"
    mark = read_mark(made.folder, made.signer.verifier)
    (tmp_path / "other").mkdir()
    if how == "changed":
        path.write_bytes(path.read_bytes().replace(b"\n2\n", b"\n3\n"))
    elif how == "gone":
        path.unlink()
    elif how == "more":  # as another key would sign it
        path.write_bytes(
            Mark(mark.origin, 3, mark.before, mark.root).sign(
                open_log(tmp_path / "other", made.origin).signer
            )
        )
    else:
        path.write_bytes(Mark(mark.origin, 2, mark.before, bytes(32)).sign(made.signer))
    assert not both(made).is_good
    with pytest.raises(LogIncomplete):
        start_and_stop(source, open_log(made.folder.parent))


def test_a_mark_and_a_checkpoint_are_not_taken_for_one_another(made, target):
    archive(made.folder, target, LATER, made.signer)
    mark, checkpoint = (made.folder / "archived").read_bytes(), (made.folder / "checkpoint").read_bytes()
    with pytest.raises(BadNote):
        Mark.open(checkpoint, made.signer.verifier)
    (made.folder / "checkpoint").write_bytes(mark)
    assert not verify(made.folder, made.signer.verifier).is_good


def test_while_the_daemon_writes(log, source, target):
    async def run() -> None:
        fill(source, log, 600)
        publisher = Publisher(source, log, interval=0.001, every=50)
        await publisher.start()
        await publisher.publish()
        task = asyncio.create_task(publisher.run())
        for _ in range(5):
            fill(source, log, 200)
            publisher.recorded(source.count - 1)
            await asyncio.to_thread(archive, log.folder, target, LATER, log.signer)
            report = await asyncio.to_thread(verify, log.folder, log.signer.verifier, archives=(target,))
            assert report.problems == []
            assert publisher.trouble is None
        await publisher.aclose()
        await task

    asyncio.run(run())
    assert bundles(target)
    assert both(log, target).is_good


def test_finding_says_what_was_not_read(made, target):
    log = open_log_folder(made.folder, None)
    wanted = hashlib.sha256(signature_of(100)).digest()
    (before,) = find.items(log, signature=wanted)
    recent = hashlib.sha256(signature_of(77_800)).digest()
    archive(made.folder, target, LATER, made.signer)
    for everything in (False, True):
        log = open_log_folder(made.folder, None)
        assert list(find.items(log, signature=wanted, everything=everything)) == []
        assert log.unread == ([0, 1] if everything else [0])
        log = open_log_folder(made.folder, None, (target,))
        assert list(find.items(log, signature=wanted, everything=everything)) == [before]
        assert log.unread == []
    log = open_log_folder(made.folder, None)
    list(find.items(log, signature=recent))
    assert log.unread == [], "the index knows that it is not in the archive"


def test_an_index_that_is_made_after_archiving_does_not_deny(made, target):
    archive(made.folder, target, LATER, made.signer)
    (made.folder / FILE).unlink()
    log = open_log_folder(made.folder, None)
    writer = IndexWriter.open(made.folder, made.origin)
    writer.catch_up(log.tiles)
    writer.close()
    assert candidates(made.folder, made.origin, (bytes(32),)) == (3, [0, 1])
    IndexWriter.open(made.folder, made.origin).close()
    assert candidates(made.folder, made.origin, (bytes(32),)) == (3, [0, 1])


@pytest.fixture
def run(made, monkeypatch):
    monkeypatch.setenv("SEGEL_AUDIT_DIR", str(made.folder))
    return lambda *arguments: CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_commands(run, made, target, tmp_path):
    key = tmp_path / "audit.pub"
    key.write_text(f"{made.signer.verifier}\n")
    wanted = hashlib.sha256(signature_of(100)).hexdigest()
    answer = run("archive", "--before", "2026-10-01", "--to", target, "--dry-run", "--json")
    assert json.loads(answer.stdout)["removed"] == 2
    assert run("archive", "--before", "2026-10-01", "--to", target).exit_code == ExitCode.OK
    assert bundles(target) == ["000", "001"]
    answer = run("verify", "--key", key)
    assert answer.exit_code == ExitCode.OK
    assert "leaves 0 to 511 were archived and not read" in answer.stderr
    assert run("verify", "--key", key, "--archive", target).stderr == ""
    answer = run("find", "--signature", wanted)
    assert answer.exit_code == ExitCode.FAILED
    assert "leaves 0 to 255 (tile/entries/000) may say more" in answer.stderr
    assert run("find", "--signature", wanted, "--archive", target).exit_code == ExitCode.OK
    answer = run("prove", "--leaf", 5)
    assert answer.exit_code == ExitCode.FAILED
    assert "tile/entries/000: leaves 0 to 255 were archived: give --archive" in answer.stderr
    assert run("prove", "--leaf", 5, "--archive", target).exit_code == ExitCode.OK
    answer = run("export")
    assert answer.exit_code == ExitCode.FAILED
    assert json.loads(answer.stdout.splitlines()[-1])["archived_unread"] == [[0, 255], [256, 511]]
    assert run("export", "--from", "2026-10-01").exit_code == ExitCode.OK
    assert run("export", "--archive", target).exit_code == ExitCode.OK


@pytest.mark.parametrize(("arguments", "text"), [
    (("--before", "2999-01-01", "--to", "{target}"), "in the future"),
    (("--before", "2026-10-01", "--to", "{target}/none"), "there is no folder"),
    (("--before", "2026-10-01", "--to", "{folder}/tile"), "lies in the log's own folder"),
    (("--before", "soon", "--to", "{target}"), "is no time"),
])  # fmt: skip
def test_refused(run, made, target, arguments, text):
    answer = run("archive", *(one.format(target=target, folder=made.folder) for one in arguments))
    assert answer.exit_code == ExitCode.USAGE
    assert text in answer.stderr
    assert bundles(made.folder) == ["000", "001", "002"]


def test_a_copy_cannot_be_archived(made, target, tmp_path):
    shutil.copytree(made.folder, tmp_path / "copy" / "audit")
    answer = CliRunner().invoke(
        app,
        [
            "audit",
            "archive",
            "--dir",
            str(tmp_path / "copy/audit"),
            "--before",
            "2026-10-01",
            "--to",
            str(target),
        ],
    )
    assert answer.exit_code == ExitCode.FAILED
    assert "not the log of a daemon on this machine" in answer.stderr
