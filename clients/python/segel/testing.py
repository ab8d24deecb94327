"""A signing daemon for the tests of your own project, on throw-away SoftHSM2 tokens.

In `conftest.py`:

    pytest_plugins = ["segel.testing"]

and in a test:

    def test_letters_are_sealed(segel_dev):
        with segel_dev.client() as client:
            signature = client.signer(segel_dev.key).sign_digest(digest)

It needs the package `segeld[dev]` and SoftHSM2 (Debian: apt-get install softhsm2). The daemon is started once for a
test run, listens on loopback alone, and ends with the run, however that ends.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import segel

if TYPE_CHECKING:
    from segel import BlockingClient, Client

_PATIENCE: Final = 30.0
"""Seconds for the daemon to end by itself."""


class DevDaemonError(Exception):
    """`segeld dev` did not start; the text is what it said."""


@dataclass(frozen=True)
class DevDaemon:
    """A running `segeld dev`."""

    environment: Mapping[str, str]
    """What `segeld dev` exports: SEGEL_TARGET, SEGEL_TLS_CA, SEGEL_TLS_CERT, SEGEL_TLS_KEY, SEGEL_KEY, SEGELCTL_…"""
    pid: int

    @property
    def target(self) -> str:
        """Host and port."""
        return self.environment["SEGEL_TARGET"]

    @property
    def key(self) -> str:
        """A key that every caller may use: ECDSA on P-256."""
        return self.environment["SEGEL_KEY"]

    @property
    def directory(self) -> Path:
        """The throw-away tokens and the test PKI: `pki/ca-bundle.pem` is what verifiers trust."""
        return Path(self.environment["SEGEL_DEV_DIR"])

    def tls(self, identity: str = "backoffice") -> "segel.Tls":
        """The credentials of one of the test PKI's people: backoffice, registry, stranger, wayan, …"""
        pki = self.directory / "pki"
        return segel.Tls(
            ca=self.environment["SEGEL_TLS_CA"],
            cert=pki / f"client-{identity}.chain.pem",
            key=pki / "private" / f"client-{identity}.key.pem",
        )

    def client(self, identity: str = "backoffice") -> "BlockingClient":
        """A blocking client; use it in a `with` statement."""
        return segel.BlockingClient.connect(self.target, tls=self.tls(identity))

    def async_client(self, identity: str = "backoffice") -> "Client":
        """A client for `async with`."""
        return segel.Client.connect(self.target, tls=self.tls(identity))


@contextmanager
def dev_daemon(*options: str, directory: Path | None = None) -> Iterator[DevDaemon]:
    """Runs `segeld dev` for as long as the context lasts.

    :param options: more options for `segeld dev`, for example "--prompt", "segel-a".
    :param directory: where tokens and PKI are kept; a temporary folder if None.
    :raises DevDaemonError: if it does not start.
    """
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory(prefix="segel-") as temporary:
        where = directory if directory is not None else Path(temporary) / "dev"
        process = subprocess.Popen(
            [sys.executable, "-m", "segeld", "dev", "--json", "--dir", str(where), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                log.seek(0)
                raise DevDaemonError(f"segeld dev did not start:\n{log.read().strip()}")
            yield DevDaemon(json.loads(line), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(scope="session")
def segel_dev() -> Iterator[DevDaemon]:
    """A daemon with seven keys on two throw-away tokens, and a test PKI."""
    with dev_daemon() as daemon:
        yield daemon
