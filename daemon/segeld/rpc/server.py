"""The two servers: one for callers, one for officers. Started together, stopped in two phases."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.internal import api_implementation
from grpc_health.v1 import health_pb2_grpc

from segel.v1 import jobs_pb2_grpc, signing_pb2_grpc, token_admin_pb2_grpc, tokens_pb2_grpc
from segeld.audit.acts import Acts
from segeld.config.schema import Config, Limits, Tls
from segeld.office.key_desk import KeyDesk
from segeld.policy import Policy
from segeld.rpc import unix_socket
from segeld.rpc.gate import Gate
from segeld.rpc.health import WHOLE, Health
from segeld.rpc.interceptors import Guard
from segeld.rpc.jobs import Jobs
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.ports import Dispatch, Inventory, JobDesk, Oversight
from segeld.rpc.service import OfficerService
from segeld.rpc.signing import Signing
from segeld.rpc.tls_files import TlsFiles
from segeld.rpc.token_admin import TokenAdmin
from segeld.rpc.tokens import Tokens

SIGNING: Final = "segel.v1.Signing"
JOBS: Final = "segel.v1.Jobs"
TOKENS: Final = "segel.v1.Tokens"
ADMIN: Final = "segel.v1.TokenAdmin"
_HEALTH: Final = "grpc.health.v1.Health"


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the servers listen."""

    callers: int
    """TCP port."""
    officers: int | None
    """TCP port, if officers have one beside their socket."""


class _Server:
    """One gRPC server with its guard, its gate and its health."""

    def __init__(
        self, limits: Limits, open_calls: OpenCalls, metrics: CallMetrics, names: Sequence[str]
    ) -> None:
        self.gate = Gate(limits)
        self.guard = Guard(open_calls, self.gate, Gate(limits), metrics)
        self.health = Health(names)
        self.names = tuple(names)
        self.grpc = grpc.aio.server(interceptors=[self.guard], options=_options(limits))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.grpc)

    def reflect(self) -> None:
        from grpc_reflection.v1alpha import reflection

        reflection.enable_server_reflection((*self.names, _HEALTH, reflection.SERVICE_NAME), self.grpc)

    def listen(self, address: str, key: str, tls: Tls) -> int:
        """:param key: the configuration's name for `tls`.
        :raises RuntimeError: if gRPC cannot bind the address.
        """
        return self.grpc.add_secure_port(address, TlsFiles(key, tls).credentials())

    async def serve(self) -> None:
        await self.health.start()
        await self.grpc.start()

    async def stop(self, grace: float) -> None:
        with contextlib.suppress(TimeoutError):  # what is still running then is cancelled with the server
            async with asyncio.timeout(grace):
                await self.gate.drained.wait()
        self.guard.end_endless()
        await self.grpc.stop(_LAST_WORDS if self.gate.drained.is_set() else None)
        await self.guard.acts.give_up()


_LAST_WORDS: Final = 1.0
"""Seconds in which answers that are made still go out; over at once when none are left."""


class Servers:
    """Everything the daemon says over gRPC.

    The order is: `await start()`, `await serve_callers()`, `begin_stop()`, `await stop()`. Stopping twice, or before a
    start, does nothing.
    """

    def __init__(
        self,
        config: Config,
        policy: Callable[[], Policy],
        dispatch: Dispatch,
        desk: JobDesk,
        oversight: Oversight,
        inventory: Inventory,
        acts: Acts,
        key_desk: KeyDesk,
        metrics: CallMetrics,
        trouble: Callable[[], str] = lambda: "",
        services: tuple[OfficerService, ...] = (),
        open_calls: OpenCalls | None = None,
    ) -> None:
        """:param trouble: why nothing is signed although tokens can; empty if all is well.
        :param services: what officers and auditors get beside `Tokens` and `TokenAdmin`.
        :param open_calls: who is admitted, and whose calls are cut; None: whoever the policy knows.
        """
        if api_implementation.Type() != "upb":
            raise RuntimeError(
                "protobuf runs without upb; its parser in Python is no match for hostile messages"
            )
        self._config = config
        open_calls = open_calls or OpenCalls(policy)
        self._callers = _Server(config.limits, open_calls, metrics, (SIGNING, JOBS))
        names = (TOKENS, ADMIN, *(service.name for service in services))
        self._officers = _Server(config.limits, open_calls, metrics, names)
        self._both = (self._callers, self._officers)
        signing = Signing(policy, dispatch, inventory, config.limits, self._callers.gate, metrics)
        signing_pb2_grpc.add_SigningServicer_to_server(signing, self._callers.grpc)
        jobs = Jobs(policy, desk, oversight, inventory, config.limits, self._callers.gate, metrics)
        jobs_pb2_grpc.add_JobsServicer_to_server(jobs, self._callers.grpc)
        tokens_pb2_grpc.add_TokensServicer_to_server(Tokens(inventory, trouble), self._officers.grpc)
        token_admin_pb2_grpc.add_TokenAdminServicer_to_server(
            TokenAdmin(inventory, acts, oversight, policy, key_desk), self._officers.grpc
        )
        for service in services:
            service.add(service.servicer, self._officers.grpc)
        if config.reflects:
            for server in self._both:
                server.reflect()

    async def start(self, *, callers_too: bool = True) -> Bound:
        """Binds and serves.

        :param callers_too: if not, callers are accepted, and wait for `serve_callers`.
        :raises OSError: if an address is taken, or the officer socket is not ours to make.
        """
        config = self._config
        socket = config.officer_socket
        officer_key = "officers.tls" if config.officers.tls else "listen.tls"
        unix_socket.prepare(socket)
        try:
            with unix_socket.mode_of_new_sockets(config.officers.mode):
                self._officers.listen(f"unix:{socket}", officer_key, config.officer_tls)
            callers = self._callers.listen(config.listen.address, "listen.tls", config.listen.tls)
            officers = config.officers.address and self._officers.listen(
                config.officers.address, officer_key, config.officer_tls
            )
        except RuntimeError as error:
            # gRPC's own text has advice for its developers, not for whoever runs a daemon.
            raise OSError(
                f"{config.listen.address} (listen.address) or {config.officers.address or socket} (officers) cannot be "
                "listened on: it is in use, or is no address of this machine"
            ) from error
        await self._officers.serve()
        if callers_too:
            await self.serve_callers()
        return Bound(callers, officers or None)

    async def serve_callers(self) -> None:
        await self._callers.serve()

    async def show_health(self, service: str, *, serving: bool) -> None:
        """Says how a service is: `SIGNING`, `JOBS`, `TOKENS`, `ADMIN`, or `WHOLE` for both servers."""
        for server in self._both:
            if service == WHOLE or service in server.names:
                await server.health.show(service, serving=serving)

    async def begin_stop(self) -> None:
        """From now on new calls are refused with DAEMON_STOPPING, and health says so."""
        for server in self._both:
            server.gate.close()
            await server.health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Waits up to `grace` seconds for calls to end, then cancels them."""
        await self.begin_stop()
        await asyncio.gather(*(server.stop(grace) for server in self._both))


def _options(limits: Limits) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", limits.max_message),
        ("grpc.max_concurrent_streams", limits.max_calls_per_connection),
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        # 120 s by default: time enough for somebody without a certificate to hold every connection.
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.max_connection_age_ms", 30 * 60 * 1000),  # so that a renewed certificate comes into use
        ("grpc.max_connection_age_grace_ms", int(limits.deadline * 1000) + 30_000),
        ("grpc.max_connection_idle_ms", 10 * 60 * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.keepalive_time_ms", 60_000),  # a client that vanished holds its streams no longer than this,
        ("grpc.keepalive_timeout_ms", 20_000),  # and this; the system would take two hours to notice
        (
            "grpc.compression_enabled_algorithms_bitset",
            1,
        ),  # identity alone: no bomb, and digests do not shrink
        ("grpc.so_reuseport", 0),  # a second daemon on the same port is an error, not half of the calls
    ]
