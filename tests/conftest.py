"""What every test may ask for: throw-away tokens, made once for a run."""

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
