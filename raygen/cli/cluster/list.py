"""`raygen list`."""

from __future__ import annotations

import argparse
from typing import Any

from raygen.cli.cluster.connection import age, brief, columns, connection
from raygen.cli.output import number, print_result

HEAD = ["NAME", "STATUS", "STEP", "LOSS", "THROUGHPUT", "ETA", "ATTEMPTS", "AGE"]


def run(args: argparse.Namespace) -> int:
    """Prints the jobs of a namespace."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import list_jobs

    found = list_jobs(cluster, "" if args.all_namespaces else namespace)
    head = (["NAMESPACE"] if args.all_namespaces else []) + HEAD
    rows = [head, *(_row(job, with_namespace=args.all_namespaces) for job in found)]
    text = columns(rows) if found else f"no jobs in {'any namespace' if args.all_namespaces else namespace}"
    print_result(args, {"jobs": [brief(job) for job in found]}, text)
    return 0


def _row(job: dict[str, Any], *, with_namespace: bool) -> list[str]:
    from raygen.client.jobs import summary

    metadata, status = job["metadata"], job.get("status") or {}
    progress = status.get("progress") or {}
    cells = [
        metadata["name"],
        summary(job)["reason"],
        number(progress["step"]) if "step" in progress else "",
        f"{progress['loss']:.4f}" if "loss" in progress else "",
        number(round(progress["throughput"])) if "throughput" in progress else "",
        progress.get("eta", ""),
        str(status.get("attemptCount", 0)),
        age(metadata["creationTimestamp"]),
    ]
    return ([metadata["namespace"]] if with_namespace else []) + cells
