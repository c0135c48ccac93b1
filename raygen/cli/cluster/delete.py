"""`raygen delete`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster.connection import connection
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Deletes a job from the cluster."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import delete

    delete(cluster, namespace, args.name)
    text = f"{namespace}/{args.name} deleted; its run directory stays"
    print_result(args, {"name": args.name, "namespace": namespace, "deleted": True}, text)
    return 0
