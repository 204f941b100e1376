"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

import clients  # noqa: F401 - first of all: it keeps gRPC's fork handlers out of processes that start others

settings.register_profile(
    "plateward", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("plateward")
