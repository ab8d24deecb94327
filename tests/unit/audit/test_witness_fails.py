"""A witness that fails, hangs, floods or is full: signing goes on, it is said why, and nothing waits for it."""

import asyncio
import errno
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from audit_fakes import fill, publish

from segeld.audit import files
from segeld.audit.witness import Witness
from segeld.audit.witness_places import CommandPlace, FilePlace

SOON = 0.3
"""Seconds of patience where a test wants it to end."""
LONG = 60.0
"""Where it must not: the test would take as long."""


@pytest.fixture
def grown(log, source):
    fill(source, log, 20)
    publish(source, log)
    return log


@pytest.fixture
def script(tmp_path):
    """A witness that does what it is told in Python."""

    def make(text: str, patience: float = LONG) -> CommandPlace:
        path = tmp_path / "witness.py"
        path.write_text(f"import os, pathlib, signal, subprocess, sys, time\n{text}\n")
        return CommandPlace((sys.executable, str(path)), patience)

    return make


def met(place, log, **more) -> Witness:
    """It is compared at the start and told the last checkpoint at the stop."""

    async def once() -> Witness:
        witness = Witness(place, log, **more)
        await witness.check()
        await witness.aclose()
        return witness

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sys.exit(3)", "it ended with 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "it ended with -9"),
        ("sys.stdin.close(); os.close(0)", "did not give back the checkpoint"),
        ("sys.stdout.write('x' * 10_000_000)", "it says more than any checkpoint has"),
        ("\nwhile True: sys.stdout.write('x' * 10_000)", "it says more than any checkpoint has"),
    ],
)
def test_a_command_that_fails(script, grown, text, why):
    witness = met(script(text), grown)
    assert witness.refusal == ""
    assert "The witness of the audit log cannot be reached: " in witness.trouble
    assert why in witness.trouble
    assert witness.age is None


def test_a_command_that_is_not_there(tmp_path, grown):
    witness = met(CommandPlace((str(tmp_path / "none"),)), grown)
    assert (witness.refusal, "cannot be reached" in witness.trouble) == ("", True)


def test_a_command_that_hangs_is_ended_with_all_that_it_started(grown, tmp_path):
    """The child holds the output open, and would keep the daemon waiting for it."""
    pids = tmp_path / "pids"
    place = CommandPlace(("/bin/sh", "-c", f"sleep 1000 & echo $$ $! > {pids}; wait"), patience=1.0)

    async def once() -> Witness:
        witness = Witness(place, grown)
        await witness.check()
        return witness

    witness = asyncio.run(once())
    assert witness.refusal == ""
    assert "it takes too long" in witness.trouble
    for pid in map(int, pids.read_text().split()):
        assert state_of(pid) in {"", "Z", "X"}, "it was left behind"


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("rubbish", ["a letter", "\\xff\\xfe", "x\\ny\\nz\\n\\nx y"])
def test_rubbish_is_something_else_than_the_log(script, grown, rubbish):
    """It may stand in the place of what would show a rollback: so nothing is signed until officers looked into it."""
    witness = met(script(f"sys.stdout.buffer.write(b'{rubbish}')"), grown)
    assert "The witness holds something that is no checkpoint of this log" in witness.refusal
    assert witness.can_be_adopted


class HungMount:
    """What a mount does whose server is gone: whoever touches it does not come back."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.touched = 0

    def touch(self, *_given, **_more):
        self.touched += 1
        self.back.wait()
        raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def hung():
    mount = HungMount()
    yield mount
    mount.back.set()


def test_a_mount_that_hangs_holds_up_one_thread_and_nobody_else(tmp_path, grown, hung, monkeypatch):
    place = FilePlace(tmp_path / "checkpoint", SOON)
    monkeypatch.setattr(place, "_read", hung.touch)
    monkeypatch.setattr(place, "_write", hung.touch)

    async def run() -> None:
        witness = Witness(place, grown)
        await witness.check()
        for _ in range(20):  # more than there are threads for all
            await witness._tell()
        assert witness.refusal == ""
        assert "cannot be reached" in witness.trouble
        assert hung.touched == 1
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), LONG) == 1
        await witness.aclose()

    asyncio.run(run())  # waits for the threads that all share


def test_a_mount_that_comes_back(tmp_path, grown, hung, monkeypatch):
    place = FilePlace(tmp_path / "checkpoint", SOON)
    real = place._write

    async def run() -> None:
        witness = Witness(place, grown)
        monkeypatch.setattr(place, "_write", hung.touch)
        await witness._tell()
        assert witness.trouble != ""
        monkeypatch.setattr(place, "_write", real)
        hung.back.set()
        deadline = time.monotonic() + LONG
        while witness.trouble and time.monotonic() < deadline:
            await witness._tell()
        assert witness.trouble == ""
        await witness.aclose()

    asyncio.run(run())
    assert (tmp_path / "checkpoint").read_bytes() == (grown.folder / "checkpoint").read_bytes()


def test_a_disk_that_is_full(tmp_path, grown, log, source, monkeypatch):
    """What it held stays; when there is room again it is told the newest."""
    path = tmp_path / "checkpoint"
    place = FilePlace(path)
    met(place, grown)
    before = path.read_bytes()
    fill(source, log, 5)
    publish(source, log)
    real = os.write

    def full(descriptor: int, data) -> int:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(str(tmp_path / "checkpoint")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(files.os, "write", full)
    witness = met(place, log)
    assert witness.refusal == ""
    assert "No space left on device" in witness.trouble
    assert path.read_bytes() == before
    monkeypatch.setattr(files.os, "write", real)
    assert met(place, log).trouble == ""
    assert path.read_bytes() == (log.folder / "checkpoint").read_bytes() != before


def test_a_mount_that_may_not_be_written_or_is_a_folder(tmp_path, grown):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    witness = met(FilePlace(folder), grown)
    assert (witness.refusal, "cannot be reached" in witness.trouble) == ("", True)


def test_the_stop_does_not_wait_for_it(grown, monkeypatch):
    """A witness that answers the comparison and hangs after it."""

    class Hangs:
        async def last(self) -> bytes:
            return b""

        async def keep(self, note: bytes) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("segeld.audit.witness.PATIENCE", SOON)
    witness = met(Hangs(), grown)
    assert "it takes too long" in witness.trouble
