"""Figures of the officers' side, for the metrics listener."""

from prometheus_client import CollectorRegistry, Counter

from segeld.office.notices import Kind


class NoticeMetrics:
    """What became of notices."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._notices = Counter(
            "segel_notices_total",
            "Notices for the command of [notify], by kind and result: told, failed or dropped.",
            ["kind", "result"],
            registry=registry,
        )

    def counted(self, kind: Kind, result: str) -> None:
        self._notices.labels(kind, result).inc()
