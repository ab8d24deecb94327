"""The PIN guard's file: what was written last is read, whatever write was interrupted; an outcome needs no new room."""

import errno
import os
from pathlib import Path
from stat import S_ISDIR

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeld.supervisor import guard_file
from segeld.supervisor.guard_file import Damaged, GuardFile

BLOCK = 512
"""What st_blocks counts."""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "pin-guard"


def opened(path: Path) -> GuardFile:
    file = GuardFile(path)
    file.read()
    return file


def no_room(monkeypatch) -> None:
    """No file can be made any more, and none grows: what is written over takes none."""
    real_open, real_pwrite = os.open, os.pwrite

    def open_(path, flags, *rest):
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_open(path, flags, *rest)

    def pwrite(descriptor, data, at):
        taken = os.fstat(descriptor).st_blocks * BLOCK
        if at + len(data) > taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_pwrite(descriptor, data, at)

    monkeypatch.setattr(guard_file.os, "open", open_)
    monkeypatch.setattr(guard_file.os, "pwrite", pwrite)


def test_there_is_nothing_before_the_first_write(path) -> None:
    assert GuardFile(path).read() is None


@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(st.tuples(st.booleans(), st.integers(0, 12_000)), min_size=1, max_size=8),
    again=st.booleans(),
)
def test_what_was_written_last_is_read(tmp_path_factory, writes, again) -> None:
    path = tmp_path_factory.mktemp("guard") / "pin-guard"
    file = opened(path)
    for number, (over, length) in enumerate(writes):
        body = bytes([number]) * length
        (file.write_over if over else file.write)(body)
        assert GuardFile(path).read() == body
        if again:
            file = opened(path)
    assert [each.name for each in path.parent.iterdir()] == ["pin-guard"]
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(st.integers(0, 300), min_size=1, max_size=4), length=st.integers(0, 300), data=st.data()
)
def test_an_interrupted_write_leaves_what_was_true_before_it(tmp_path_factory, before, length, data) -> None:
    """Killed after any number of octets, in any order of sectors: the new content, or the one before it."""
    path = tmp_path_factory.mktemp("guard") / "pin-guard"
    file = opened(path)
    for number, size in enumerate(before):
        file.write(bytes([number + 1]) * size)
    was, old = path.read_bytes(), GuardFile(path).read()
    new = b"N" * length
    file.write_over(new)
    now = path.read_bytes()
    changed = [at for at in range(len(was)) if was[at] != now[at]]
    torn = bytearray(was)
    for at in data.draw(st.sets(st.sampled_from(changed))) if changed else ():
        torn[at] = now[at]
    path.write_bytes(torn)
    assert GuardFile(path).read() == (new if torn == now else old)


def test_an_outcome_is_written_when_there_is_no_room_any_more(path, monkeypatch) -> None:
    file = opened(path)
    file.write(b"attempt" * 300)
    status = path.stat()
    assert status.st_blocks * BLOCK >= status.st_size, "holes would need room later"
    with monkeypatch.context() as full:
        no_room(full)
        file.write_over(b"outcome!" * 300)
        with pytest.raises(OSError, match="No space"):
            file.write(bytes(20_000))
    assert GuardFile(path).read() == b"outcome!" * 300
    assert (path.stat().st_ino, path.stat().st_size) == (status.st_ino, status.st_size)


@pytest.mark.parametrize("length", [2000, 2033, 2066])
def test_every_attempt_leaves_room_for_its_outcome(path, monkeypatch, length) -> None:
    file = opened(path)
    for attempt in range(70):  # most find room enough, and take none
        file.write(bytes(length + 100 * attempt))
        with monkeypatch.context() as full:
            no_room(full)
            file.write_over(bytes(length + 100 * attempt + 200))


def test_after_a_write_that_failed_what_was_there_before_is_there(path, monkeypatch) -> None:
    file = opened(path)
    file.write(b"old")
    with monkeypatch.context() as broken:
        broken.setattr(guard_file.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(OSError, match="broken"):
            file.write_over(b"new")
    file.write_over(b"newer")
    assert GuardFile(path).read() == b"newer"
    with monkeypatch.context() as full:
        no_room(full)
        with pytest.raises(OSError, match="No space"):
            file.write(bytes(50_000))
    assert GuardFile(path).read() == b"newer"
    assert [each.name for each in path.parent.iterdir()] == ["pin-guard"]


def test_a_file_that_was_put_in_its_place_is_not_written_into(path) -> None:
    file = opened(path)
    for body in (b"1", b"2", b"3"):
        file.write(body)
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy)
    file.write_over(b"4")
    assert GuardFile(path).read() == b"4"
    path.unlink()
    file.write_over(b"5")
    assert GuardFile(path).read() == b"5"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0" * 400, b"\0" * 8192, b"\xff" * 8192])
def test_what_was_never_written_is_damaged(path, content) -> None:
    path.write_bytes(content)
    with pytest.raises(Damaged):
        GuardFile(path).read()


def test_links_and_what_is_no_file_are_not_followed(path) -> None:
    GuardFile(path).write(b"content")
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(Damaged):
        GuardFile(path).read()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Damaged, match="no regular file"):
        GuardFile(path).read()


def test_what_is_written_is_on_the_disk_before_anybody_is_told(path, monkeypatch) -> None:
    done: list[str] = []
    real_pwrite, real_fsync, real_rename = os.pwrite, os.fsync, Path.rename

    def pwrite(descriptor, data, at):
        done.append("write")
        return real_pwrite(descriptor, data, at)

    def fsync(descriptor) -> None:
        done.append("fsync of the folder" if S_ISDIR(os.fstat(descriptor).st_mode) else "fsync")
        real_fsync(descriptor)

    def rename(old, new):
        done.append("rename")
        return real_rename(old, new)

    monkeypatch.setattr(guard_file.os, "pwrite", pwrite)
    monkeypatch.setattr(guard_file.os, "fsync", fsync)
    monkeypatch.setattr(guard_file.Path, "rename", rename)
    file = opened(path)
    file.write(b"attempt")
    assert done == ["write", "write", "fsync", "rename", "fsync of the folder"]
    done.clear()
    file.write_over(b"outcome")
    assert done == ["write", "fsync"]
