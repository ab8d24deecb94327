"""A test PKI made on the spot, and a daemon that signs with nothing, in the test's own event loop."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_jobs import FakeJobs
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

import segel
from segel.v1 import (
    jobs_pb2_grpc,
    resources_pb2,
    signing_pb2,
    signing_pb2_grpc,
    token_admin_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)

NAME = "keys/sha256-" + "ab" * 32


class Issuer:
    """A CA of the tests."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(self.name, -10, 10)
            .public_key(self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / "ca.pem"
        folder.mkdir()
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, start: int = -1, end: int = 5, hosts: tuple[str, ...] = ("localhost",)
    ) -> "Issued":
        """A certificate valid from `start` to `end`, in days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), start, end)
            .public_key(key.public_key())
            .add_extension(
                x509.SubjectAlternativeName(
                    [*map(x509.DNSName, hosts), x509.UniformResourceIdentifier(f"spiffe://test/{name}")]
                ),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        files = Issued(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _builder(self, subject: x509.Name, start: int, end: int) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=start))
            .not_valid_after(now + dt.timedelta(days=end))
        )


@dataclass(frozen=True)
class Issued:
    cert: Path
    key: Path


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "pki", "Test Root")


@pytest.fixture
def stranger(tmp_path: Path) -> Issuer:
    """A CA that nobody trusts."""
    return Issuer(tmp_path / "other", "Other Root")


@pytest.fixture
def server_files(issuer: Issuer) -> Issued:
    return issuer.issue("server")


@pytest.fixture
def tls(issuer: Issuer) -> segel.Tls:
    files = issuer.issue("backoffice")
    return segel.Tls(ca=issuer.file, cert=files.cert, key=files.key)


def status(
    code: str, reason: str, text: str = "No", *, retry_after: float | None = None, **facts: str
) -> status_pb2.Status:
    """What the daemon says when it refuses."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="segel", metadata=facts)]
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(int(retry_after * 1e6))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code_pb2.Code.Value(code), message=text, details=packed)


@pytest.fixture(name="status")
def status_fixture() -> Callable[..., status_pb2.Status]:
    return status


def signed(request: signing_pb2.SignRequest) -> signing_pb2.SignedBatch:
    """Every input signed: the signature is ``sig:`` and the input."""
    answer = signing_pb2.SignedBatch(request_id=request.request_id)
    answer.response.key = NAME
    for item in request.inputs:
        answer.response.results.add(id=item.id, signature=b"sig:" + (item.digest or item.message))
    return answer


Answer = Callable[[signing_pb2.SignRequest], Awaitable[signing_pb2.SignedBatch | None]]


async def sign_all(request: signing_pb2.SignRequest) -> signing_pb2.SignedBatch:
    return signed(request)


@dataclass
class FakeDaemon(
    signing_pb2_grpc.SigningServicer, tokens_pb2_grpc.TokensServicer, token_admin_pb2_grpc.TokenAdminServicer
):
    """Signs with nothing, as its hooks say, and remembers what it was asked."""

    files: Issued
    clients: Path
    limits: tuple[int, int] = (4096, 1024)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    answer: Answer = sign_all
    refusal: status_pb2.Status | None = None
    """With which every call ends at once, streams too."""
    keys: dict[str, resources_pb2.Key] = field(default_factory=dict)
    batches: list[signing_pb2.SignStreamRequest] = field(default_factory=list)
    streams: int = 0
    calls: list[str] = field(default_factory=list)
    pins: list[bytes] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0
    path: str = ""
    options: tuple[tuple[str, int], ...] = (("grpc.so_reuseport", 0),)
    server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        return f"unix:{self.path}" if self.path else f"localhost:{self.port}"

    async def start(self) -> None:
        self.server = grpc.aio.server(options=self.options)
        signing_pb2_grpc.add_SigningServicer_to_server(self, self.server)
        jobs_pb2_grpc.add_JobsServicer_to_server(self.jobs, self.server)
        tokens_pb2_grpc.add_TokensServicer_to_server(self, self.server)
        token_admin_pb2_grpc.add_TokenAdminServicer_to_server(self, self.server)
        credentials = grpc.ssl_server_credentials(
            [(self.files.key.read_bytes(), self.files.cert.read_bytes())],
            root_certificates=self.clients.read_bytes(),
            require_client_auth=True,
        )
        if self.path:
            self.server.add_secure_port(f"unix:{self.path}", credentials)
        else:
            self.port = self.server.add_secure_port(f"localhost:{self.port}", credentials)
        await self.server.start()

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.stop(None)

    async def has_batches(self, count: int) -> None:
        async with self.arrived:
            await asyncio.wait_for(self.arrived.wait_for(lambda: len(self.batches) >= count), 10)

    async def was_called(self, name: str, count: int) -> None:
        async with self.arrived:
            await asyncio.wait_for(self.arrived.wait_for(lambda: self.calls.count(name) >= count), 10)

    async def _meet(self, name: str, context: grpc.aio.ServicerContext) -> None:
        async with self.arrived:
            self.calls.append(name)
            self.arrived.notify_all()
        if self.refusal is not None:
            await abort(context, self.refusal)

    async def WhoAmI(self, request, context):  # noqa: N802
        await self._meet("WhoAmI", context)
        return signing_pb2.WhoAmIResponse(
            caller="backoffice",
            role="caller",
            identity="uri:spiffe://test/backoffice",
            daemon_version="1.2.3",
        )

    async def ListKeys(self, request, context):  # noqa: N802
        await self._meet("ListKeys", context)
        at = int(request.page_token or 0)
        keys = list(self.keys.values())
        end = at + 2
        return signing_pb2.ListKeysResponse(
            keys=keys[at:end], next_page_token=str(end) if end < len(keys) else ""
        )

    async def GetKey(self, request, context):  # noqa: N802
        await self._meet("GetKey", context)
        if request.name not in self.keys:
            await abort(
                context,
                status("NOT_FOUND", "KEY_NOT_FOUND", "No such key, or not granted to you", key=request.name),
            )
        return self.keys[request.name]

    async def Sign(self, request, context):  # noqa: N802
        raise NotImplementedError

    async def SignStream(self, request_iterator, context):  # noqa: N802
        self.streams += 1
        await self._meet("SignStream", context)
        in_flight, batch = self.limits
        limits = signing_pb2.SignStreamLimits(max_in_flight=in_flight, max_batch=batch)
        await context.write(signing_pb2.SignStreamResponse(limits=limits))
        writing = asyncio.Lock()
        async with asyncio.TaskGroup() as tasks:
            async for request in request_iterator:
                async with self.arrived:
                    self.batches.append(request)
                    self.arrived.notify_all()
                tasks.create_task(self._reply(request.batch, context, writing))

    async def _reply(self, request, context, writing):
        answer = await self.answer(request)
        if answer is None:
            return
        async with writing:  # gRPC takes one message at a time
            await context.write(signing_pb2.SignStreamResponse(batch=answer))

    async def ListSlots(self, request, context):  # noqa: N802
        await self._meet("ListSlots", context)
        slot = resources_pb2.Slot(name="modules/a/slots/1", description="one", manufacturer="m")
        slot.token.label = "Seal"
        return tokens_pb2.ListSlotsResponse(
            slots=[slot, resources_pb2.Slot(name="modules/a/slots/2")], unreachable=["b: no such file"]
        )

    async def ListTokens(self, request, context):  # noqa: N802
        await self._meet("ListTokens", context)
        return tokens_pb2.ListTokensResponse(
            tokens=[resources_pb2.Token(name="tokens/seal", state="STATE_INACTIVE")]
        )

    async def GetToken(self, request, context):  # noqa: N802
        await self._meet("GetToken", context)
        token = resources_pb2.Token(name=request.name, state="STATE_ACTIVE")
        token.state_time.seconds = 1_700_000_000
        token.keys.add(label="seal", id=b"\x01", kind="P-256")
        return token

    async def ActivateToken(self, request, context):  # noqa: N802
        self.pins.append(request.pin)
        await self._meet("ActivateToken", context)
        return resources_pb2.Token(name=request.name, state="STATE_ACTIVE")

    async def DeactivateToken(self, request, context):  # noqa: N802
        await self._meet("DeactivateToken", context)
        return resources_pb2.Token(name=request.name, state="STATE_INACTIVE")


async def abort(context: grpc.aio.ServicerContext, refusal: status_pb2.Status) -> None:
    code = next(one for one in grpc.StatusCode if one.value[0] == refusal.code)
    trailers = (("grpc-status-details-bin", refusal.SerializeToString()),)
    await context.abort(code, refusal.message, trailers)


def a_key(name: str = NAME, *algorithms: int) -> resources_pb2.Key:
    return resources_pb2.Key(
        name=name,
        aliases=["keys/seal"],
        public_key=b"spki",
        certificate_chain=[b"leaf", b"root"],
        algorithms=algorithms or (resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,),
        state=resources_pb2.Key.STATE_ACTIVE,
    )


@pytest.fixture
async def daemon(issuer: Issuer, server_files: Issued) -> AsyncIterator[FakeDaemon]:
    """Running, on a port of its own, with one key under its name and the alias ``keys/seal``."""
    one = FakeDaemon(server_files, issuer.file)
    one.keys["keys/seal"] = one.keys[NAME] = a_key()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def client(daemon: FakeDaemon, tls: segel.Tls) -> AsyncIterator[segel.Client]:
    async with segel.Client.connect(daemon.target, tls=tls) as one:
        yield one


@pytest.fixture
async def signer(client: segel.Client) -> segel.Signer:
    return await client.signer("keys/seal")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of this machine's user has a say."""
    for prefix in ("SEGEL_", "SEGELCTL_"):
        for name in ("TARGET", "TLS_CA", "TLS_CERT", "TLS_KEY", "SERVER_NAME", "KEY"):
            monkeypatch.delenv(prefix + name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("segel.settings.SYSTEM_FOLDER", tmp_path / "etc")


@asynccontextmanager
async def running(daemon: FakeDaemon) -> AsyncIterator[FakeDaemon]:
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()


@dataclass(frozen=True)
class Kit:
    """The helpers above, for tests: a conftest cannot be imported."""

    FakeDaemon = FakeDaemon
    a_key = staticmethod(a_key)
    signed = staticmethod(signed)
    status = staticmethod(status)
    running = staticmethod(running)
    NAME = NAME


@pytest.fixture
def kit() -> Kit:
    return Kit()
