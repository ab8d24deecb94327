"""Outputs: decided beforehand, whole or not at all, and nothing that was there is lost."""

import asyncio
import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from segel.cli import drafts
from segel.cli.drafts import OutputExistsError, draft
from segel.cli.failures import CannotWrite, FileRefused, UsageError
from segel.cli.plan import leave_out_finished, plan


def tasks(*files: str, **options):
    return plan(
        files,
        beside=lambda path: path.with_name(path.name + ".sig"),
        in_folder=lambda path: path.name + ".sig",
        **options,
    )


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def write(target: Path, content: bytes = b"new", **options) -> None:
    async with draft(target, **{"replace": False} | options) as file:
        file.write(content)


async def write_half(target: Path, *, replace: bool) -> None:
    async with draft(target, replace=replace) as file:
        file.write(b"half")
        raise ZeroDivisionError


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def write_too_late(target: Path) -> None:
    async with draft(target, replace=False) as file:
        file.write(b"mine")
        put(target, b"another's")


async def test_file_appears_whole(tmp_path):
    target = tmp_path / "surat keputusan №1.sig"
    async with draft(target, replace=False) as file:
        file.write(b"half")
        file.flush()
        assert not target.exists()
        file.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert names_in(tmp_path) == [target.name]


@pytest.mark.parametrize("replace", [False, True])
async def test_failure_leaves_nothing(replace, tmp_path):
    target = tmp_path / "a.sig"
    with pytest.raises(ZeroDivisionError):
        await write_half(target, replace=replace)
    assert names_in(tmp_path) == []


async def test_failure_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.sig"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        await write_half(target, replace=True)
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.sig"]


async def test_existing_output_is_refused(tmp_path):
    target = tmp_path / "a.sig"
    target.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="exists already; give --force"):
        await write(target)
    assert target.read_bytes() == b"old"


async def test_what_is_no_file_is_never_replaced(tmp_path):
    """Root could: /dev/null would be a file then, for the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileRefused, match="is no regular file"):
        await write(tmp_path / "pipe", replace=True)
    assert [stat.S_ISFIFO(each.lstat().st_mode) for each in tmp_path.iterdir()] == [True]


async def test_force_replaces(tmp_path):
    target = tmp_path / "a.sig"
    target.write_bytes(b"old")
    await write(target, replace=True)
    assert target.read_bytes() == b"new"


async def test_output_that_came_in_the_meantime_is_kept(tmp_path):
    target = tmp_path / "a.sig"
    with pytest.raises(OutputExistsError):
        await write_too_late(target)
    assert target.read_bytes() == b"another's"
    assert names_in(tmp_path) == ["a.sig"]


async def test_broken_link_counts_as_something(tmp_path):
    target = tmp_path / "a.sig"
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExistsError):
        await write(target)


async def test_file_system_without_links(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(drafts.os, "link", refuse)
    await write(tmp_path / "a.sig")
    assert (tmp_path / "a.sig").read_bytes() == b"new"
    with pytest.raises(OutputExistsError):
        await write_too_late(tmp_path / "b.sig")
    assert (tmp_path / "b.sig").read_bytes() == b"another's"


async def test_missing_folder_is_named_as_the_target(missing):
    with pytest.raises(FileNotFoundError) as caught:
        await write(missing / "a.sig")
    assert caught.value.filename == str(missing / "a.sig")


async def test_private_document_stays_private(tmp_path):
    original = tmp_path / "a.pdf"
    original.write_bytes(b"x")
    original.chmod(0o600)
    await write(tmp_path / "b.pdf", like=original)
    assert stat.S_IMODE((tmp_path / "b.pdf").stat().st_mode) == 0o600


async def test_umask_holds_without_example(tmp_path):
    before = os.umask(0o027)
    try:
        await write(tmp_path / "a.sig")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.sig").stat().st_mode) == 0o640


async def test_long_names_have_drafts_too(tmp_path):
    await write(tmp_path / ("x" * 250 + ".sig"))


def test_plan_beside_and_in_a_folder(tmp_path):
    assert tasks("a b.txt")[0].target == Path("a b.txt.sig")
    folder = tmp_path / "made" / "here"
    (task,) = tasks("sub/a.txt", out_dir=folder)
    assert task.target == folder / "a.txt.sig"
    assert folder.is_dir()


def test_plan_for_standard_streams():
    (task,) = tasks("-")
    assert (task.name, task.source, task.target) == ("standard input", None, None)
    assert tasks("a", output="-")[0].target is None
    assert tasks("-", output="x.sig")[0].target == Path("x.sig")


@pytest.mark.parametrize(
    ("files", "options", "text"),
    [
        (
            ["a/x", "b/x"],
            {"out_dir": Path("out")},
            "a/x and b/x would be written to out/x.sig; nothing was done",
        ),
        (["x", "./x"], {}, "x and ./x would be written to x.sig"),
        (["x", "x"], {}, "x, given twice, would be written to x.sig"),
        (["x", "x.sig"], {}, "x.sig is an input and would be written over; nothing was done"),
        (["x"], {"output": "x"}, "x is an input and would be written over"),
        (["x", "y"], {"output": "z"}, "-o names one output, but 2 files were given"),
        (["x"], {"output": "z", "out_dir": Path("out")}, "cannot be given together"),
        (["x"], {"in_place": True, "out_dir": Path("out")}, "cannot be given together"),
        (["-", "-"], {}, "standard input (-) is read once"),
        (["-"], {"out_dir": Path("out")}, "standard input (-)"),
        (["-"], {"in_place": True}, "standard input (-)"),
    ],
)
def test_plans_that_would_lose_something(files, options, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        tasks(*files, **options)
    assert text in str(caught.value)
    assert names_in(tmp_path) == []


def test_links_to_one_file_are_seen_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").write_bytes(b"")
    Path("link.sig").symlink_to("x")
    with pytest.raises(UsageError, match=r"link\.sig is an input|link\.sig is an input and would"):
        tasks("x", "link", output=None)


def test_in_place_writes_where_a_link_leads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").write_bytes(b"")
    Path("link").symlink_to("x")
    (task,) = tasks("link", in_place=True)
    assert task.in_place
    assert task.target == tmp_path.resolve() / "x"


def test_out_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--out-dir .*file is a file"):
        tasks("x", out_dir=tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be made: Not a directory"):
        tasks("x", out_dir=tmp_path / "file" / "deeper")


def test_output_that_is_a_folder(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder; use --out-dir"):
        tasks("x", output=str(tmp_path))


def test_finished_outputs_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("x"), b"")
    put(Path("x.sig"), b"done")
    Path("z.sig").symlink_to("nowhere")
    planned = tasks("x", "x.sig", "y", "z", skip_existing=True)
    assert [task.name for task in planned] == ["x", "y", "z"]
    assert [task.name for task in leave_out_finished(planned, skip=True, force=False)] == ["y", "z"]
    assert leave_out_finished(planned, skip=False, force=True) == planned
    for contradiction in ({"force": True}, {"force": False, "in_place": True}):
        with pytest.raises(UsageError, match="cannot be given together"):
            leave_out_finished(planned, skip=True, **contradiction)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
async def test_folder_in_which_nothing_can_be_written(number, tmp_path, monkeypatch):
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(drafts.os, "open", refuse)
    with pytest.raises(CannotWrite, match=f"^cannot write in {tmp_path}: ") as caught:
        await write(tmp_path / "a.sig")
    assert caught.value.everywhere is (number == errno.ENOSPC)


async def test_disk_that_is_full_at_the_end(tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(drafts.os, "fsync", refuse)
    with pytest.raises(CannotWrite, match="no space left on device"):
        await write(tmp_path / "a.sig")
    assert names_in(tmp_path) == []


async def test_name_that_cannot_be_given_is_the_targets(tmp_path):
    (tmp_path / "a.sig").mkdir()
    with pytest.raises(OSError, match="s a directory") as caught:
        await write(tmp_path / "a.sig", replace=True)
    assert caught.value.filename == str(tmp_path / "a.sig")


async def test_what_is_being_named_is_there_in_spite_of_an_end(tmp_path, monkeypatch):
    loop, naming_began, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    really_publish = drafts._publish

    def publish(beside: Path, target: Path) -> None:
        loop.call_soon_threadsafe(naming_began.set)
        go_on.wait(10)
        really_publish(beside, target)

    monkeypatch.setattr(drafts, "_publish", publish)
    writing = asyncio.create_task(write(tmp_path / "a.sig"))
    await naming_began.wait()
    writing.cancel()
    loop.call_soon(go_on.set)
    await writing
    assert names_in(tmp_path) == ["a.sig"]
