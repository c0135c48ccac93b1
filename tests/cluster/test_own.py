"""`make cluster-up` with a KUBECONFIG of one's own. The cluster is real; kind, which needs a container engine, is a
program that notes what it is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from testcluster import images, own, tools
from testcluster.console import ClusterError
from testcluster.paths import KUBECONFIG

from tests.cluster.api import Cluster

KIND = """#!/bin/sh
echo "$@" >> "$KIND_CALLS"
tar -xOf "$3" manifest.json >> "$KIND_CALLS"
echo >> "$KIND_CALLS"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cluster's own kubectl and a kind that notes its calls and what is in the archives."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").symlink_to(tools.binary("kubectl"))
    (folder / "kind").write_text(KIND)
    (folder / "kind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("KIND_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("BASE", images.BASE)
    # The other one would be 6 GB in every archive.
    monkeypatch.setattr(images, "PROJECT", (images.OPERATOR,))
    return folder


def kubeconfig(folder: Path, context: str) -> str:
    config = yaml.safe_load(KUBECONFIG.read_text())
    config["contexts"][0]["name"] = config["current-context"] = context
    path = folder / "own.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_a_cluster_of_kinds_gets_the_images_and_keeps_its_kuberay(
    cluster: Cluster,
    tmp_path: Path,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def generation() -> int:
        found = cluster.get("deployment", "kuberay-operator", namespace="kuberay-system")
        return int(found["metadata"]["generation"])

    before = generation()
    assert not own.configured()
    monkeypatch.setenv("KUBECONFIG", str(KUBECONFIG))
    assert not own.configured()
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "kind-mine"))
    assert own.configured()
    own.up()
    assert "KubeRay is there, and stays as it is" in capsys.readouterr().err
    assert generation() == before
    call, manifest = (tmp_path / "calls").read_text().splitlines()
    assert call.split()[:2] == ["load", "image-archive"]
    assert call.split()[-1] == "--name=mine"
    assert json.loads(manifest)[0]["RepoTags"] == [images.OPERATOR]


def test_a_cluster_of_kinds_without_kuberay_gets_it(
    cluster: Cluster, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = [f"{kind}.ray.io" for kind in ("rayjobs", "rayclusters", "rayservices", "raycronjobs")]
    cluster.remove_namespace("kuberay-system")
    cluster.kubectl("delete", "crd", "--ignore-not-found", *definitions)
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "kind-mine"))
    own.up()
    found = cluster.get("deployment", "kuberay-operator", namespace="kuberay-system")
    assert found["status"]["readyReplicas"] == 1
    assert cluster.get("crd", "rayjobs.ray.io")
    manifests = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("[")]
    tags = [json.loads(line)[0]["RepoTags"] for line in manifests]
    assert tags == [[images.OPERATOR], [images.KUBERAY]]


def test_what_is_missing_is_named(
    cluster: Cluster, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "production"))
    with pytest.raises(ClusterError, match="images cannot be brought to production") as caught:
        own.up()
    assert "unset KUBECONFIG" in str(caught.value)
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "kind-mine"))
    (programs / "kind").unlink()
    with pytest.raises(ClusterError, match="missing: kind, whose cluster kind-mine is"):
        own.up()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="missing: kubectl, docker or buildah"):
        own.up()
