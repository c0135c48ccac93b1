"""From `kubectl apply` to the end of the first step, by phase: manifests/rayjob beside a plain RayJob.

    make cluster-up
    PYTHONPATH=.:tests/cluster python benchmarks/cluster_start.py

Both run on the test cluster with the same image, pods and resources, in turns: raygen trains
examples/01-gpt-tiny for one step, the other peers/ray_train_gpt.py, which is PyTorch in Ray Train and no more.
Clocks of pods are this machine's. Kubernetes' own times are whole seconds, and so are phases up to the pods.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from harness import FOLDER, ROOT, spread, write_result
from image_data import verdict
from testcluster.cluster import kubectl

from raygen.jobfile import dumps, load
from tests.cluster.api import Cluster, until

MANIFESTS = ROOT / "manifests" / "rayjob"
NAMESPACE = "start"
MOST = 1.25
PHASES = ("scheduling", "pods", "Ray up", "job accepted", "worker group", "first batch", "first step")
SIDES = ("raygen", "plain")


def main() -> None:
    arguments = parse()
    cluster = Cluster()
    cluster.fill()
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    cluster.apply(cluster.storage_secret(NAMESPACE), *(config_map(side) for side in SIDES))
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    try:
        for number in range(arguments.pairs):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                found[side].append(measured(cluster, side))
                print(
                    number + 1,
                    side,
                    {name: round(value, 1) for name, value in found[side][-1].items()},
                    flush=True,
                )
    finally:
        cluster.remove_namespace(NAMESPACE)
    ratio = spread([own["all"] / plain["all"] for own, plain in zip(*found.values(), strict=True)])
    result = {
        "must": {"start_to_plain": verdict(ratio["median"], MOST, least=False)},
        "ratio": ratio,
        "seconds": {
            side: {name: spread([row[name] for row in rows]) for name in rows[0]}
            for side, rows in found.items()
        },
    }
    write_result("cluster_start", result, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def config_map(side: str) -> dict[str, Any]:
    """What a side's pods find at /etc/raygen."""
    overrides = ["training.duration.steps=1", "output.run=start"]
    data = {
        "raygen": {"job.yaml": dumps(load(MANIFESTS / "job.yaml", overrides=overrides).job)},
        "plain": {"plain.py": (FOLDER / "peers" / "ray_train_gpt.py").read_text()},
    }
    metadata = {"name": side, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data[side]}


def rayjob(side: str) -> dict[str, Any]:
    """manifests/rayjob/rayjob.yaml with the side's files and command."""
    document: dict[str, Any] = copy.deepcopy(yaml.safe_load((MANIFESTS / "rayjob.yaml").read_text()))
    document["metadata"] = {"name": side, "namespace": NAMESPACE}
    spec = document["spec"]
    if side == "plain":
        spec["entrypoint"] = "python /etc/raygen/plain.py"
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        container["image"] = "raygen.test/train:dev"
        for volume in pod["volumes"]:
            if volume["name"] == "job":
                volume["configMap"]["name"] = side
        if side == "plain":
            for name in ("lifecycle", "startupProbe", "readinessProbe"):
                container.pop(name, None)
    return document


def measured(cluster: Cluster, side: str) -> dict[str, float]:
    """Seconds of each phase of one job, and of all."""
    s3 = cluster.s3()
    pages = [s3.list_objects_v2(Bucket="runs", Prefix=prefix) for prefix in ("start/", "plain/")]
    for key in [one["Key"] for page in pages for one in page.get("Contents", ())]:
        s3.delete_object(Bucket="runs", Key=key)
    began = time.time()
    cluster.apply(rayjob(side))
    state = until(f"{side} to end", 300, lambda: ended(cluster, side))
    if state != "Complete":
        sys.exit(
            f"{side} failed: {cluster.get('rayjob', side, namespace=NAMESPACE)['status'].get('message')}"
        )
    pods = cluster.get("pod", namespace=NAMESPACE)
    job = cluster.get("rayjob", side, namespace=NAMESPACE)
    at = {
        "scheduling": max(condition(pod, "PodScheduled") for pod in pods),
        "pods": max(
            seconds(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]) for pod in pods
        ),
        "Ray up": max(condition(pod, "Ready") for pod in pods),
        "job accepted": seconds(job["status"]["rayJobInfo"]["startTime"]),
        **of_job(s3, side),
    }
    found, before = {}, began
    for name in PHASES:
        found[name] = at[name] - before
        before = at[name]
    kubectl(f"--namespace={NAMESPACE}", "delete", "rayjob", side, "--wait=true")
    until("its pods to be gone", 180, lambda: not cluster.get("pod", namespace=NAMESPACE))
    return found | {"all": before - began}


def ended(cluster: Cluster, side: str) -> str | None:
    state = (cluster.get("rayjob", side, namespace=NAMESPACE).get("status") or {}).get("jobDeploymentStatus")
    return state if state in ("Complete", "Failed") else None


def of_job(s3: Any, side: str) -> dict[str, float]:
    """When the workers ran, had their first batch, and had made their first step."""

    def read(key: str) -> str:
        return str(s3.get_object(Bucket="runs", Key=key)["Body"].read().decode())

    if side == "plain":
        times = json.loads(read("plain/times.json"))
        return {name: times[name] for name in PHASES[-3:]}
    # One step: its record was made when it was done.
    done = float(json.loads(read("start/metrics/001-00001.jsonl").splitlines()[0])["time"])
    phases = json.loads(read("start/attempts/001.json"))["startup"]
    batch = done - phases["first step"]
    return {"worker group": batch - phases["model"], "first batch": batch, "first step": done}


def condition(pod: dict[str, Any], kind: str) -> float:
    return next(
        seconds(one["lastTransitionTime"]) for one in pod["status"]["conditions"] if one["type"] == kind
    )


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
