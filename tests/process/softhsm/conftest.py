"""One testbed for the tests that only read it."""

import pytest

from segel_softhsm import provision


@pytest.fixture(scope="session")
def shared_testbed(tmp_path_factory):
    return provision(tmp_path_factory.mktemp("shared") / "bed")
