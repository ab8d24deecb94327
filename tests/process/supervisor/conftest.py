"""Daemons that are ended at any moment; a token that is set up, behind a module that fails when it is told to."""

import shutil
import subprocess
from pathlib import Path

import pytest
from ceremony_desk import PIN, SO_PIN, TIMEOUT, Desk

from segel_softhsm import Testbed


@pytest.fixture
def testbed(testbed: Testbed, tmp_path: Path) -> Testbed:
    """A copy for each test: SoftHSM2 loses a token if a process is killed while it writes down a login."""
    return Testbed.load(shutil.copytree(testbed.directory, tmp_path / "testbed"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of a SoftHSM2 token that is set up."""
    folder = tmp_path_factory.mktemp("made")
    desk = Desk(folder)
    pins = ("--so-pin", SO_PIN.decode(), "--pin", PIN.decode())
    subprocess.run(
        ("softhsm2-util", "--init-token", "--free", "--label", "seal", *pins),
        env={**desk.environment},
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return folder / "tokens"


@pytest.fixture
def faulty(tmp_path, made) -> Desk:
    desk = Desk(tmp_path, faulty=True)
    shutil.copytree(made, tmp_path / "tokens", dirs_exist_ok=True)
    return desk
