"""A daemon's RPC layer in this process: real gRPC, real mutual TLS, and fakes for what lies below it."""

import contextlib
from pathlib import Path

import grpc
import msgspec
from acts_fake import acts
from job_desk import FakeDesk
from prometheus_client import CollectorRegistry
from rpc_authority import Authority
from rpc_dispatch import FakeDispatch
from rpc_inventory import FakeInventory, make_key, make_token

from segel.v1 import jobs_pb2_grpc, signing_pb2_grpc, token_admin_pb2_grpc, tokens_pb2_grpc
from segeld.config.schema import Config, Limits, Listen, Module, Officers, Token
from segeld.model.algorithm import KeyKind
from segeld.model.inventory import TokenKey
from segeld.model.names import Alias, TokenName
from segeld.model.principal import Principal, Role
from segeld.office.key_desk import KeyDesk
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.server import Servers

BACKOFFICE = "uri:spiffe://example/backoffice"
PEOPLE = {
    "backoffice": (Role.CALLER, BACKOFFICE),
    "other": (Role.CALLER, "dns:other.example"),
    "siti": (Role.OFFICER, "email:siti@example.org"),
    "agus": (Role.AUDITOR, "email:agus@example.org"),
    "dewi": (Role.APPROVER, "email:dewi@example.org"),
}


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
        self.key_desk: KeyDesk | None = None
        """None: one that keeps nothing."""
        self.shut_out = lambda who, fingerprint, sans: None
        self.open_calls = OpenCalls(
            lambda: self.policy,
            lambda *peer: self.shut_out(*peer),  # noqa: PLW0108 - tests exchange it
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
            self.key_desk
            or KeyDesk(self.config, lambda: self.inventory, lambda: self.policy, lambda: self.dispatch),
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
