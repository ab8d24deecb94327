"""A machine without namespaces does not fail, not even in CI, but says loudly what it has not tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TESTS = "tests/process/card/test_card_rig.py::test_one_rig_for_one_card"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a CI machine that gives nobody namespaces."""
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    unshare.chmod(0o755)
    return {**os.environ, "CI": "1", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def test_it_is_said(environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "1 skipped" in ran.stdout
    assert "NOT TESTED: the PIN guard against a token that locks" in ran.stdout
    assert "Operation not permitted" in ran.stdout


def test_the_packages_of_cards_are_not_asked_for(environment: dict[str, str]) -> None:
    ran = subprocess.run(
        ["sh", str(ROOT / "softhsm" / "system-packages"), "test"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "virtual smart cards cannot be tested here" in ran.stderr
