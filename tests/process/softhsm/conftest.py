"""One testbed for the tests that only read it."""

import pytest


@pytest.fixture(scope="session")
def shared_testbed(tmp_path_factory, ready_beds):
    return ready_beds.at(tmp_path_factory.mktemp("shared") / "bed")
