"""What every figure needs: how long to measure, the keys, and a fresh daemon."""

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from segel.testing import DevDaemon, dev_daemon
from segel.v1 import resources_pb2
from segel_softhsm import Testbed, provision

if TYPE_CHECKING:
    from segel.v1.resources_pb2 import SignatureAlgorithm

WORKERS: Final = 2


@dataclass(frozen=True)
class Key:
    title: str
    label: str
    scheme: str
    """`rsa` or `ec`, for the loops in C."""
    algorithm: "SignatureAlgorithm.ValueType"

    @property
    def name(self) -> str:
        return f"keys/{self.label}"


RSA: Final = Key("RSA-2048", "seal-rsa2048", "rsa", resources_pb2.SIGNATURE_ALGORITHM_RSA_PKCS1_SHA256)
P256: Final = Key("P-256", "seal-p256", "ec", resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256)


@dataclass(frozen=True)
class Bench:
    folder: Path
    program: Path
    """The compiled loop."""
    quick: bool
    rounds: int
    seconds: float
    """Of one measurement in one round."""

    @property
    def testbed(self) -> Testbed:
        """The daemon's tokens; made now if it was never started."""
        return provision(self.folder / "testbed")

    @contextmanager
    def daemon(self, *, fresh: bool = True) -> Iterator[DevDaemon]:
        """`segeld dev` with an empty database and log, so that no figure is disturbed by what an earlier one left."""
        where = self.folder / "testbed"
        if fresh:
            shutil.rmtree(where / "state", ignore_errors=True)
        with dev_daemon("--workers", str(WORKERS), directory=where) as daemon:
            _settle(daemon)
            yield daemon

    @property
    def state(self) -> Path:
        return self.folder / "testbed" / "state"


def _settle(daemon: DevDaemon) -> None:
    """Returns when its keys sign and its workers have logged in, so that nothing measured meets them at it."""
    with daemon.client() as client:
        for key in (RSA, P256):
            client.signer(key.name).sign_digest(bytes(32))
    time.sleep(0.5)


def digests(count: int, first: int = 0) -> Iterator[bytes]:
    """Digests that differ."""
    for number in range(first, first + count):
        yield hashlib.sha256(number.to_bytes(8, "big")).digest()
