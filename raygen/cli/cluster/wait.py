"""`raygen wait`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from raygen.cli.cluster.connection import brief, object_of
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Waits for the end of a job or sweep; 0 if it succeeded or has a reason that was asked for, 1 if it failed, 3 if it rests."""
    cluster, namespace, kind = object_of(args)
    from raygen.client.jobs import current, wait

    told = ""

    def tell(job: dict[str, Any]) -> None:
        nonlocal told
        found = current(job)
        line = f"{found['reason']}: {found['message']}"
        if line != told:
            print(line, file=sys.stderr)
            told = line

    job = wait(cluster, namespace, args.name, until=args.until, timeout=args.timeout, tell=tell, kind=kind)
    found = current(job)
    print_result(args, brief(job), f"{namespace}/{args.name}: {found['reason']}")
    if found["status"] == "Unknown":
        return 0 if found["reason"] in args.until else 3
    return 0 if found["status"] == "True" else 1
