"""`raygen stop`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster import brief, connection
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Suspends a job."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import stop

    job = stop(cluster, namespace, args.name)
    text = f"{namespace}/{args.name} stops with a checkpoint; submit it again, and it goes on"
    print_result(args, brief(job), text)
    return 0
