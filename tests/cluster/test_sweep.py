"""Sweeps on real Kubernetes: 20 trials on two nodes, a worker pod and the driver killed on the way, more trials when it has ended; and pods
that come and go with the trials that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raygen.jobfile import dumps, load_kind
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from tests.cluster.api import ROOT, until
from tests.cluster.trainingjob import NAMESPACE, Raygen

NAME, DIRECTORY = "gpt-rates", f"s3://runs/{NAMESPACE}/sweeps/gpt-rates"
SHORT = (
    "template.spec.training.duration.steps=180",
    "template.spec.evaluation.everySteps=60",
    'scheduler={"type": "ASHA", "firstSteps": 60, "reduction": 3}',
    "template.spec.model.transformer.layers=2",
)


def sweep(raygen: Raygen) -> dict[str, Any]:
    found: dict[str, Any] = raygen.cluster.get("sweep", NAME, namespace=NAMESPACE)
    return found


def progress(raygen: Raygen) -> dict[str, Any]:
    return (sweep(raygen).get("status") or {}).get("progress") or {}


def ended(raygen: Raygen) -> int:
    told = progress(raygen)
    return sum(told.get(state, 0) for state in ("completed", "stopped", "failed"))


def summary(raygen: Raygen) -> dict[str, Any]:
    conditions = (sweep(raygen).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == "Succeeded"), {"status": "Unknown"})


def ends(raygen: Raygen, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = until(
        "the sweep to end", seconds, lambda: (one := summary(raygen))["status"] != "Unknown" and one
    )
    return found


def pods(raygen: Raygen, kind: str) -> list[str]:
    found = raygen.cluster.kubectl(
        *("--namespace", NAMESPACE, "get", "pods", "-l", f"ray.io/node-type={kind},raygen.io/job={NAME}"),
        *("--field-selector", "status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"),
    )
    return found.split()


def kill(raygen: Raygen, pod: str) -> None:
    raygen.cluster.kubectl(
        "--namespace", NAMESPACE, "delete", "pod", pod, "--force", "--grace-period=0", "--wait=false"
    )


def clear(raygen: Raygen) -> None:
    """Removes what earlier sweeps have left in the storage."""
    s3 = raygen.cluster.s3()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="runs", Prefix=f"{NAMESPACE}/sweeps/"):
        for one in page.get("Contents", ()):
            s3.delete_object(Bucket="runs", Key=one["Key"])


def test_a_sweep_loses_a_worker_and_its_driver_ends_with_its_best_and_goes_on_with_more(
    alone: Raygen, tmp_path: Path
) -> None:
    cluster = alone.cluster
    clear(alone)

    loaded = load_kind(Sweep, ROOT / "manifests/samples/sweep.yaml", overrides=SHORT)
    path = tmp_path / "sweep.yaml"
    path.write_text(dumps(loaded.value))
    cluster.kubectl("apply", "-f", str(path))

    said = alone.raygen("wait", NAME, "-n", NAMESPACE, "--for", "Training", "--timeout", "240", "--json")
    assert json.loads(said)["reason"] == "Training"
    until("trials that have ended", 240, lambda: ended(alone) >= 3)
    assert len(pods(alone, "worker")) == 2, "one for each trial"
    assert {"trial", "raygen"} & set(alone.raygen("logs", NAME, "-n", NAMESPACE).split())
    listed = alone.raygen("list", "-n", NAMESPACE)
    assert "SWEEP" in listed
    assert NAME in listed
    assert f"{NAME} (sweep)" in alone.raygen("top", "-n", NAMESPACE)
    shown = cluster.kubectl("--namespace", NAMESPACE, "get", "rsw")
    assert shown.split()[:7] == ["NAME", "STATUS", "TRIALS", "RUNNING", "BEST", "ETA", "ATTEMPTS"]

    kill(alone, pods(alone, "worker")[0])
    before = ended(alone)
    until("trials that go on without the pod", 240, lambda: ended(alone) >= before + 2)
    assert sweep(alone)["status"]["attemptCount"] == 1, "a worker that is lost is none of the driver's end"
    (head,) = pods(alone, "head")
    kill(alone, head)
    end = ends(alone, 600)
    assert (end["status"], end["reason"]) == ("True", "BudgetUsedUp"), end

    status = sweep(alone)["status"]
    assert status["progress"]["trials"] == 20
    assert status["progress"]["failed"] == 0
    assert status["progress"]["attempt"] >= 2, "another driver has gone on"
    assert len(json.dumps(status)) < 20_000
    shown = json.loads(alone.raygen("sweep", "show", DIRECTORY, "--json"))
    best = shown["best"][0]
    assert status["progress"]["best"]["trial"] == best["trial"]
    assert status["run"] == DIRECTORY
    replayed = json.loads(alone.raygen("sweep", "replay", DIRECTORY, "--json"))
    assert (replayed["proposals"], replayed["differences"]) == (20, [])

    more = '{"spec": {"budget": {"trials": 22}}}'
    cluster.kubectl("--namespace", NAMESPACE, "patch", "sweep", NAME, "--type=merge", "--patch", more)
    until("it goes on", 60, lambda: summary(alone)["status"] == "Unknown")
    end = ends(alone, 400)
    assert (end["status"], end["reason"]) == ("True", "BudgetUsedUp"), end
    assert progress(alone)["trials"] == 22
    alone.raygen("delete", NAME, "-n", NAMESPACE)


def test_a_pod_comes_for_a_trial_that_waits_and_goes_when_it_has_none(alone: Raygen, tmp_path: Path) -> None:
    clear(alone)
    changes = (
        *SHORT,
        'scheduler={"type": "Full"}',
        'search={"type": "Grid"}',
        'parameters=[{"path": "training.duration.steps", "type": "Choice", "values": [60, 20000]}]',
        "startingPoints=[]",
        'autoscaling={"minWorkers": 1, "idleSeconds": 0}',
    )
    loaded = load_kind(Sweep, ROOT / "manifests/samples/sweep.yaml", overrides=changes)
    assert Space(loaded.value).size == 2
    path = tmp_path / "sweep.yaml"
    path.write_text(dumps(loaded.value))
    alone.cluster.kubectl("apply", "-f", str(path))

    def told(**wanted: int) -> bool:
        found = progress(alone)
        return all(found.get(name) == value for name, value in wanted.items())

    until("two trials", 240, lambda: told(running=2))
    until("a pod for each", 120, lambda: len(pods(alone, "worker")) == 2)
    until("the short one to end", 120, lambda: told(completed=1, running=1))
    until("one pod to go", 120, lambda: len(pods(alone, "worker")) == 1)
    step = progress(alone)["step"]
    until("the other one to train on", 60, lambda: progress(alone)["step"] > step)
    status = sweep(alone)["status"]
    assert (status["progress"]["failed"], status["attemptCount"]) == (0, 1)
    assert status["attempts"][0]["workers"] == 1
    events = alone.cluster.kubectl(
        "--namespace", NAMESPACE, "get", "events", "-o", "jsonpath={.items[*].reason}"
    )
    assert events.split().count("Scaled") >= 2
    alone.raygen("delete", NAME, "-n", NAMESPACE)
