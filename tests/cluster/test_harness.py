"""The cluster itself: what it offers to pods, what can happen to a node, and what is left of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testcluster import cluster as real
from testcluster import machine
from testcluster.console import ClusterError
from testcluster.network import CONTROL, NODES
from testcluster.node import CGROUP, CGROUPS
from testcluster.paths import CACHE

from tests.cluster.api import Cluster, pod, until


def test_a_pod_reaches_pods_of_the_other_node_services_and_storage(cluster: Cluster, namespace: str) -> None:
    serve = "import http.server as h; h.ThreadingHTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
    cluster.apply(
        pod("server", "node-1", serve, namespace),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", "namespace": namespace},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8000}]},
        },
    )
    until("the server to run", 60, lambda: cluster.phase("server", namespace) == "Running")
    until(
        "its endpoint",
        30,
        lambda: any(
            (one.get("endpoints") or [{}])[0].get("conditions", {}).get("ready")
            for one in cluster.get(
                "endpointslice", namespace=namespace, selector="kubernetes.io/service-name=server"
            )
        ),
    )
    # A server that has just started may not listen yet.
    ask = (
        "import time, urllib.error, urllib.request as r\n"
        "def ask(url):\n"
        "    for _ in range(100):\n"
        "        try: return r.urlopen(url, timeout=5).status\n"
        "        except urllib.error.HTTPError as error: return error.code\n"
        "        except OSError: time.sleep(0.1)\n"
        "print(ask('http://server/'), ask('http://s3.storage.svc.cluster.local/'))\n"
    )
    cluster.apply(pod("client", "node-2", ask, namespace))
    until("the client to end", 60, lambda: cluster.phase("client", namespace) in ("Succeeded", "Failed"))
    # The S3 server answers without credentials that it refuses.
    assert cluster.kubectl("--namespace", namespace, "logs", "client").split() == ["200", "403"]


def test_a_node_stops_and_starts_and_is_cut_off_and_healed(cluster: Cluster) -> None:
    def ready() -> set[str]:
        return set(real.ready_nodes())

    real.stop_node("node-2")
    until("node-2 to be missed", 60, lambda: ready() == {"node-1"})
    real.start_node("node-2")
    until("node-2 to be back", 60, lambda: ready() == set(NODES))
    for storage in (False, True):
        real.cut_node("node-1", storage=storage)
        until("node-1 to be missed", 60, lambda: ready() == {"node-2"})
        real.heal_node("node-1")
        until("node-1 to be back", 60, lambda: ready() == set(NODES))
    with pytest.raises(ClusterError, match="there is no node node-9"):
        real.stop_node("node-9")


def left_behind() -> dict[str, Any]:
    """What a cluster could leave on this machine besides what is built."""
    return {
        "machines": [name for name in (*NODES, CONTROL) if machine.find(name)],
        # Not the folder of buildah's storage, which buildah mounts upon itself, with or without a cluster; what builds mount in it, yes.
        "mounts": [
            line
            for line in Path("/proc/mounts").read_text().splitlines()
            if "raygen-cluster" in line and line.split()[1] != str(CACHE / "buildah" / "overlay")
        ],
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "cgroups": [str(path) for pattern in (CGROUP, f"*/{CGROUP}") for path in CGROUPS.glob(pattern)],
        # Without the dates and counters.
        "rules": re.sub(r"#.*\n|\[\d+:\d+\]", "", machine.run("iptables-save")),
    }


def test_nothing_is_left_by_down_nor_by_an_up_that_was_killed(cluster: Cluster) -> None:
    running = left_behind()
    assert running["machines"] == [*NODES, CONTROL]
    assert running["mounts"] == []
    real.down()
    stopped = left_behind()
    assert stopped["machines"] == stopped["cgroups"] == stopped["mounts"] == []
    # While it ran, the host's own interfaces and rules were as they are without it.
    assert (stopped["interfaces"], stopped["rules"]) == (running["interfaces"], running["rules"])

    command = [sys.executable, "-m", "testcluster", "up"]
    environment = os.environ | {"PYTHONPATH": str(Path(real.__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # The line that says how long it took: the node is there.
        assert any(line.startswith("start node-1  ") for line in process.stderr)
        process.kill()
    assert machine.find("node-1") is not None
    assert not real.healthy()
    real.up()
    assert real.healthy()
    began = machine.find(CONTROL)
    real.up()
    assert machine.find(CONTROL) == began
