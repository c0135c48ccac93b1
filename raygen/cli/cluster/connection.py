"""What verbs that talk to a cluster share."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raygen.cli.extras import needs

if TYPE_CHECKING:
    from raygen.kube import Connection, Resource


def needs_cluster() -> AbstractContextManager[None]:
    """Around imports of what the extra `operator` installs."""
    return needs("operator", "kubernetes")


def connection(args: argparse.Namespace) -> tuple[Connection, str]:
    """The cluster that the options name, and the namespace."""
    with needs_cluster():
        from raygen.kube import connect
    found = connect(args.kubeconfig, args.context)
    return found, args.namespace or found.namespace


def object_of(args: argparse.Namespace) -> tuple[Connection, str, Resource]:
    """The cluster, the namespace, and whether the name is a job's or a sweep's."""
    found, namespace = connection(args)
    from raygen.client.jobs import kind_of

    return found, namespace, kind_of(found, namespace, args.name, sweep=args.sweep)


def age(stamp: str) -> str:
    """How long ago a time of the API was: 3d, 5h, 12m or 8s."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def columns(rows: list[list[str]]) -> str:
    """A table whose first row is its head, readable without colour."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def brief(job: dict[str, Any]) -> dict[str, Any]:
    """What programs most often want of a job."""
    from raygen.client.jobs import summary

    status, found = job.get("status") or {}, summary(job)
    return {
        "name": job["metadata"]["name"],
        "namespace": job["metadata"]["namespace"],
        "succeeded": {"True": True, "False": False}.get(found["status"]),
        "reason": found["reason"],
        "message": found["message"],
        "attempts": status.get("attemptCount", 0),
        "progress": status.get("progress"),
        "outcome": status.get("outcome"),
        "run": status.get("run"),
    }
