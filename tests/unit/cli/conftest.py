"""A daemon that is not there: the command line talks to a fake client, settings come from a clean environment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from fake_jobs import FakeJobs, FakeKeys
from typer.testing import CliRunner, Result

import segel
from segel._portal import Portal
from segel.cli.app import app
from segel.models import Key, KeyState, WhoAmI
from segel.v1 import jobs_pb2_grpc, resources_pb2, signing_pb2_grpc

NAME = "keys/sha256-" + "ab" * 32


def make_key(**changes) -> Key:
    values = {
        "name": NAME,
        "aliases": ("keys/seal-2026",),
        "public_key": b"spki",
        "certificate_chain": (),
        "algorithms": (segel.Algorithm.ECDSA_P256_SHA256,),
        "state": KeyState.ACTIVE,
        "state_reason": "",
    }
    return Key(**values | changes)


@dataclass
class FakeClient:
    keys_there: tuple[Key, ...] = field(default_factory=lambda: (make_key(),))
    raises: BaseException | None = None
    settings: list[segel.Settings] = field(default_factory=list)

    def from_settings(self, settings: segel.Settings) -> "FakeClient":
        self.settings.append(settings)
        return self

    async def __aenter__(self) -> "FakeClient":  # noqa: PYI034  # a fake
        if self.raises is not None:
            raise self.raises
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def whoami(self) -> WhoAmI:
        return WhoAmI("backoffice", "caller", "uri:spiffe://test/backoffice", "0.1.0")

    async def keys(self) -> tuple[Key, ...]:
        return self.keys_there

    async def key(self, name: str) -> Key:
        for key in self.keys_there:
            if name in {key.name, *key.aliases}:
                return key
        raise segel.errors.KeyNotFound("No such key, or not granted to you", reason="KEY_NOT_FOUND")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("TARGET", "TLS_CA", "TLS_CERT", "TLS_KEY", "SERVER_NAME", "KEY"):
        monkeypatch.delenv(f"SEGEL_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("SEGEL_TARGET", "localhost:7443")
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.setenv(f"SEGEL_TLS_{name}", f"/nowhere/{name.lower()}.pem")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    fake = FakeClient()
    monkeypatch.setattr(segel, "Client", fake)
    return fake


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *arguments, **how: CliRunner().invoke(app, [str(argument) for argument in arguments], **how)


@pytest.fixture
def new_key() -> Callable[..., Key]:
    return make_key


class JobsDaemon(FakeJobs):
    """In a thread of its own; commands run in the test's."""

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self._portal = portal
        self.keys = FakeKeys(
            resources_pb2.Key(
                name=NAME,
                aliases=["keys/seal"],
                algorithms=[resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256],
                state=resources_pb2.Key.STATE_ACTIVE,
            ),
            resources_pb2.Key(
                name="keys/sha256-" + "ed" * 32,
                aliases=["keys/ed"],
                algorithms=[resources_pb2.SIGNATURE_ALGORITHM_ED25519],
                state=resources_pb2.Key.STATE_ACTIVE,
            ),
        )

    def sign_some(self, count: int, failing: tuple[int, ...] = ()) -> None:
        self._portal.run(self.sign(self.only, count, failing=failing))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[JobsDaemon]:
    """A daemon with jobs, which the commands reach over a socket without TLS."""

    async def start() -> JobsDaemon:
        one = JobsDaemon(portal)
        jobs_pb2_grpc.add_JobsServicer_to_server(one, server)
        signing_pb2_grpc.add_SigningServicer_to_server(one.keys, server)
        server.add_insecure_port(address)
        await server.start()
        return one

    address = f"unix:{tmp_path}/d.sock"
    portal, server = Portal.owning(grpc.aio.server, lambda server: server.stop(None))
    monkeypatch.setenv("SEGEL_TARGET", address)
    monkeypatch.setenv("SEGEL_KEY", "keys/seal")
    monkeypatch.setattr("segel._tls.Tls.read", lambda _self: None)
    monkeypatch.setattr(
        "segel._connection.open_channel", lambda target, *_: grpc.aio.insecure_channel(str(target))
    )
    yield portal.run(start())
    portal.close()
