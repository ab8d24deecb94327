"""An officer listener that is not there: `segelctl` talks to a fake officer."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

import segel
from segel.models import Key, KeyState, Slot, Slots, SlotToken, Token, TokenKey, TokenState
from segel.models_changes import Change, Changes, ChangeState, UnblockPin
from segel.models_keys import ManagedKey, Place
from segel.models_policy import Callers, Explanation, Policy, PolicyCheck, Revoked
from segel.officer_log import LogState
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


def make_change(number: int = 7, **changes) -> Change:
    values = {
        "name": f"changes/{number}",
        "state": ChangeState.WAITING,
        "state_reason": f"It waits for an officer other than wayan: segelctl change approve {number}",
        "action": UnblockPin("tokens/seal"),
        "summary": ("The PIN of tokens/seal is set anew.", "The old PIN is lost."),
        "action_hash": bytes(range(32)),
        "requested_by": "wayan",
        "decided_by": "",
        "create_time": datetime(2026, 11, 2, 1, 2, tzinfo=UTC),
        "decide_time": None,
        "end_time": None,
        "expire_time": datetime(2026, 11, 5, 1, 2, tzinfo=UTC),
        "secrets": ("so_pin", "new_pin"),
    }
    return Change(**values | changes)


def make_managed(
    *warnings: str, revocation: str = "", certified: bool = True, name: str = KEY, **changes
) -> ManagedKey:
    now = datetime.now(UTC)
    algorithms = (segel.Algorithm.ECDSA_P256_SHA256,)
    of_key = {field: changes.pop(field) for field in ("aliases", "state", "state_reason") if field in changes}
    key = Key(name, ("keys/seal",), b"", (b"x",) if certified else (), algorithms, KeyState.ACTIVE, "")
    managed = ManagedKey(
        dataclasses.replace(key, **of_key),
        places=(Place("tokens/main", "seal", b"\1"),),
        disable_time=None,
        disabled_by="",
        csr_time=now - timedelta(days=3),
        not_before=now if certified else None,
        not_after=now if certified else None,
        subject="CN=Segel\x1b[31m" if certified else "",
        issuer="CN=Issuing" if certified else "",
        revocation=revocation,
        warnings=warnings,
        callers=("backoffice",),
        kind="P-256",
    )
    return dataclasses.replace(managed, **changes)


@dataclass
class FakeChanges:
    """What an officer proposes waits, unless `alone`; each call is kept."""

    there: dict[str, Change] = field(default_factory=dict)
    two_person: bool = True
    alone: bool = False
    calls: list[tuple] = field(default_factory=list)
    raises: Exception | None = None
    given: dict[str, bytearray] = field(default_factory=dict)

    async def propose(self, action, *, dry_run: bool = False) -> Change:
        state = ChangeState.APPROVED if self.alone else ChangeState.WAITING
        self.calls.append(("dry run" if dry_run else "propose", action))
        change = make_change(state=state, action=action, **({"name": ""} if dry_run else {}))
        if not dry_run:
            self.there[change.name] = change
        return change

    async def list(self, *, ended: bool = False) -> Changes:
        return Changes(tuple(self.there.values()), self.two_person)

    async def get(self, name: str) -> Change:
        if name not in self.there:
            raise segel.errors.ChangeNotFound("There is no such change", reason="CHANGE_NOT_FOUND")
        return self.there[name]

    async def approve(self, name: str, action_hash: bytes) -> Change:
        return self._moved("approve", name, ChangeState.APPROVED, action_hash)

    async def reject(self, name: str, reason: str = "") -> Change:
        return self._moved("reject", name, ChangeState.REJECTED, reason)

    async def run(self, name: str, **secrets: bytearray) -> Change:
        self.given = secrets
        return self._moved("run", name, ChangeState.DONE, {key: bytes(pin) for key, pin in secrets.items()})

    def _moved(self, what: str, name: str, state: ChangeState, *more) -> Change:
        self.calls.append((what, name, *more))
        if self.raises is not None:
            raise self.raises
        self.there[name] = dataclasses.replace(self.there[name], state=state, state_reason="It is so.")
        return self.there[name]


def make_job(number: int = 1, **changes) -> segel.Job:
    values = {
        "name": f"jobs/{number:032x}",
        "state": segel.JobState.QUEUED,
        "state_reason": "",
        "key": KEY,
        "algorithm": segel.Algorithm.ECDSA_P256_SHA256,
        "ecdsa": "der",
        "priority": "normal",
        "labels": {},
        "request_id": "r",
        "item_count": 5,
        "signed_count": 0,
        "failed_count": 0,
        "items_hash": bytes(32),
        "read_offset": 0,
        "create_time": None,
        "seal_time": None,
        "start_time": None,
        "end_time": None,
        "deadline": None,
        "expire_time": None,
        "caller": "backoffice",
    }
    return segel.Job(**values | changes)


@dataclass
class FakeOfficerJobs:
    there: list[segel.Job] = field(default_factory=list)
    calls: list[tuple] = field(default_factory=list)

    async def list(self, *, states=(), caller="", key="", limit=None):
        for job in self.there[:limit]:
            if (not states or job.state in states) and caller in {"", job.caller} and key in {"", job.key}:
                yield job

    async def pause(self, name):
        self.calls.append(("pause", name))
        return make_job(state=segel.JobState.PAUSED, state_reason="Paused by siti.")

    async def resume(self, name):
        self.calls.append(("resume", name))
        return make_job()

    async def cancel(self, name, reason):
        self.calls.append(("cancel", name, reason))
        return make_job(state=segel.JobState.CANCELLED)


@dataclass
class FakePolicy:
    """The policy in force, what a check says, and who was revoked."""

    in_force: Policy = field(
        default_factory=lambda: Policy(
            "x = 1\n", b"h" * 32, datetime(2026, 11, 2, tzinfo=UTC), "siti", "", True, ()
        )
    )
    found: PolicyCheck = field(default_factory=lambda: PolicyCheck((), (), False, ()))
    explanation: Explanation = field(default_factory=lambda: Explanation(True, ("Yes.",)))
    there: Callers = field(default_factory=lambda: Callers((), ()))
    refuses: Exception | None = None
    calls: list[tuple] = field(default_factory=list)

    async def get(self) -> Policy:
        return self.in_force

    async def check(self, toml: str) -> PolicyCheck:
        self.calls.append(("check", toml))
        if self.refuses is not None:
            raise self.refuses
        return self.found

    async def explain(self, caller: str, key: str = "", algorithm: str = "") -> Explanation:
        self.calls.append(("explain", caller, key, algorithm))
        return self.explanation

    async def callers(self) -> Callers:
        return self.there

    async def revoke(self, caller: str, reason: str) -> Revoked:
        self.calls.append(("revoke", caller, reason))
        return Revoked(2, 3)


@dataclass
class FakeLog:
    there: LogState = field(default_factory=lambda: LogState(b"", "", False, -1.0))

    async def state(self) -> LogState:
        return self.there


@dataclass
class FakeKeys:
    there: tuple[ManagedKey, ...] = ()

    async def list(self) -> tuple[ManagedKey, ...]:
        return self.there

    async def look(self) -> tuple[tuple[ManagedKey, ...], tuple[str, ...]]:
        return self.there, ()


@dataclass
class FakeOfficer:
    log: FakeLog = field(default_factory=FakeLog)
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
    limits: list[dict] = field(default_factory=list)
    officer_jobs: "FakeOfficerJobs" = field(default_factory=FakeOfficerJobs)
    changes: FakeChanges = field(default_factory=FakeChanges)
    policy: FakePolicy = field(default_factory=FakePolicy)
    keys: FakeKeys = field(default_factory=FakeKeys)

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

    @property
    def jobs(self) -> "FakeOfficerJobs":
        return self.officer_jobs

    async def activate(self, name: str, pin: bytearray, **limits) -> Token:
        self.limits.append(limits)
        self.pins.append((name, bytes(pin)))
        self.given = pin
        if self.raises is not None:
            raise self.raises
        found = await self.token(name)
        return dataclasses.replace(found, state=TokenState.ACTIVE, state_reason="")

    async def deactivate(self, name: str, *, only_if_idle: bool = False) -> Token:
        if only_if_idle and self.raises is not None:
            raise self.raises
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
def new_change() -> Callable[..., Change]:
    return make_change


@pytest.fixture
def new_job() -> Callable[..., segel.Job]:
    return make_job


@pytest.fixture
def new_managed() -> Callable[..., ManagedKey]:
    return make_managed


@pytest.fixture
def new_token() -> Callable[..., Token]:
    return make_token


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
