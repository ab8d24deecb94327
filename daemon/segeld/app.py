"""The composition root: configuration and policy in, a running daemon out. Started in order, stopped in reverse."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from segeld import __version__
from segeld.config import Config
from segeld.dispatch.dispatcher import Dispatcher
from segeld.dispatch.metrics import DispatchMetrics
from segeld.policy import Policy
from segeld.rpc.metrics import CallMetrics, serve_metrics
from segeld.rpc.server import SIGNING, Servers
from segeld.supervisor.metrics import TokenMetrics
from segeld.supervisor.supervisor import Supervisor

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running daemon is reached."""

    callers: str
    """Host and port."""
    officer_socket: Path
    metrics: str | None
    """Host and port of the plain HTTP listener."""


async def serve(
    config: Config, policy: Policy, *, stop: asyncio.Event, ready: Callable[[Endpoints], None]
) -> None:
    """Runs the daemon until `stop` is set, then finishes what is in flight (at most `limits.grace` seconds).

    :param ready: called once, when every listener is open and every token has been looked for.
    :raises OSError: if an address is taken or a child cannot be started.
    """
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = _registry()
    dispatcher = Dispatcher(
        lambda: supervisor,
        DispatchMetrics(registry),
        queue=config.limits.queue,
        queue_per_caller=config.limits.queue_per_caller,
    )
    tokens = TokenMetrics(registry)

    def changed() -> None:
        tokens.show(supervisor.tokens())
        dispatcher.review()

    supervisor = Supervisor(config, dispatcher.serve, changed)
    servers = Servers(config, lambda: policy, dispatcher, supervisor, CallMetrics(registry))
    with ExitStack() as stack:
        metrics = None
        if config.metrics is not None:
            port, close = serve_metrics(config.metrics.address, registry)
            stack.callback(close)
            metrics = f"{_host(config.metrics.address)}:{port}"
        async with asyncio.TaskGroup() as group:
            bound = await servers.start()  # a port that is taken is known before any token is logged in
            supervising = group.create_task(supervisor.run(), name="supervisor")
            try:
                await _unless(stop, supervisor.looked())
                if not stop.is_set():
                    callers = f"{_host(config.listen.address)}:{bound.callers}"
                    _log.info(
                        "ready", version=__version__, callers=callers, officers=str(config.officer_socket)
                    )
                    ready(Endpoints(callers, config.officer_socket, metrics))
                await stop.wait()
                _log.info("stopping", grace=config.limits.grace)
                await servers.show_health(SIGNING, serving=False)
                dispatcher.begin_stop()
                await servers.stop(config.limits.grace)
            finally:
                supervising.cancel()
    _log.info("stopped")


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Returns when the work is done, or when it is time to stop."""
    waits = [asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _registry() -> CollectorRegistry:
    """The process's own figures are part of it: memory, CPU, descriptors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _host(address: str) -> str:
    return address.rpartition(":")[0]
