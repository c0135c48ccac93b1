"""The test cluster's command line: `make cluster-up`, `make cluster-down`, `make cluster-status`."""

from __future__ import annotations

import argparse
import sys

from testcluster import cluster, host, own, parts, tools
from testcluster.console import ClusterError
from testcluster.network import NODES
from testcluster.paths import CACHE, KUBECONFIG


def main() -> int:
    """Runs one verb; the exit code is 0, or 1 with a message."""
    arguments = _parser().parse_args()
    try:
        if arguments.verb not in ("build", "up", "status"):
            host.check_privileges()
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
        added.set_defaults(run=run, verb=name)
        return added

    up = verb(
        "up",
        "start the cluster, building what is missing; a cluster of kind's that KUBECONFIG names gets images and KubeRay",
        lambda a: _up(a.parts),
    )
    up.add_argument(
        "--with",
        dest="parts",
        metavar="PART",
        choices=parts.NAMES,
        action="append",
        default=[],
        help=f"add a part to the cluster: {', '.join(parts.NAMES)}; may be given several times",
    )
    verb(
        "build",
        "build all programs, those of tests too, and the images, and start nothing",
        lambda _: _build(),
    )
    verb("down", "end the cluster; what was built stays", lambda _: cluster.down())
    verb("status", "machines, nodes, pods", lambda _: print(cluster.status()))
    for name, text, run in (
        ("stop-node", "end a node as a power cut would", lambda a: cluster.stop_node(a.node)),
        ("start-node", "start a stopped node", lambda a: cluster.start_node(a.node)),
        ("heal-node", "undo cut-node", lambda a: cluster.heal_node(a.node)),
    ):
        verb(name, text, run).add_argument("node", choices=NODES)
    cut = verb(
        "cut-node", "cut a node off the network", lambda a: cluster.cut_node(a.node, storage=a.except_storage)
    )
    cut.add_argument("node", choices=NODES)
    cut.add_argument("--except-storage", action="store_true", help="from everything but the S3 server")
    return parser


def _build() -> None:
    for tool in (*tools.ALL, *tools.EXTRA):
        tools.build(tool)
    if not own.configured():
        cluster.build_images()


def _up(names: list[str]) -> None:
    if own.configured():
        if names:
            raise ClusterError(
                "--with is for the cluster that this makes\nUnset KUBECONFIG, and this makes it."
            )
        own.up()
        return
    cluster.up()
    parts.add(names)
    print(f"export KUBECONFIG={KUBECONFIG}")


if __name__ == "__main__":
    sys.exit(main())
