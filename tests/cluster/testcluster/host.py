"""What the host must have, checked before anything is made."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from testcluster.console import ClusterError
from testcluster.node import CNI_PLUGINS

BRIDGE_FILTER = Path("/proc/sys/net/bridge")
PROGRAMS = {
    "buildah": "buildah",
    "skopeo": "skopeo",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "cc": "gcc libc6-dev",
}
"""Programs by the Debian package that has them."""


def check_privileges() -> None:
    """Raises ClusterError unless this is Linux and the user is root."""
    if sys.platform != "linux":
        raise ClusterError(
            "the test cluster needs Linux\n"
            "Elsewhere, make a cluster with kind and name it by KUBECONFIG: make cluster-up then adds KubeRay."
        )
    if os.geteuid():
        raise ClusterError("the test cluster needs root, for network namespaces\nRun: sudo make cluster-up")


def check() -> None:
    """Raises ClusterError with everything that is missing."""
    check_privileges()
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [package for name, package in PROGRAMS.items() if shutil.which(name, path=path) is None]
    if not (CNI_PLUGINS / "bridge").exists():
        missing.append("containernetworking-plugins")
    if missing:
        packages = " ".join(missing)
        raise ClusterError(f"missing: {', '.join(missing)}\nOn Debian and Ubuntu: apt-get install {packages}")
    # Without it a node's rules do not see what its own pods send each other.
    if not BRIDGE_FILTER.exists():
        raise ClusterError("the kernel's module br_netfilter is not loaded\nRun: modprobe br_netfilter")
