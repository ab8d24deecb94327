"""`segeld dev` ends with its parent, refuses real modules, keeps its tokens, and leaves nothing behind."""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TIMEOUT = 60
DEV = [sys.executable, "-m", "segeld", "dev", "--keys", "p256"]


def gone(pid: int) -> bool:
    """Waits for a process that is not our child to end."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], TIMEOUT)[0])
    finally:
        os.close(descriptor)


def test_it_ends_when_its_parent_is_killed(tmp_path) -> None:
    script = (
        "import subprocess, sys\n"
        "dev = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
        "print(dev.pid, flush=True)\n"
        "print(dev.stdout.readline(), end='', flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *DEV, "--json", "--dir", str(tmp_path / "dev")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert json.loads(parent.stdout.readline())["SEGEL_TARGET"]
        parent.kill()
    assert gone(pid)
    assert not (tmp_path / "dev/run/officer.sock").exists()


def test_the_exports_are_for_a_shell_and_the_background_daemon_ends_with_it(tmp_path) -> None:
    shell = f'eval "$({shlex.join([*DEV, "--background", "--dir", str(tmp_path / "dev")])})"; segel whoami && echo "$SEGEL_DEV_PID"'
    done = subprocess.run(
        ["sh", "-c", shell],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "backoffice" in done.stdout
    assert gone(int(done.stdout.split()[-1]))


def test_a_module_that_is_not_softhsm2_is_refused(tmp_path) -> None:
    other = next(Path("/usr/lib").glob("*/opensc-pkcs11.so"))
    done = subprocess.run(
        [*DEV, "--dir", tmp_path / "dev", "--module", other],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "SoftHSM2" in done.stderr


def test_a_second_one_on_the_same_folder_is_refused_and_disturbs_nothing(tmp_path) -> None:
    command = [*DEV, "--json", "--dir", tmp_path / "dev"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline()
        before = (tmp_path / "dev/segeld.toml").read_bytes()
        second = subprocess.run(
            [*command, "--fresh"], capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        assert second.returncode == 1
        assert "another `segeld dev` runs on" in second.stderr
        assert "Traceback" not in second.stderr
        assert (tmp_path / "dev/segeld.toml").read_bytes() == before
        first.terminate()
    assert first.returncode == 0


def test_a_folder_that_is_not_its_own_is_refused(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        [*DEV, "--dir", tmp_path, "--fresh"], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 1
    assert "not a testbed" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path, number) -> None:
    dev = subprocess.Popen(
        [*DEV, "--json", "--dir", tmp_path / "dev"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with dev:
        assert dev.stdout.readline()
        dev.send_signal(number)
        out, err = dev.communicate(timeout=TIMEOUT)
    assert (dev.returncode, out, err) == (0, "", "")


def test_a_temporary_folder_is_removed(tmp_path) -> None:
    dev = subprocess.Popen(
        [*DEV, "--json"], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    with dev:
        assert str(tmp_path) in json.loads(dev.stdout.readline())["SEGEL_DEV_DIR"]
        dev.terminate()
    assert list(tmp_path.iterdir()) == []


def test_a_long_path_with_spaces_works(tmp_path) -> None:
    folder = tmp_path / ("a folder with spaces " * 5).strip() / "dev"
    dev = subprocess.Popen([*DEV, "--json", "--dir", folder], stdout=subprocess.PIPE, text=True)
    with dev:
        exports = json.loads(dev.stdout.readline())
        assert Path(exports["SEGELCTL_TARGET"].removeprefix("unix:")).is_socket()
        dev.terminate()
    deadline = time.monotonic() + TIMEOUT
    assert dev.returncode == 0
    assert time.monotonic() < deadline
