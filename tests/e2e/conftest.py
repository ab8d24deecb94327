"""A real daemon, shared by the end-to-end tests; those that break it start their own."""

import pytest

from segel.testing import dev_daemon


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    with dev_daemon(directory=tmp_path_factory.mktemp("e2e") / "dev") as running:
        yield running


@pytest.fixture
def client(daemon):
    with daemon.client() as connected:
        yield connected


@pytest.fixture
def own_daemon(tmp_path):
    """Starts a daemon for one test, with the options the test wants."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(dev_daemon(*options, directory=tmp_path / "dev"))
