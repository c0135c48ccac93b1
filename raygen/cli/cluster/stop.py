"""`raygen stop`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster.connection import brief, connection
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Suspends a job."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import ended, stop, summary

    job = stop(cluster, namespace, args.name)
    name = f"{namespace}/{args.name}"
    text = f"{name} stops with a checkpoint; submit it again, and it goes on"
    if ended(job):
        text = f"{name} has ended ({summary(job)['reason']}); there is nothing to stop"
    print_result(args, brief(job), text)
    return 0
