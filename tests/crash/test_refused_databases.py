"""A database that cannot be used ends the daemon at once, with one line that says what to do."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from crash_run import served_in

FILE = "segel.db"


def serve(served):
    """One start that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "segeld", "serve", "--config", served.config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=served.environment,
    )


@pytest.fixture(scope="module")
def left(bed, tmp_path_factory):
    """The state folder that a daemon left when it ended in good order. Tests spoil a copy of it."""
    with served_in(tmp_path_factory.mktemp("left"), bed) as served:
        served.start()
        served.wait_ready()
        assert served.stop() == 0
        return served.state


@pytest.fixture
def used(served, left):
    """A daemon ran here, and ended in good order."""
    shutil.copytree(left, served.state)
    return served


def overwrite(file, offset: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(data)


def newer(file) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 999")
        db.commit()


FAULTS = {
    "no database": (lambda file: file.write_bytes(b"this is no database" * 500), "damaged"),
    "header": (lambda file: overwrite(file, 0, bytes(100)), "damaged"),
    "schema page": (lambda file: overwrite(file, 100, os.urandom(1000)), "damaged"),
    "cut off": (lambda file: os.truncate(file, 5000), "damaged"),
    "another program's": (lambda file: overwrite(file, 68, b"abcd"), "damaged"),
    "newer": (newer, "newer segeld"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_says_so_in_one_line_and_changes_nothing(used, fault) -> None:
    file = used.state / FILE
    spoil, says = FAULTS[fault]
    spoil(file)
    before = file.read_bytes()
    done = serve(used)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("segeld: ")
    assert says in last
    assert str(file) in last
    assert file.read_bytes() == before


def test_a_state_folder_belongs_to_one_daemon(used, tmp_path) -> None:
    """Also if the other listens elsewhere."""
    used.start()
    used.wait_ready()
    text = used.config.read_text()
    other = tmp_path / "other"
    other.mkdir()
    used.config.write_text(
        text.replace(f':{used.port}"', ':0"')
        .replace(f':{used.metrics_port}"', ':0"')
        .replace(f'runtime_dir = "{used.folder}"', f'runtime_dir = "{other}"')
    )
    done = serve(used)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "in use" in done.stderr.strip().splitlines()[-1]
    assert used.is_ready()


def test_a_log_that_is_not_the_databases_is_refused(used) -> None:
    """The audit folder went away, or another took its place: nothing is signed until somebody has looked."""
    (used.state / "audit").rename(used.state / "aside")
    done = serve(used)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("segeld: ")
