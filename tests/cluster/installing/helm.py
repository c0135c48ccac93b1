"""Helm, as a user has it, on the chart of this repository."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from testcluster import tools

from tests.cluster.apiserver import ROOT

Object = dict[str, Any]

CHART = ROOT / "charts" / "raygen"
IMAGE = "registry.example.org/raygen-operator@sha256:" + "0" * 64
TRAIN = "registry.example.org/raygen-train@sha256:" + "0" * 64
RUNTIME: Object = {
    "image": TRAIN,
    "allowedNamespaces": ["*"],
    "storage": {"allowedUriPrefixes": ["s3://datasets/", "s3://runs/{namespace}/"]},
}
KINDS = (
    "ray.io/v1/RayJob",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "monitoring.coreos.com/v1/PodMonitor",
)


class HelmError(Exception):
    """Helm refused; the text is what it says."""


def helm(
    *arguments: str, kubeconfig: Path | None = None, values: Object | None = None, folder: Path | None = None
) -> str:
    """What a command prints.

    Raises:
        HelmError: It fails.
    """
    command = [str(tools.binary("helm")), *arguments, *(["--values", "-"] if values is not None else [])]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig or "/dev/null")}
    text = json.dumps(values) if values is not None else None
    done = subprocess.run(
        command, input=text, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def render(
    values: Object, *options: str, kinds: tuple[str, ...] = KINDS, namespace: str = "raygen-system"
) -> list[Object]:
    """The objects that values make, on a cluster with these kinds."""
    known = [f"--api-versions={kind}" for kind in kinds]
    text = helm("template", "raygen", str(CHART), "--namespace", namespace, *known, *options, values=values)
    return [one for one in yaml.safe_load_all(text) if one]
