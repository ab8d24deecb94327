"""Daemons that are ended at any moment."""

import shutil
from pathlib import Path

import pytest

from segel_softhsm import Testbed


@pytest.fixture
def testbed(testbed: Testbed, tmp_path: Path) -> Testbed:
    """A copy for each test: SoftHSM2 loses a token if a process is killed while it writes down a login."""
    return Testbed.load(shutil.copytree(testbed.directory, tmp_path / "testbed"))
