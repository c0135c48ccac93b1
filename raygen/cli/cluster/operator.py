"""`raygen operator`."""

from __future__ import annotations

import argparse
import signal
from types import FrameType

from raygen.cli.cluster.connection import needs_cluster
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Works until SIGTERM or SIGINT; 1 if it lost its Lease or cannot see the cluster."""
    with needs_cluster():
        from raygen.controller.election import REQUEST_SECONDS
        from raygen.controller.logs import configure
        from raygen.kube import connect
        from raygen.operator.kinds import KINDS
        from raygen.operator.process import Operator, Settings
    configure(args.log_format)

    settings = Settings(
        namespaces=tuple(dict.fromkeys(args.namespaces)),
        lease_namespace=args.lease_namespace or "",
        lease_name=args.lease_name,
        workers=args.workers,
        health_port=args.health_port,
    )
    operator = Operator(
        connect(args.kubeconfig, args.context, pool=args.workers + 8),
        KINDS,
        settings,
        lambda: connect(args.kubeconfig, args.context, pool=2, seconds=REQUEST_SECONDS),
    )

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        operator.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    code = operator.run()
    print_result(args, {"exitCode": code}, "the operator has ended")
    return code
