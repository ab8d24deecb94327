"""One token with one key, made once; each test has a copy of it."""

import pytest
from crash_run import served_in


@pytest.fixture(scope="session")
def bed(tmp_path_factory, ready_beds):
    return ready_beds.at(tmp_path_factory.mktemp("crash") / "bed", "p256")


@pytest.fixture
def served(bed, tmp_path):
    """A place for a daemon, which is ended with the test."""
    with served_in(tmp_path, bed) as made:
        yield made
