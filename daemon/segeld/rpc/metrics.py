"""What calls cost, for Prometheus: a registry of our own, and a listener of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from segeld.config import addresses

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class CallMetrics:
    """The figures of the RPC layer. Labels take only names of methods, codes and reasons: all of them bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "segel_rpc_calls", "Calls that ended.", ("method", "code", "reason"), registry=registry
        )
        self._seconds = Histogram(
            "segel_rpc_seconds", "Time of unary calls.", ("method",), buckets=_SECONDS, registry=registry
        )
        self.streams = Gauge("segel_rpc_streams", "Sign streams that are open.", registry=registry)
        self.watches = Gauge(
            "segel_rpc_watches", "Jobs that are watched, and results that are read.", registry=registry
        )

    def ended(self, method: str, code: grpc.StatusCode, reason: str, seconds: float | None) -> None:
        """:param seconds: None for streams, whose length says nothing."""
        self._calls.labels(method, code.name, reason).inc()
        if seconds is not None:
            self._seconds.labels(method).observe(seconds)


def serve_metrics(address: str, registry: CollectorRegistry) -> tuple[int, Callable[[], None]]:
    """Answers `/metrics` on `address` from a thread of its own. Gives the port, and what ends it.

    :raises OSError: if the address is taken.
    """
    host, port = addresses.split(address)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise OSError(f"{address} (metrics.address) cannot be listened on: {error.strerror}") from error

    def close() -> None:
        ending = threading.Thread(target=server.shutdown)
        ending.start()
        # It looks every half second whether it is to end, and at once when its socket has something to say.
        with contextlib.suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)
        ending.join()
        server.server_close()
        thread.join()

    return server.server_port, close
