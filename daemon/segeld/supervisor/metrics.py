"""Figures of tokens and workers, for the metrics listener."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Enum, Gauge

from segeld.model.inventory import TokenRecord
from segeld.model.token_state import TokenState


class TokenMetrics:
    """The state of each token, and how many of its workers are ready."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._state = Enum(
            "segel_token_state",
            "What the token is doing.",
            ["token"],
            states=[state.value for state in TokenState],
            registry=registry,
        )
        self._ready = Gauge("segel_workers_ready", "Workers that sign.", ["token"], registry=registry)
        self._configured = Gauge(
            "segel_workers_configured", "Workers there should be.", ["token"], registry=registry
        )

    def show(self, tokens: Iterable[TokenRecord]) -> None:
        for token in tokens:
            self._state.labels(token.name.word).state(token.state.value)
            self._ready.labels(token.name.word).set(token.workers_ready)
            self._configured.labels(token.name.word).set(token.workers_configured)
