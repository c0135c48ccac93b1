"""A node: containerd, kubelet and kube-proxy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testcluster import network, pki
from testcluster.console import wait_until
from testcluster.machine import Machine, Service
from testcluster.network import API_ADDRESS, PODS
from testcluster.paths import STATE
from testcluster.tools import binary

CNI_PLUGINS = Path("/usr/lib/cni")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = "raygen-cluster"
PAUSE = "raygen.test/pause:1"


def folder(node: str) -> Path:
    """Where a node keeps its files."""
    return STATE / node


def start(node: str) -> None:
    """Starts a node, new or as it was when it stopped."""
    home = folder(node)
    home.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "containerd.toml": containerd_config(home / "containerd", home / "cni"),
        "cni/10-pods.conflist": _cni(node),
        "kubelet.yaml": _kubelet(node),
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    for name in ("var-lib", "var-lib-work", "kubelet"):
        (home / name).mkdir(exist_ok=True)
    _make_cgroups(node)
    network.forget_node(node)
    _machine(node).start(network.connect_node(node))


def containerd_config(root: Path, cni: Path | None = None) -> str:
    """The configuration of a containerd whose files are under `root`."""
    return f"""version = 3
root = "{root}"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  # Root without CAP_SYS_RESOURCE may not lower a process's oom_score_adj.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{CNI_PLUGINS}"]
    conf_dir = "{cni or root}"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def remove_cgroups() -> None:
    """Removes the control groups of ended nodes; they are the one thing that namespaces do not take along."""
    tops = [top / CGROUP for top in (*_cgroup_roots(), CGROUPS / "unified")]
    # The kernel lets go of a group a moment after its last process.
    wait_until(lambda: all(list(map(_removed, tops))), f"control groups {CGROUP} to be free", 20)


def _removed(top: Path) -> bool:
    for path, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(path)  # noqa: PTH106 (a folder of the kernel's)
    return not top.exists()


def _machine(node: str) -> Machine:
    home = folder(node)
    # Programs that a node runs look for each other here.
    environment = {"PATH": f"{binary('containerd').parent}:{os.environ['PATH']}:/usr/sbin:/sbin"}
    containerd = [str(binary("containerd")), f"--config={home / 'containerd.toml'}"]
    kubelet = [
        str(binary("kubelet")),
        f"--config={home / 'kubelet.yaml'}",
        f"--kubeconfig={pki.FOLDER / node}.kubeconfig",
        f"--hostname-override={node}",
        f"--node-ip={network.node_address(node)}",
        f"--root-dir={home / 'kubelet'}",
    ]
    proxy = [
        str(binary("kube-proxy")),
        f"--kubeconfig={pki.FOLDER / 'proxy.kubeconfig'}",
        f"--hostname-override={node}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        # A namespace may not change the host's limits on connections.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]
    overlay = f"lowerdir=/var/lib,upperdir={home / 'var-lib'},workdir={home / 'var-lib-work'}"
    return Machine(
        node,
        services=[
            Service("containerd", containerd, environment),
            Service("kubelet", kubelet, environment),
            Service("proxy", proxy, environment),
        ],
        # What its programs write to fixed places stays the node's own.
        mounts=[
            ["-t", "tmpfs", "tmpfs", "/run"],
            ["-t", "tmpfs", "tmpfs", "/var/log"],
            ["-t", "overlay", "overlay", "-o", overlay, "/var/lib"],
        ],
        folders=["/run/lock"],
        sysctls={"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"},
    )


def _kubelet(node: str) -> str:
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}/{node}",
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.CA)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [API_ADDRESS],
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "tlsCertFile": str(pki.FOLDER / f"{node}.crt"),
        "tlsPrivateKeyFile": str(pki.FOLDER / f"{node}.key"),
        "podLogsDir": "/var/log/pods",
        "podCIDR": network.pod_range(node),
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 10,
        "syncFrequency": "5s",
    }
    return json.dumps(config, indent=2)


def _cni(node: str) -> str:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        # Pods keep their addresses on the way to other nodes.
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "subnet": network.pod_range(node),
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/cni",
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=2)


def _make_cgroups(node: str) -> None:
    for top in _cgroup_roots():
        for path in (top / CGROUP, top / CGROUP / node):
            path.mkdir(exist_ok=True)
            # Version 1: a new group may use no processor and no memory until told which.
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (path / name).exists() and (path.parent / name).exists():
                    (path / name).write_text((path.parent / name).read_text())
            # Version 2: children have the controllers that their parent passes on.
            if (path.parent / "cgroup.subtree_control").exists() and (
                path.parent / "cgroup.controllers"
            ).exists():
                offered = (path.parent / "cgroup.controllers").read_text().split()
                (path.parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in offered))


def _cgroup_roots() -> Iterator[Path]:
    """The tops of the hierarchies of control groups: one for version 2, one for each controller for version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS
        return
    for path in sorted(CGROUPS.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name != "unified":
            yield path
