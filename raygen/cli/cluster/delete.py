"""`raygen delete`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster.connection import object_of
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Deletes a job or sweep from the cluster."""
    cluster, namespace, kind = object_of(args)
    from raygen.client.jobs import delete

    delete(cluster, namespace, args.name, kind)
    text = f"{namespace}/{args.name} deleted; its run directory stays"
    print_result(args, {"name": args.name, "namespace": namespace, "deleted": True}, text)
    return 0
