"""`raygen get`."""

from __future__ import annotations

import argparse
from typing import Any

from raygen.cli.cluster.connection import age, columns, connection
from raygen.cli.output import number, print_result, table


def run(args: argparse.Namespace) -> int:
    """Prints what is known of a job: how it is and why, how far, and its attempts."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import get

    job = get(cluster, namespace, args.name)
    job["metadata"].pop("managedFields", None)
    print_result(args, job, describe(job))
    return 0


def describe(job: dict[str, Any]) -> str:
    """A job in words."""
    from raygen.client.jobs import summary

    status, found = job.get("status") or {}, summary(job)
    rows = {
        "job": f"{job['metadata']['namespace']}/{job['metadata']['name']}, {age(job['metadata']['creationTimestamp'])} old",
        "status": found["reason"],
        "why": found["message"],
    }
    if "preparation" in status:
        rows["preparing"] = status["preparation"]["said"]
    if "prepared" in status:
        rows["data"] = status["prepared"]["uri"]
    progress = status.get("progress") or {}
    if "step" in progress:
        rows["step"] = f"{number(progress['step'])} of {number(progress['steps'])}" + (
            f", {progress['eta']} left" if progress.get("eta") and found["status"] == "Unknown" else ""
        )
    if "loss" in progress:
        rows["loss"] = f"{progress['loss']:.4f}"
    for metric in progress.get("metrics", ()):
        rows[metric["name"]] = f"{metric['value']:.4f} at step {number(metric['step'])}"
    if "goodput" in progress:
        rows["goodput"] = f"{progress['goodput']:.0%}"
    driver = status.get("driver") or {}
    if driver:
        rows["driver"] = f"pod {driver['podName']} on {driver.get('nodeName', 'no node')}"
    if "run" in status:
        rows["run"] = status["run"]
    text = table(rows)
    attempts = status.get("attempts") or ()
    if attempts:
        head = ["ATTEMPT", "STARTED", "ENDED", "CAUSE", "STEPS", "LOST"]
        text += "\n\n" + columns([head, *map(_attempt, attempts)])
    return text


def _attempt(one: dict[str, Any]) -> list[str]:
    steps = f"{one['firstStep']} to {one.get('lastStep', '...')}" if "firstStep" in one else ""
    steps = "none, prepares data" if one.get("stage") == "Preparation" else steps
    ended = f"{age(one['ended'])} ago" if "ended" in one else ""
    lost = str(one.get("lostSteps", ""))
    return [str(one["number"]), f"{age(one['started'])} ago", ended, one.get("cause", "runs"), steps, lost]
