"""Builds the cluster's programs from Go modules, each pinned by a go.mod and go.sum of its own.

What was built is kept outside the checkout under a key of everything that goes into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from testcluster import lock
from testcluster.console import ClusterError, step
from testcluster.paths import BINARIES, TOOLS

GO = Path(sys.executable).with_name("go")
"""The compiler that the extra `dev` installs."""
KUBERNETES = "1.36.3"
_VERSION = "k8s.io/component-base/version"
_KUBERNETES_FLAGS = " ".join(
    f"-X {_VERSION}.{name}={value}"
    for name, value in {"gitVersion": f"v{KUBERNETES}", "gitMajor": "1", "gitMinor": "36"}.items()
)


@dataclass(frozen=True)
class Tool:
    """A folder under tools/ and what is built from it.

    Attributes:
        folder: Its name; the go.mod's `tool` lines say which programs, unless there is a main.go.
        binaries: Names of the programs.
        link: Flags of the linker.
        tags: Build tags.
        rename: The built name of a program whose package is named otherwise.
    system: Go's name of the system that it runs on, by default the host's; in containers it is Linux everywhere.
    """

    folder: str
    binaries: tuple[str, ...]
    link: str = ""
    tags: str = ""
    rename: tuple[str, str] | None = None
    system: str = ""


ALL = (
    Tool(
        "kubernetes",
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
        link=_KUBERNETES_FLAGS,
    ),
    Tool("etcd", ("etcd",), rename=("server", "etcd")),
    Tool(
        "containerd",
        ("containerd", "containerd-shim-runc-v2", "ctr"),
        link="-X github.com/containerd/containerd/v2/version.Version=2.2.0",
        tags="no_btrfs,no_zfs,no_devmapper,no_aufs",
    ),
    Tool("coredns", ("coredns",)),
    Tool("kuberay", ("ray-operator",), system="linux"),
    Tool("s3", ("versitygw",)),
)

CHECK = Tool("rayjob-check", ("rayjob-check",))
"""KubeRay's own validation of RayJobs; for tests, and no part of a cluster."""
PLACE = Tool("rayjob-place", ("rayjob-place",))
"""KubeRay's own code for batch schedulers, run on RayJobs; for tests as well."""
HELM = Tool("helm", ("helm",), link="-X helm.sh/helm/v4/internal/version.version=v4.2.4")
"""Helm, for tests of the chart and for manifests/install."""
SCORE = Tool("kube-score", ("kube-score",))
"""What is known to be unwise in Kubernetes' own kinds; for a test of the chart."""
PROMETHEUS = Tool("prometheus", ("promtool", "prometheus"), tags="remove_all_sd")
"""For tests of alerts and dashboards; without what finds targets in clouds."""
EXTRA = (CHECK, PLACE, HELM, SCORE, PROMETHEUS)
DURATIONS = {"kubernetes": "from Go modules; 10 to 20 minutes on two cores, and once for all"}
"""How long a build takes that takes long."""


def is_built(name: str) -> bool:
    """Whether a program is there."""
    tool = next(tool for tool in (*ALL, *EXTRA) if name in tool.binaries)
    return (BINARIES / f"{tool.folder}-{_key(tool)}").is_dir()


def binary(name: str) -> Path:
    """The path of a program, built first if it is not there."""
    tool = next(tool for tool in (*ALL, *EXTRA) if name in tool.binaries)
    return build(tool) / name


def build(tool: Tool) -> Path:
    """The folder of a tool's programs; builds them if this very version was not built before."""
    folder = BINARIES / f"{tool.folder}-{_key(tool)}"
    if folder.is_dir():
        return folder
    go = str(GO)
    if not GO.exists():
        raise ClusterError("Go is not installed\nRun: make setup")
    BINARIES.mkdir(parents=True, exist_ok=True)
    with lock.waited_for(BINARIES / f"{tool.folder}.lock", f"builds {tool.folder}"):
        if not folder.is_dir():
            temporary = BINARIES / f".{tool.folder}"
            # Of a build that was killed.
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            with step(f"build {tool.folder}", DURATIONS.get(tool.folder, "from Go modules; some minutes")):
                _compile(go, tool, temporary)
                for old in BINARIES.glob(f"{tool.folder}-*"):
                    shutil.rmtree(old)
                (temporary / "bin").rename(folder)
            shutil.rmtree(temporary)
    return folder


def _compile(go: str, tool: Tool, temporary: Path) -> None:
    out = temporary / "bin"
    out.mkdir()
    source = TOOLS / tool.folder
    command = [
        go,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-tags",
        tool.tags,
        "-ldflags",
        f"-s -w {tool.link}",
    ]
    target = "." if (source / "main.go").exists() else "tool"
    done = subprocess.run(
        [*command, "-o", f"{out}/", target],
        cwd=source,
        env=os.environ
        | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTMPDIR": str(temporary), "GOWORK": "off"}
        | ({"GOOS": tool.system} if tool.system else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(
            f"{tool.folder} could not be built:\n{done.stderr.strip()[-2000:]}\n"
            "Check that the Go module proxy can be reached and that the disk has 10 GB left, then run this again."
        )
    if tool.rename:
        (out / tool.rename[0]).rename(out / tool.rename[1])
    missing = [name for name in tool.binaries if not (out / name).is_file()]
    assert not missing, missing


def module(tool: str, name: str) -> Path:
    """The folder of a Go module that a tool requires, downloaded if need be; holds what is no code, as CRDs.

    Raises:
        ClusterError: It cannot be had.
    """
    if not GO.exists():
        raise ClusterError("Go is not installed\nRun: make setup")
    with step(f"find {name}", "downloads it where the cache lacks it"):
        done = subprocess.run(
            [str(GO), "mod", "download", "-json", name],
            cwd=TOOLS / tool,
            env=os.environ | {"GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return Path(json.loads(done.stdout)["Dir"])
    except (ValueError, KeyError):
        raise ClusterError(
            f"the Go module {name} could not be downloaded:\n{(done.stderr + done.stdout).strip()[-1000:]}\n"
            "Check that the Go module proxy can be reached, then run this again."
        ) from None


def _key(tool: Tool) -> str:
    digest = hashlib.sha256(repr(tool).encode())
    for path in sorted((TOOLS / tool.folder).iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
