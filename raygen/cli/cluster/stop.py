"""`raygen stop`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster.connection import brief, object_of
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Suspends a job or sweep."""
    cluster, namespace, kind = object_of(args)
    from raygen.client.jobs import ended, stop, summary

    job = stop(cluster, namespace, args.name, kind)
    name = f"{namespace}/{args.name}"
    text = f"{name} stops with a checkpoint; submit it again, and it goes on"
    if ended(job):
        text = f"{name} has ended ({summary(job)['reason']}); there is nothing to stop"
    print_result(args, brief(job), text)
    return 0
