"""`raygen get`."""

from __future__ import annotations

import argparse
from typing import Any

from raygen.cli.cluster.connection import age, columns, object_of
from raygen.cli.output import number, print_result, table


def run(args: argparse.Namespace) -> int:
    """Prints what is known of a job or sweep: how it is and why, how far, and its attempts."""
    cluster, namespace, kind = object_of(args)
    from raygen.client.jobs import get

    job = get(cluster, namespace, args.name, kind)
    job["metadata"].pop("managedFields", None)
    print_result(args, job, describe(job))
    return 0


def describe(job: dict[str, Any]) -> str:
    """A job in words."""
    from raygen.client.jobs import summary

    status, found = job.get("status") or {}, summary(job)
    rows = {
        "sweep"
        if job["kind"] == "Sweep"
        else "job": f"{job['metadata']['namespace']}/{job['metadata']['name']}, {age(job['metadata']['creationTimestamp'])} old",
        "status": found["reason"],
        "why": found["message"],
    }
    if "preparation" in status:
        rows["preparing"] = status["preparation"]["said"]
    if "prepared" in status:
        rows["data"] = status["prepared"]["uri"]
    progress = status.get("progress") or {}
    if "said" in progress:
        rows |= _trials(progress, has_ended=found["status"] != "Unknown")
    elif "step" in progress:
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
        rows["directory" if job["kind"] == "Sweep" else "run"] = status["run"]
    text = table(rows)
    attempts = status.get("attempts") or ()
    if attempts:
        head = ["ATTEMPT", "STARTED", "ENDED", "CAUSE", "STEPS", "LOST"]
        text += "\n\n" + columns([head, *map(_attempt, attempts)])
    return text


def _trials(progress: dict[str, Any], *, has_ended: bool) -> dict[str, str]:
    """How far a sweep is."""
    left = f", {progress['eta']} left" if progress.get("eta") and not has_ended else ""
    states = ("running", "waiting", "completed", "stopped", "failed")
    rows = {
        "trials": f"{progress['said']}{left}",
        "states": ", ".join(f"{number(progress[state])} {state}" for state in states if progress.get(state)),
    }
    best = progress.get("best")
    if best is not None:
        metrics = "  ".join(f"{one['name']} {one['value']:.4g}" for one in best.get("metrics", ()))
        values = ", ".join(f"{path}={value}" for path, value in best.get("values", {}).items())
        rows["best"] = f"trial {best['trial']}: {metrics}  ({values})"
    if "front" in progress:
        rows["front"] = f"{number(progress['front'])} trials that no other beats"
    return rows


def _attempt(one: dict[str, Any]) -> list[str]:
    # Of a sweep: of all trials together.
    steps = f"{one['firstStep']} to {one.get('lastStep', '...')}" if "firstStep" in one else ""
    steps = "none, prepares data" if one.get("stage") == "Preparation" else steps
    ended = f"{age(one['ended'])} ago" if "ended" in one else ""
    lost = str(one.get("lostSteps", ""))
    return [str(one["number"]), f"{age(one['started'])} ago", ended, one.get("cause", "runs"), steps, lost]
