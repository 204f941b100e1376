"""What the log says of itself to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram


class LogMetrics:
    """Size, waiting appends, commits, and how far publishing lags behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.size = Gauge("plateward_audit_entries", "Entries in the log.", registry=registry)
        self.waiting = Gauge("plateward_audit_waiting", "Appends that wait for a commit.", registry=registry)
        self.lag = Gauge(
            "plateward_audit_publishing_lag",
            "Entries that are in the log and not yet under a checkpoint that enough witnesses cosigned.",
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "plateward_audit_commit_seconds", "Seconds of one commit.", registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )  # fmt: skip
        self.commit_entries = Histogram(
            "plateward_audit_commit_entries", "Entries of one commit.", registry=registry, buckets=(1, 4, 16, 64, 256, 1024, 4096)
        )  # fmt: skip
        self.witness_refusals = Gauge(
            "plateward_audit_witnesses_refusing",
            "Witnesses that refused the log's latest checkpoint: look at once, the log or the witness is wrong.",
            registry=registry,
        )
        self.audits_overdue = Gauge(
            "plateward_audit_reviews_overdue",
            "Periodic audits that are due and not signed off.",
            registry=registry,
        )
