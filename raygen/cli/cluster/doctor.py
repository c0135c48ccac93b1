"""`raygen doctor`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from types import FrameType
from typing import TYPE_CHECKING

from raygen.cli.cluster.connection import connection
from raygen.cli.interrupts import unwound
from raygen.cli.output import print_result, printable
from raygen.errors import InputError

if TYPE_CHECKING:
    from raygen.client.doctor import Finding
    from raygen.kube import Connection

PAUSE_SECONDS = 1.0
HINT = "Whether nodes get the image, and pods the storage, was not tried: `raygen doctor --probe` makes a pod that does."


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def run(args: argparse.Namespace) -> int:
    """Prints what keeps jobs from running on a cluster, and what to do; 1 if something does."""
    cluster, namespace = connection(args)
    from raygen.client.doctor import CHECKS, PROBES

    for name in args.only:
        if name not in (*CHECKS, *PROBES):
            remedy = f"There are {', '.join((*CHECKS, *PROBES))}."
            raise InputError(f"there is no check {name}", where="--only", remedy=remedy)
        if name in PROBES and not args.probe:
            raise InputError(f"the check {name} makes a pod", where="--only", remedy="Add --probe.")
    if args.probe and not args.json:
        print(f"trying by a pod in {namespace}, for at most {args.timeout:g} s", file=sys.stderr)
    # However this is ended, the pod is deleted.
    with unwound() if args.probe else nullcontext():
        found = _found(args, cluster, namespace)
    failed = any(one.state == "fault" for one in found)
    lines = []
    for one in found:
        lines.append(f"{one.state:<8} {one.check}: {one.said}")
        if one.remedy:
            lines.append(f"{'':<8} {one.remedy}")
    if not found:
        lines.append(
            f"nothing to check: without its runtime, or with this one, {' and '.join(args.only)} has no meaning"
        )
    if not args.probe and not args.only:
        lines.append(HINT)
    document = {"faults": failed, "findings": [vars(one) for one in found]}
    print_result(args, document, printable("\n".join(lines)))
    # A probe that was asked for and not made shows nothing.
    return 1 if failed or _is_blind(found) or (args.probe and not found) else 0


def _found(args: argparse.Namespace, cluster: Connection, namespace: str) -> list[Finding]:
    """What is found, once nothing is wrong or the time to wait for that is up."""
    from raygen.client.doctor import View, examine
    from raygen.kube import ApiError

    if args.probe:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
    deadline = time.monotonic() + args.wait
    while True:
        try:
            view = View(cluster, namespace, args.runtime)
            found = examine(view, tuple(args.only), probe_seconds=args.timeout if args.probe else None)
        except ApiError:
            if time.monotonic() > deadline:
                raise
        else:
            faulty = _is_blind(found) or any(one.state == "fault" for one in found)
            if not faulty or time.monotonic() > deadline:
                return found
        time.sleep(PAUSE_SECONDS)


def _is_blind(found: Sequence[Finding]) -> bool:
    return bool(found) and all(one.state == "unknown" for one in found)
