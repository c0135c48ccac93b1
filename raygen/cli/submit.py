"""`raygen submit`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster import connection
from raygen.cli.jobs import load_job
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Makes or changes a job on the cluster."""
    loaded = load_job(args)
    cluster, namespace = connection(args)
    from raygen.client.jobs import submit

    namespace = args.namespace or loaded.job.metadata.namespace or namespace
    made = submit(cluster, loaded.job, namespace, dry_run=args.dry_run)
    metadata = made["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    text = (
        f"{name} would be accepted"
        if args.dry_run
        else f"{name} submitted; watch it: raygen wait {metadata['name']}"
    )
    document = {"name": metadata["name"], "namespace": metadata["namespace"], "dryRun": args.dry_run}
    print_result(args, document, text)
    return 0
