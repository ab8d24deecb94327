"""A log in a folder of its own."""

import sys
from pathlib import Path

import pytest

from segeld.audit.identity import OwnLog, open_log

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

from audit_fakes import FakeSource, fill, publish


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def log(state_dir: Path) -> OwnLog:
    return open_log(state_dir)


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def made(source: FakeSource, log: OwnLog) -> OwnLog:
    """A log of 841 leaves, published."""
    fill(source, log, 400)
    publish(source, log)
    return log
