"""What a worker gave up before it loaded anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("fenced")
    return "fenced"


def test_it_closes_what_it_was_not_given(start, box) -> None:
    reading, writing = os.pipe()
    try:
        worker = start(keep=(writing,))
        os.close(writing)
        worker.load()
        os.set_blocking(reading, False)
        assert os.read(reading, 1) == b""  # the end: nobody holds the other side, though the worker lives
        assert worker.process.poll() is None
    finally:
        os.close(reading)


def test_people_see_which_token_it_serves(worker, token: str) -> None:
    def title() -> str:
        return Path(f"/proc/{worker.process.pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()

    worker.load()
    assert title() == "segeld: worker"
    worker.open(token)
    assert title() == f"segeld: worker [{token}]"


def test_it_gives_way_and_leaves_no_core(worker) -> None:
    worker.load()
    process = Path(f"/proc/{worker.process.pid}")
    nice = os.getpriority(os.PRIO_PROCESS, worker.process.pid)
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert re.search(r"Max core file size\s+0\s+0", (process / "limits").read_text())
    assert re.search(r"NoNewPrivs:\s+1", (process / "status").read_text())


def test_the_front_leaves_no_core_either() -> None:
    code = """
import ctypes, resource, signal
from segeld.ipc.child import leave_no_core
leave_no_core()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
assert ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 1  # PR_GET_NO_NEW_PRIVS
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
print("open still")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("open still\n", "")
