"""What every test may ask for: throw-away tokens, made once for a run."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from segel_softhsm import Testbed, provision


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Testbed:
    """Two tokens with keys of every kind, and a PKI. Shared: tests that change tokens add their own."""
    return provision(tmp_path_factory.mktemp("testbed"))


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    """A path at which nothing is."""
    return tmp_path / "missing"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration nothing is skipped: what is missing there is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report
