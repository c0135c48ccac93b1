"""From a fresh cluster to the first trained model, by phase: two `helm install`s and one `kubectl apply`.

    make cluster-up
    PYTHONPATH=.:tests/cluster python benchmarks/first_model.py

The test cluster's nodes have the images. What it has of KubeRay is removed first, and installed again by Helm as a chart of
the same definitions, role and Deployment, since KubeRay's own chart lies in no package registry. The job is
manifests/samples/gpt.yaml: 2,000 steps on two workers, unless `--set` says otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from harness import write_result
from image_data import verdict
from testcluster import cluster as real
from testcluster import kuberay, tools
from testcluster.paths import KUBECONFIG, MANIFESTS

from tests.cluster.api import Cluster, until
from tests.cluster.installing.helm import helm
from tests.cluster.trainingjob import NAMESPACE, Raygen

MOST_SECONDS = 180.0
JOB = "gpt-tiny"
Object = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="a change of the job, as scale.workers=1")
    parser.add_argument("--out", type=Path, help="write the result here")
    arguments = parser.parse_args()
    cluster = Cluster()
    cluster.fill()
    rows = []
    for number in range(arguments.runs):
        with tempfile.TemporaryDirectory(prefix="first-") as folder:
            rows.append(measured(cluster, Path(folder), arguments.set))
        print(number + 1, {name: round(value, 1) for name, value in rows[-1].items()}, flush=True)
    worst = max(row["all"] for row in rows)
    result = {"must": {"all_s": verdict(worst, MOST_SECONDS, least=False)}, "seconds": rows}
    write_result("first_model", result, arguments.out)


def measured(cluster: Cluster, folder: Path, changes: list[str]) -> dict[str, float]:
    """Seconds of each phase."""
    raygen = Raygen(cluster, folder)
    chart = _chart(folder / "kuberay-operator")
    _remove_kuberay(cluster)
    try:
        times = [time.monotonic()]
        place = ("--namespace", "kuberay-system", "--create-namespace")
        helm("install", "kuberay-operator", str(chart), *place, "--wait", kubeconfig=KUBECONFIG)
        times.append(time.monotonic())
        raygen.install()
        times.append(time.monotonic())
        raygen.apply(*changes)
        for reached in (_has_head, _has_first_step, _has_succeeded):
            until(reached.__name__, 400, lambda reached=reached: reached(raygen))
            times.append(time.monotonic())
        status = raygen.job(JOB)["status"]
        assert [one["cause"] for one in status["attempts"]] == ["Completed"]
        names = ("KubeRay", "raygen", "head pod", "first step", "the other steps")
        phases = {name: end - start for name, start, end in zip(names, times, times[1:], strict=False)}
        return phases | {"all": times[-1] - times[0]}
    finally:
        raygen.remove()
        place = ("--namespace", "kuberay-system")
        helm("uninstall", "kuberay-operator", *place, "--ignore-not-found", kubeconfig=KUBECONFIG)
        _remove_kuberay(cluster)
        # The test cluster is as it was.
        kuberay.install(real.kubectl)
        kuberay.wait(real.kubectl)


def _chart(folder: Path) -> Path:
    """A chart of what the test cluster installs of KubeRay."""
    module = tools.module("kuberay", kuberay.MODULE)
    (folder / "crds").mkdir(parents=True)
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: kuberay-operator\nversion: 1.6.2\n")
    for path in (module / "config/crd/bases").glob("*.yaml"):
        (folder / "crds" / path.name).write_text(path.read_text())
    for path in (module / "config/rbac/role.yaml", MANIFESTS / "kuberay.yaml"):
        # The namespace is Helm's to make.
        documents = (
            one for one in yaml.safe_load_all(path.read_text()) if one and one["kind"] != "Namespace"
        )
        (folder / "templates" / path.name).write_text(yaml.safe_dump_all(documents))
    return folder


def _remove_kuberay(cluster: Cluster) -> None:
    documents = [one for one in yaml.safe_load_all((MANIFESTS / "kuberay.yaml").read_text()) if one]
    for one in documents:
        if one["kind"] != "Namespace":
            place = ["--namespace", one["metadata"]["namespace"]] if "namespace" in one["metadata"] else []
            words = (one["kind"], one["metadata"]["name"], "--ignore-not-found", "--wait=true")
            cluster.kubectl(*place, "delete", *words)
    cluster.kubectl("delete", "clusterrole", "kuberay-operator", "--ignore-not-found")
    kinds = ("rayjobs", "rayclusters", "rayservices", "raycronjobs")
    names = [f"{kind}.ray.io" for kind in kinds]
    cluster.kubectl("delete", "customresourcedefinition", *names, "--ignore-not-found", "--wait=true")
    cluster.remove_namespace("kuberay-system")


def _has_head(raygen: Raygen) -> bool:
    """The head pod is ready."""
    pods = raygen.cluster.get("pod", namespace=NAMESPACE, selector="ray.io/node-type=head")
    conditions = [one for pod in pods for one in pod["status"].get("conditions", ())]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _has_first_step(raygen: Raygen) -> bool:
    """The driver says that steps are done."""
    progress = (raygen.job(JOB).get("status") or {}).get("progress") or {}
    return bool(progress.get("step", 0) >= 1)


def _has_succeeded(raygen: Raygen) -> bool:
    """The job has ended well."""
    summary = raygen.summary(JOB)
    assert summary["status"] != "False", summary
    return bool(summary["status"] == "True")


if __name__ == "__main__":
    main()
