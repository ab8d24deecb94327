"""Figures of the dispatcher, for the metrics listener."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from segeld.model.names import TokenName


class DispatchMetrics:
    """What happened to inputs, by token."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "segel_inputs_total",
            "Inputs that a worker answered, by token and result: signed, or the reason in lower case.",
            ["token", "result"],
            registry=registry,
        )
        self._open = Gauge("segel_inputs_open", "Inputs that wait or are with a worker.", registry=registry)
        self._chunk = Histogram(
            "segel_chunk_seconds",
            "Time from handing a chunk to a worker to its answer.",
            ["token"],
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )

    def ended(self, token: TokenName, result: str, count: int = 1) -> None:
        self._ended.labels(token.word, result).inc(count)

    def open(self, count: int) -> None:
        self._open.set(count)

    def chunk(self, token: TokenName, seconds: float) -> None:
        self._chunk.labels(token.word).observe(seconds)


class JobMetrics:
    """What happens to jobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._unfinished = Gauge(
            "segel_jobs_unfinished", "Jobs that are sealed and have not ended.", registry=registry
        )
        self._unread = Gauge(
            "segel_jobs_unread_expiring",
            "Jobs with results that nobody read and that will be removed within three days.",
            registry=registry,
        )
        self._removed = Counter(
            "segel_results_removed_unread_total",
            "Results that were removed before anybody read them.",
            registry=registry,
        )

    def show(self, *, unfinished: int, unread: int) -> None:
        self._unfinished.set(unfinished)
        self._unread.set(unread)

    def removed_unread(self, results: int) -> None:
        self._removed.inc(results)
