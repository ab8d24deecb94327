"""A daemon that is not there: the command line talks to a fake client, settings come from a clean environment."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from typer.testing import CliRunner, Result

import segel
from segel.cli.app import app
from segel.models import Key, KeyState, WhoAmI

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
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def new_key() -> Callable[..., Key]:
    return make_key
