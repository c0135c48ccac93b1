"""From `kubectl apply` to the end of the first step: a TrainingJob beside its own RayJob applied by hand.

    make cluster-up
    PYTHONPATH=.:tests/cluster python benchmarks/operator_start.py

In turns, on the test cluster with KubeRay and real kubelets. The RayJob is what the operator would make of the TrainingJob, less
what names it as the owner; so the difference is the operator's. Clocks of pods are this machine's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import spread, write_result
from image_data import verdict
from testcluster import cluster as real

from raygen.kube import RAY_JOBS, RUNTIMES, TRAINING_JOBS, connect
from raygen.operator.rayjob.render import ray_job_name, render
from raygen.spec import parse
from raygen.spec.names import JOB_LABEL, STATUS_VARIABLE
from raygen.spec.runtime import parse_runtime
from tests.cluster.api import Cluster, until
from tests.cluster.trainingjob import NAMESPACE, Raygen, installed

Object = dict[str, Any]

NAME = "start"
RECIPE = (
    "training.duration.steps=1",
    "evaluation.samples=null",
    f"output.run={NAME}",
    f"metadata.name={NAME}",
)
MOST_SECONDS = 2.0
SIDES = ("trainingjob", "rayjob")


def main() -> None:
    arguments = parse_arguments()
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with (
        tempfile.TemporaryDirectory(prefix="operator-start-") as folder,
        installed(Cluster(), Path(folder)) as raygen,
    ):
        by_hand = rendered(raygen)
        measured(raygen, "trainingjob", by_hand)  # so that nodes and caches are warm for both
        for number in range(arguments.pairs):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                found[side].append(measured(raygen, side, by_hand))
                print(
                    number + 1,
                    side,
                    {name: round(value, 2) for name, value in found[side][-1].items()},
                    flush=True,
                )
    own, plain = (found[side] for side in SIDES)
    difference = spread([a["first_step"] - b["first_step"] for a, b in zip(own, plain, strict=True)])
    result = {
        "unit": "seconds since kubectl apply was started",
        "must": {"more_than_the_rayjob_s": verdict(difference["median"], MOST_SECONDS)},
        "difference": difference,
        "seconds": {
            side: {name: spread([row[name] for row in rows]) for name in rows[0]}
            for side, rows in found.items()
        },
    }
    write_result("operator_start", result, arguments.out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def rendered(raygen: Raygen) -> Object:
    """The RayJob of the TrainingJob, on its own."""
    connection = connect(str(real.KUBECONFIG))
    document = json.loads(
        raygen.cluster.kubectl(
            "create", "--dry-run=server", "-o", "json", "-f", str(raygen.job_file(*RECIPE))
        )
    )
    stored = connection.get(RUNTIMES, "", "default")
    runtime = parse_runtime({"metadata": {"name": "default"}, "spec": stored["spec"]})
    job = parse({**document, "metadata": {"name": NAME, "namespace": NAMESPACE}})
    body = render(document, job, runtime, 1)
    del body["metadata"]["ownerReferences"]
    # To the operator it would be an orphan of its own.
    del body["metadata"]["labels"][JOB_LABEL]
    (container,) = body["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    container["env"] = [one for one in container["env"] if one["name"] != STATUS_VARIABLE]
    return body


def measured(raygen: Raygen, side: str, by_hand: Object) -> dict[str, float]:
    """When the RayJob was there, and when the first step was done."""
    s3, connection = raygen.cluster.s3(), connect(str(real.KUBECONFIG))
    for key in raygen.objects(NAME):
        s3.delete_object(Bucket="runs", Key=f"{NAMESPACE}/{NAME}/{key}")
    path = raygen.job_file(*RECIPE)
    if side == "rayjob":
        path.write_text(json.dumps(by_hand))
    kind, name = (TRAINING_JOBS, NAME) if side == "trainingjob" else (RAY_JOBS, ray_job_name(NAME, 1))
    began = time.time()
    raygen.cluster.kubectl("apply", "-f", str(path))
    applied = time.time() - began
    until("the RayJob", 30, lambda: connection.list(RAY_JOBS, NAMESPACE)[0])
    made = time.time() - began
    until("the run to end", 300, lambda: "outcome.json" in raygen.objects(NAME))
    text = s3.get_object(Bucket="runs", Key=f"{NAMESPACE}/{NAME}/metrics/001-00001.jsonl")["Body"].read()
    # One step: its record was made when it was done.
    done = float(json.loads(text.splitlines()[0])["time"])
    raygen.cluster.kubectl(f"--namespace={NAMESPACE}", "delete", kind.plural, name, "--wait=true")
    until("its pods to go", 180, lambda: not raygen.cluster.get("pod", namespace=NAMESPACE))
    return {"applied": applied, "ray_job": made, "first_step": done - began}


if __name__ == "__main__":
    main()
