"""What every test may ask for: throw-away tokens, made once for a run."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from segel_softhsm import Testbed, provision

BLOCKS_ONCE = (
    ("os.mkdir", "segeld/rpc/unix_socket.py", "prepare"),
    ("os.stat", "segeld/rpc/unix_socket.py", "prepare"),
    ("os.unlink", "segeld/rpc/unix_socket.py", "prepare"),
    ("socket.socket.connect", "segeld/rpc/unix_socket.py", "prepare"),
    ("io.BufferedReader.read", "segeld/rpc/server.py", "_credentials"),
    ("io.BufferedReader.read", "segeld/supervisor/keys.py", "__init__"),
)
"""Calls that block when the daemon starts, before it serves anybody."""


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Testbed:
    """Two tokens with keys of every kind, and a PKI. Shared: tests that change tokens add their own."""
    return provision(tmp_path_factory.mktemp("testbed"))


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    """A path at which nothing is."""
    return tmp_path / "missing"


@pytest.fixture(autouse=True)
def _no_blocking_call_in_the_daemons_event_loop() -> Iterator[None]:
    """File and network calls that block fail at once if segeld makes them in a running event loop."""
    with blockbuster_ctx("segeld") as watched:
        for function, file, where in BLOCKS_ONCE:
            watched.functions[function].can_block_in(file, where)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration nothing is skipped: what is missing there is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report
