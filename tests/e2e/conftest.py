"""A real daemon, shared by the end-to-end tests; those that break it start their own."""

from contextlib import ExitStack

import pytest

from segel.testing import dev_daemon


@pytest.fixture(scope="session")
def daemon(tmp_path_factory, ready_beds):
    bed = ready_beds.at(tmp_path_factory.mktemp("e2e") / "dev")
    with dev_daemon(directory=bed.directory) as running:
        yield running


@pytest.fixture
def client(daemon):
    with daemon.client() as connected:
        yield connected


@pytest.fixture
def own_daemon(tmp_path, ready_beds):
    """Starts a daemon for one test, on two tokens of its own, with the options the test wants. Twice on the same ones."""
    folder = tmp_path / "dev"
    with ExitStack() as stack:

        def start(*options):
            if not folder.exists():
                kinds = options[options.index("--keys") + 1].split(",") if "--keys" in options else ()
                ready_beds.at(folder, *kinds)
            return stack.enter_context(dev_daemon(*options, directory=folder))

        yield start
