"""`raygen doctor`."""

from __future__ import annotations

import argparse
import sys
import time

from raygen.cli.cluster import connection
from raygen.cli.output import print_result, printable
from raygen.errors import InputError

PAUSE_SECONDS = 1.0
HINT = "Whether nodes get the image, and pods the storage, was not tried: `raygen doctor --probe` makes a pod that does."


def run(args: argparse.Namespace) -> int:
    """Prints what keeps jobs from running on a cluster, and what to do; 1 if something does."""
    cluster, namespace = connection(args)
    from raygen.client.doctor import CHECKS, PROBES, View, examine
    from raygen.kube import ApiError

    for name in args.only:
        if name not in (*CHECKS, *PROBES):
            remedy = f"There are {', '.join((*CHECKS, *PROBES))}."
            raise InputError(f"there is no check {name}", where="--only", remedy=remedy)
        if name in PROBES and not args.probe:
            raise InputError(f"the check {name} makes a pod", where="--only", remedy="Add --probe.")
    if args.probe and not args.json:
        print(f"trying by a pod in {namespace}, for at most {args.timeout:g} s", file=sys.stderr)
    deadline = time.monotonic() + args.wait
    while True:
        try:
            view = View(cluster, namespace, args.runtime)
            found = examine(view, tuple(args.only), probe_seconds=args.timeout if args.probe else None)
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
    if not args.probe and not args.only:
        lines.append(HINT)
    document = {"faults": failed, "findings": [vars(one) for one in found]}
    print_result(args, document, printable("\n".join(lines)))
    return 1 if failed or blind else 0
