"""The Kubernetes API as JSON: requests, their errors, lists by pages, and watches."""

from __future__ import annotations

from raygen.kube.connection import APPLY, Connection, connect
from raygen.kube.errors import ApiError
from raygen.kube.resources import (
    EVENTS,
    EVENTS_WRITE,
    LEASES,
    PODS,
    RAY_CLUSTERS,
    RAY_JOBS,
    RUNTIMES,
    SWEEPS,
    TRAINING_JOBS,
    Resource,
)

__all__ = [
    "APPLY",
    "EVENTS",
    "EVENTS_WRITE",
    "LEASES",
    "PODS",
    "RAY_CLUSTERS",
    "RAY_JOBS",
    "RUNTIMES",
    "SWEEPS",
    "TRAINING_JOBS",
    "ApiError",
    "Connection",
    "Resource",
    "connect",
]
