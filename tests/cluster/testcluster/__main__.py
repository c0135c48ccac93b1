"""The test cluster's command line: `make cluster-up`, `make cluster-down`, `make cluster-status`."""

from __future__ import annotations

import argparse
import sys

from testcluster import cluster
from testcluster.console import ClusterError
from testcluster.network import NODES
from testcluster.paths import CACHE, KUBECONFIG


def main() -> int:
    """Runs one verb; the exit code is 0, or 1 with a message."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the next up or down cleans up", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="testcluster",
        description="A real two-node Kubernetes with KubeRay and an S3 server on one Linux machine, without a "
        f"container engine. Everything it builds and runs is under {CACHE}.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, text: str, run: object) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    verb("up", "start the cluster, building what is missing", lambda _: _up())
    verb("down", "end the cluster; what was built stays", lambda _: cluster.down())
    verb("status", "machines, nodes, pods", lambda _: print(cluster.status()))
    for name, text, run in (
        ("stop-node", "end a node as a power cut would", lambda a: cluster.stop_node(a.node)),
        ("start-node", "start a stopped node", lambda a: cluster.start_node(a.node)),
        ("heal-node", "undo cut-node", lambda a: cluster.heal_node(a.node)),
    ):
        verb(name, text, run).add_argument("node", choices=NODES)
    cut = verb(
        "cut-node", "cut a node off the network", lambda a: cluster.cut_node(a.node, storage=a.api_only)
    )
    cut.add_argument("node", choices=NODES)
    cut.add_argument("--api-only", action="store_true", help="only from the API server, not from storage")
    return parser


def _up() -> None:
    cluster.up()
    print(f"export KUBECONFIG={KUBECONFIG}")


if __name__ == "__main__":
    sys.exit(main())
