"""Figures of the audit log, for the metrics listener. Asked for when they are read, so a disk that hangs shows."""

from prometheus_client import CollectorRegistry, Gauge

from segeld.audit.publisher import Publisher
from segeld.audit.witness import Witness


class AuditMetrics:
    """How far the log's files are."""

    def __init__(
        self, registry: CollectorRegistry, publisher: Publisher, witness: Witness | None = None
    ) -> None:
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
        if witness is None:
            return
        age = Gauge(
            "segel_audit_witness_age_seconds",
            "For how long the newest checkpoint that the witness has been given is there; -1 if there is none.",
            registry=registry,
        )
        age.set_function(lambda: -1.0 if witness.age is None else witness.age)
        unreachable = Gauge(
            "segel_audit_witness_trouble", "1 while the witness cannot be reached.", registry=registry
        )
        unreachable.set_function(lambda: bool(witness.trouble))
