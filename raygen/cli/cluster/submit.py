"""`raygen submit`."""

from __future__ import annotations

import argparse

from raygen.cli.cluster.connection import connection
from raygen.cli.local.job_file import holds_sweep, load_job, load_sweep
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Makes or changes a job or sweep on the cluster."""
    loaded = load_sweep(args) if holds_sweep(args) else load_job(args)
    cluster, namespace = connection(args)
    from raygen.client.jobs import ended, submit, summary

    namespace = args.namespace or loaded.value.metadata.namespace or namespace
    made = submit(cluster, loaded.value, namespace, dry_run=args.dry_run)
    metadata = made["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    # A sweep that has ended goes on if it has changed.
    has_ended = ended(made) and not args.dry_run and made.get("kind") != "Sweep"
    if args.dry_run:
        text = f"{name} would be accepted"
    elif has_ended:
        text = f"{name} has ended ({summary(made)['reason']}) and is not run again; for that: raygen delete {metadata['name']}, and submit it"
    else:
        text = f"{name} submitted; watch it: raygen wait {metadata['name']}"
    document = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "dryRun": args.dry_run,
        "hasEnded": has_ended,
    }
    print_result(args, document, text)
    return 0
