"""An officer listener that is not there: `segelctl` talks to a fake officer."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

import segel
from segel.models import Slot, Slots, SlotToken, Token, TokenKey, TokenState
from segeld.ctl.main import app

KEY = "keys/sha256-" + "ab" * 32


def make_token(**changes) -> Token:
    values = {
        "name": "tokens/seal",
        "state": TokenState.ACTIVE,
        "state_reason": "",
        "state_time": datetime(2026, 11, 2, 1, 2, 3, tzinfo=UTC),
        "label": "Seal",
        "serial": "0123",
        "manufacturer": "SoftHSM project",
        "model": "SoftHSM v2",
        "flags": ("CKF_RNG", "CKF_LOGIN_REQUIRED"),
        "workers_ready": 2,
        "workers_configured": 2,
        "keys": (TokenKey(f"tokens/seal/{KEY}", KEY, "seal-2026", b"\x01", "P-256", ""),),
        "pin_source": "prompt",
    }
    return Token(**values | changes)


@dataclass
class FakeOfficer:
    tokens_there: tuple[Token, ...] = field(default_factory=lambda: (make_token(),))
    slots_there: Slots = field(
        default_factory=lambda: Slots(
            (
                Slot(
                    "modules/softhsm/slots/7",
                    "SoftHSM slot",
                    "SoftHSM project",
                    SlotToken("Seal", "0123", "SoftHSM project", "SoftHSM v2", ("CKF_RNG",), "tokens/seal"),
                ),
                Slot("modules/softhsm/slots/8", "SoftHSM slot", "SoftHSM project", None),
            ),
            (),
        )
    )
    trouble_there: str = ""
    raises: Exception | None = None
    pins: list[tuple[str, bytes]] = field(default_factory=list)
    given: bytearray | None = None

    def from_settings(self, settings: segel.Settings) -> "FakeOfficer":
        return self

    async def __aenter__(self) -> "FakeOfficer":  # noqa: PYI034  # a fake
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def slots(self) -> Slots:
        return self.slots_there

    async def tokens(self) -> tuple[Token, ...]:
        if self.raises is not None:
            raise self.raises
        return self.tokens_there

    async def trouble(self) -> str:
        return self.trouble_there

    async def token(self, name: str) -> Token:
        for token in self.tokens_there:
            if token.name == name:
                return token
        raise segel.errors.TokenNotFound("No token has that name", reason="TOKEN_NOT_FOUND")

    async def activate(self, name: str, pin: bytearray) -> Token:
        self.pins.append((name, bytes(pin)))
        self.given = pin
        if self.raises is not None:
            raise self.raises
        found = await self.token(name)
        return dataclasses.replace(found, state=TokenState.ACTIVE, state_reason="")

    async def deactivate(self, name: str) -> Token:
        await self.token(name)
        return make_token(name=name, state=TokenState.INACTIVE, state_reason="Activate it with its PIN.")


@pytest.fixture
def officer(monkeypatch: pytest.MonkeyPatch, tmp_path) -> FakeOfficer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("SEGELCTL_TARGET", "unix:/run/segel/officer.sock")
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.setenv(f"SEGELCTL_TLS_{name}", "/nowhere.pem")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    fake = FakeOfficer()
    monkeypatch.setattr(segel, "Officer", fake)
    return fake


@pytest.fixture
def new_token() -> Callable[..., Token]:
    return make_token


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
