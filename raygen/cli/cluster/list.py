"""`raygen list`."""

from __future__ import annotations

import argparse
from typing import Any

from raygen.cli.cluster.connection import age, brief, columns, connection
from raygen.cli.output import number, print_result

SWEEP_HEAD = ["SWEEP", "STATUS", "TRIALS", "RUNNING", "BEST", "ETA", "ATTEMPTS", "AGE"]
HEAD = ["NAME", "STATUS", "STEP", "LOSS", "THROUGHPUT", "ETA", "ATTEMPTS", "AGE"]


def run(args: argparse.Namespace) -> int:
    """Prints the jobs and sweeps of a namespace."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import list_jobs
    from raygen.kube import SWEEPS

    where = "" if args.all_namespaces else namespace
    found, sweeps = list_jobs(cluster, where), list_jobs(cluster, where, SWEEPS)
    first = ["NAMESPACE"] if args.all_namespaces else []
    tables = [
        columns([first + head, *(row(one, with_namespace=args.all_namespaces) for one in objects)])
        for head, row, objects in ((HEAD, _row, found), (SWEEP_HEAD, _sweep_row, sweeps))
        if objects
    ]
    text = "\n\n".join(tables) or f"no jobs in {'any namespace' if args.all_namespaces else namespace}"
    document = {"jobs": [brief(job) for job in found], "sweeps": [brief(one) for one in sweeps]}
    print_result(args, document, text)
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


def _sweep_row(sweep: dict[str, Any], *, with_namespace: bool) -> list[str]:
    from raygen.client.jobs import summary

    metadata, status = sweep["metadata"], sweep.get("status") or {}
    progress = status.get("progress") or {}
    metrics = (progress.get("best") or {}).get("metrics") or ()
    cells = [
        metadata["name"],
        summary(sweep)["reason"],
        progress.get("said", ""),
        str(progress.get("running", "")),
        f"{metrics[0]['value']:.4g}" if metrics else "",
        progress.get("eta", ""),
        str(status.get("attemptCount", 0)),
        age(metadata["creationTimestamp"]),
    ]
    return ([metadata["namespace"]] if with_namespace else []) + cells
