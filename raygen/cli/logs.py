"""`raygen logs`."""

from __future__ import annotations

import argparse
import sys

from raygen.cli.cluster import connection
from raygen.cli.output import print_result
from raygen.errors import InputError


def run(args: argparse.Namespace) -> int:
    """Prints what the driver of a job says."""
    cluster, namespace = connection(args)
    from raygen.client.dashboard import Forward
    from raygen.client.jobs import attempt_is_over, get
    from raygen.client.logs import logs
    from raygen.kube import RAY_JOBS

    job = get(cluster, namespace, args.name)
    forward = Forward(cluster, job)
    try:
        attempt = job["status"]["attempts"][-1]["rayJob"]
        job_id = (cluster.get(RAY_JOBS, namespace, attempt).get("status") or {}).get("jobId")
        if not job_id:
            raise InputError(
                "the driver has not started",
                where=attempt,
                remedy=f"Wait: raygen wait {args.name} --for Training",
            )
        found: list[str] = []

        def write(text: str) -> None:
            found.append(text)
            if not args.json:
                sys.stdout.write(text)
                sys.stdout.flush()

        def over() -> bool:
            return attempt_is_over(cluster, namespace, args.name, attempt)

        if not logs(forward.url, job_id, write, follow=args.follow, over=over):
            run = job["status"].get("run", "its run directory")
            print(
                f"the attempt has ended and its head pod is gone; what it left is in {run}", file=sys.stderr
            )
    finally:
        forward.close()
    if args.json:
        print_result(args, {"name": args.name, "rayJob": attempt, "logs": "".join(found)}, "")
    return 0
