"""`raygen dashboard`."""

from __future__ import annotations

import argparse
import sys
import threading

from raygen.cli.cluster.connection import object_of
from raygen.cli.interrupts import unwound
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Opens the way to the Ray dashboard of a job or sweep, until Ctrl-C."""
    cluster, namespace, kind = object_of(args)
    from raygen.client.dashboard import Forward
    from raygen.client.jobs import get

    forward = Forward(cluster, get(cluster, namespace, args.name, kind), args.port)
    try:
        with unwound():
            print_result(args, {"url": forward.url}, f"{forward.url}  (Ctrl-C ends it)")
            # Who reads the address from a pipe waits for it.
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    finally:
        forward.close()
    return 0
