"""Figures of the audit log, for the metrics listener. Asked for when they are read, so a disk that hangs shows."""

from prometheus_client import CollectorRegistry, Gauge

from segeld.audit.publisher import Publisher


class AuditMetrics:
    """How far the log's files are."""

    def __init__(self, registry: CollectorRegistry, publisher: Publisher) -> None:
        size = Gauge(
            "segel_audit_leaves", "Leaves that the last checkpoint is signed for.", registry=registry
        )
        size.set_function(lambda: publisher.size)
        behind = Gauge(
            "segel_audit_behind_seconds",
            "For how long there has been a recorded leaf that is not published.",
            registry=registry,
        )
        behind.set_function(lambda: publisher.behind)
        trouble = Gauge(
            "segel_audit_trouble", "1 while the log's files cannot be written.", registry=registry
        )
        trouble.set_function(lambda: publisher.trouble is not None)
