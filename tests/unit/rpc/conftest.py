"""A daemon's RPC layer in this process: real gRPC, real mutual TLS, and fakes for what lies below it."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import ipaddress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import grpc
import msgspec
import pytest
import structlog
from acts_fake import acts
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from job_desk import FakeDesk
from prometheus_client import CollectorRegistry

from segel.v1 import jobs_pb2_grpc, signing_pb2_grpc, token_admin_pb2_grpc, tokens_pb2_grpc
from segeld.config.schema import Config, Limits, Listen, Module, Officers, Tls, Token
from segeld.model.activation import NO_LIMITS
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Signed, SlotRecord, Survey, TokenKey, TokenRecord
from segeld.model.job import Receipt, Signature
from segeld.model.names import Alias, KeyName, TokenName
from segeld.model.principal import Principal, Role
from segeld.model.token_state import TokenState
from segeld.office.key_desk import KeyDesk
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.server import Servers


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, [], ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.pem)

    def issue(self, name: str, sans=(), days: int = 1) -> tuple[bytes, bytes]:
        """A key and a certificate, PEM, also written to `{name}.key` and `{name}.pem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, [_general(san) for san in sans], days=days)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (self.folder / f"{name}.pem").write_bytes(pem)
        path = self.folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key_pem)
        return key_pem, pem

    def tls(self, name: str) -> Tls:
        return Tls(
            certificate=self.folder / f"{name}.pem", key=self.folder / f"{name}.key", client_ca=self.path
        )

    def _sign(self, subject, key, sans, *, ca: bool = False, days: int = 1):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(san: str) -> x509.GeneralName:
    kind, _, value = san.partition(":")
    match kind:
        case "uri":
            return x509.UniformResourceIdentifier(value)
        case "dns":
            return x509.DNSName(value)
        case "email":
            return x509.RFC822Name(value)
        case _:
            return x509.IPAddress(ipaddress.ip_address(value))


def make_key(seed: str, kind: KeyKind = KeyKind.P_256, state: TokenState = TokenState.ACTIVE) -> KeyRecord:
    """A key as an inventory shows it; its public key is not one, which nobody here asks."""
    public_key = f"public key of {seed}".encode()
    return KeyRecord(
        name=KeyName.of(public_key),
        kind=kind,
        public_key=public_key,
        chain=(b"certificate of " + seed.encode(),),
        tokens=((TokenName("payroll"), state),),
        unusable=None,
        trouble="",
    )


def make_token(word: str = "payroll", state: TokenState = TokenState.ACTIVE, keys=()) -> TokenRecord:
    return TokenRecord(
        name=TokenName(word),
        state=state,
        state_reason="" if state is TokenState.ACTIVE else "why it is so.",
        state_since=1_800_000_000.25,
        label="Payroll",
        serial="0042",
        manufacturer="ACME",
        model="One",
        flags=("CKF_TOKEN_INITIALIZED",),
        workers_ready=2,
        workers_configured=2,
        pin_source="prompt",
        keys=tuple(keys),
    )


@dataclass
class FakeDispatch:
    """Signs with SHA-256 of the input. `hold` makes it wait; `fail` makes it raise."""

    orders: list = field(default_factory=list)
    fail: BaseException | None = None
    outcome: object = None
    hold: asyncio.Event | None = None
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    holds: dict = field(default_factory=dict)
    log_origin: str = "log.example/segel"

    async def sign(self, order):
        self.orders.append(order)
        self.arrived.release()
        try:
            for gate in (self.hold, self.holds.get(order.request_id)):
                if gate is not None:
                    await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.fail is not None:
            raise self.fail
        made = self.outcome or (lambda data: hashlib.sha256(data).digest())
        outcomes = (made(data) for data in order.inputs)
        return Signed(
            tuple(
                each if isinstance(each, Fault) else Signature(each, Receipt(7, place))
                for place, each in enumerate(outcomes)
            )
        )


@dataclass
class FakeInventory:
    records: dict = field(default_factory=dict)
    configured: dict = field(default_factory=dict)
    fail: BaseException | None = None
    pins: list = field(default_factory=list)
    limits: list = field(default_factory=list)

    def key(self, name):
        return self.records.get(name)

    def keys(self):
        return tuple(self.records.values())

    def token(self, name):
        return self.configured.get(name)

    def tokens(self):
        return tuple(self.configured.values())

    async def survey(self):
        if self.fail is not None:
            raise self.fail
        empty = SlotRecord("vendor", 7, "reader 7", "ACME", None, "", "", "", (), None)
        full = SlotRecord(
            "vendor", 1, "reader 1", "ACME", "Payroll", "0042", "ACME", "One", ("F",), TokenName("payroll")
        )
        return Survey((empty, full), ("module other: cannot be loaded",))

    async def activate(self, name, pin, limits=NO_LIMITS):
        self.limits.append(limits)
        self.pins.append(None)
        if pin is not None:
            with pin.view() as view:
                self.pins[-1] = bytes(view)
            pin.wipe()
        if self.fail is not None:
            raise self.fail
        if name not in self.configured:
            raise Fault(Reason.TOKEN_NOT_FOUND, f"no token is configured as {name}", token=str(name))
        return self.configured[name]

    async def deactivate(self, name, *, only_if_idle=False):
        if only_if_idle and self.configured[name].waiting:
            raise Fault(Reason.TOKEN_BUSY, "Items wait.", token=str(name))
        self.configured[name] = replace(self.configured[name], state=TokenState.INACTIVE)
        return self.configured[name]


BACKOFFICE = "uri:spiffe://example/backoffice"
PEOPLE = {
    "backoffice": (Role.CALLER, BACKOFFICE),
    "other": (Role.CALLER, "dns:other.example"),
    "siti": (Role.OFFICER, "email:siti@example.org"),
    "agus": (Role.AUDITOR, "email:agus@example.org"),
    "dewi": (Role.APPROVER, "email:dewi@example.org"),
}


@pytest.fixture(autouse=True)
def events():
    """Everything that is logged, as it was meant: the events, not their rendering."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        yield events


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    authority.issue("server", ["dns:localhost", "ip:127.0.0.1"])
    for name, (_, san) in PEOPLE.items():
        authority.issue(name, [san])
    return authority


class Daemon:
    """The RPC layer and its fakes, ready to be started and talked to."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self.authority = authority
        self.folder = folder
        self.dispatch = FakeDispatch()
        self.desk = FakeDesk()
        mine, foreign = make_key("mine"), make_key("foreign")
        token_key = TokenKey("seal", b"\1", KeyKind.P_256, mine.name, mine.public_key, (), None, "")
        self.mine, self.foreign = mine, foreign
        self.inventory = FakeInventory(
            records={mine.name: mine, foreign.name: foreign},
            configured={TokenName("payroll"): make_token(keys=[token_key])},
        )
        self.policy = Policy(
            principals={san: Principal(name, role, san) for name, (role, san) in PEOPLE.items()},
            aliases={Alias("seal"): (mine.name,), Alias("theirs"): (foreign.name,)},
            grants={
                "backoffice": Grants({mine.name: ANY_ALGORITHM}),
                "other": Grants({foreign.name: ANY_ALGORITHM}),
            },
        )
        self.config = Config(
            state_dir=folder / "state",
            runtime_dir=folder,
            listen=Listen(address="127.0.0.1:0", tls=authority.tls("server")),
            officers=Officers(address="127.0.0.1:0"),
            modules={"vendor": Module(path=Path("/nowhere"))},
            tokens={"payroll": Token(module="vendor", label="Payroll")},
        )
        self.registry = CollectorRegistry()
        self.acts = acts()
        self.services = ()
        self.shut_out = lambda who, fingerprint: None
        self.open_calls = OpenCalls(
            lambda: self.policy,
            lambda who, fingerprint: self.shut_out(who, fingerprint),  # noqa: PLW0108 - tests exchange it
        )
        self.servers: Servers | None = None
        self._channels = contextlib.AsyncExitStack()

    def change(self, **fields) -> None:
        self.config = msgspec.structs.replace(self.config, **fields)

    def limit(self, **limits) -> None:
        self.change(limits=Limits(**limits))

    def listen(self, address: str) -> Listen:
        return Listen(address=address, tls=self.config.listen.tls)

    def build(self) -> None:
        self.servers = Servers(
            self.config,
            lambda: self.policy,
            self.dispatch,
            self.desk,
            self.desk.oversight,
            self.inventory,
            self.acts,
            KeyDesk(self.config, lambda: self.inventory, lambda: self.policy, lambda: self.dispatch),
            CallMetrics(self.registry),
            services=self.services,
            open_calls=self.open_calls,
        )

    async def start(self) -> "Daemon":
        self.build()
        self.bound = await self.servers.start()
        return self

    def channel(self, who: str, *, officers: bool = False, socket: bool = False, **pki) -> grpc.aio.Channel:
        authority = pki.get("authority", self.authority)
        key, certificate = (authority.folder / f"{who}.key", authority.folder / f"{who}.pem")
        credentials = grpc.ssl_channel_credentials(
            self.authority.pem, key.read_bytes(), certificate.read_bytes()
        )
        port = self.bound.officers if officers else self.bound.callers
        target = f"unix:{self.config.officer_socket}" if socket else f"localhost:{port}"
        # A subchannel pool of its own: else two clients of one test share a connection, and with it a certificate.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost")]
        channel = grpc.aio.secure_channel(target, credentials, options=options)
        self._channels.push_async_callback(channel.close)
        return channel

    def signing(self, who: str = "backoffice"):
        return signing_pb2_grpc.SigningStub(self.channel(who))

    def jobs(self, who: str = "backoffice"):
        return jobs_pb2_grpc.JobsStub(self.channel(who))

    def tokens(self, who: str = "siti"):
        return tokens_pb2_grpc.TokensStub(self.channel(who, officers=True))

    def admin(self, who: str = "siti"):
        return token_admin_pb2_grpc.TokenAdminStub(self.channel(who, officers=True))

    async def aclose(self) -> None:
        await self._channels.aclose()
        if self.servers is not None:
            await self.servers.stop(0)


@pytest.fixture
def short_path(tmp_path_factory):
    """A folder whose name is short enough for a socket."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
async def daemon(authority, short_path):
    daemon = Daemon(authority, short_path)
    async with contextlib.aclosing(daemon):
        yield daemon


@dataclass(frozen=True)
class Refusal:
    """How a call was refused, taken apart."""

    code: grpc.StatusCode
    text: str
    status: status_pb2.Status
    trailers: dict

    @property
    def reason(self) -> str:
        return self.detail(error_details_pb2.ErrorInfo).reason

    def detail(self, kind):
        return _detail(self.status, kind)


def _detail(status, kind):
    """The one detail of that kind."""
    found = kind()
    (packed,) = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    packed.Unpack(found)
    return found


@pytest.fixture
def error_info():
    return lambda status: _detail(status, error_details_pb2.ErrorInfo)


@pytest.fixture
def refusal():
    """Waits for a call that must be refused (of a stream: for its first message), and takes the refusal apart."""

    async def wait(waiting, call=None) -> Refusal:
        call = call or waiting
        with pytest.raises(grpc.aio.AioRpcError):
            await waiting
        status = await rpc_status.aio.from_call(call)
        assert status is not None
        trailers = dict(await call.trailing_metadata())
        return Refusal(await call.code(), await call.details(), status, trailers)

    return wait


@pytest.fixture
def make():
    """Makers of records, for tests that need their own."""
    return SimpleNamespace(key=make_key, token=make_token, Authority=Authority, people=PEOPLE)
