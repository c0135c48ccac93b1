"""`raygen doctor`."""

from __future__ import annotations

import argparse
import time

from raygen.cli.cluster import connection
from raygen.cli.output import print_result
from raygen.errors import InputError

PAUSE_SECONDS = 1.0


def run(args: argparse.Namespace) -> int:
    """Prints what keeps jobs from running on a cluster, and what to do; 1 if something does."""
    cluster, namespace = connection(args)
    from raygen.client.doctor import CHECKS, View, examine
    from raygen.kube import ApiError

    unknown = [name for name in args.only if name not in CHECKS]
    if unknown:
        raise InputError(
            f"there is no check {unknown[0]}", where="--only", remedy=f"There are {', '.join(CHECKS)}."
        )
    deadline = time.monotonic() + args.wait
    while True:
        try:
            found = examine(View(cluster, namespace, args.runtime), tuple(args.only))
        except ApiError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
            continue
        failed = any(one.state == "fault" for one in found)
        blind = all(one.state == "unknown" for one in found)
        if not (failed or blind) or time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
    lines = []
    for one in found:
        lines.append(f"{one.state:<8} {one.check}: {one.said}")
        if one.remedy:
            lines.append(f"{'':<8} {one.remedy}")
    document = {"faults": failed, "findings": [vars(one) for one in found]}
    print_result(args, document, "\n".join(lines))
    return 1 if failed or blind else 0
