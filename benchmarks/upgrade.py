"""The chart is upgraded while five jobs train: no pod may start anew, and no step be lost.

make cluster-up
PYTHONPATH=.:tests/cluster python benchmarks/upgrade.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import write_result
from image_data import verdict

from tests.cluster.api import Cluster, until
from tests.cluster.installing.helm import CHART
from tests.cluster.sharing import NAME, shared_cluster
from tests.cluster.trainingjob import NAMESPACE, SYSTEM, Raygen, installed

STEPS = 100_000
"""More than are done: jobs are stopped, with a checkpoint, some steps after the upgrade."""
OWN = 2
"""Jobs in pods of their own: as many as two nodes of two cores carry. The others share a cluster."""
FIRST = 20
"""Steps that every job does before the upgrade, and once more after it."""
RECIPE = (
    f"training.duration.steps={STEPS}",
    "training.schedule.type=Constant",
    f"evaluation.everySteps={STEPS}",
    "evaluation.samples=null",
    "checkpoint.everySteps=100",
    "scale.workers=1",
    "scale.memoryPerWorker=1500Mi",
)
Object = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the result here")
    arguments = parser.parse_args()
    names = [f"job-{number}" for number in range(1, arguments.jobs + 1)]
    with (
        tempfile.TemporaryDirectory(prefix="upgrade-") as folder,
        installed(Cluster(), Path(folder)) as raygen,
    ):
        write_result("upgrade", measured(raygen, names), arguments.out)


def measured(raygen: Raygen, names: list[str]) -> Object:
    """Upgrades, and rolls back, while all jobs train."""
    with shared_cluster(
        raygen, jobs=len(names) - OWN, workers=len(names) - OWN, cpu="300m", head_memory="7Gi"
    ) as values:
        small = {"head": {"cpu": "100m", "memory": "2500Mi"}}
        values["runtime"]["spec"] |= small | {"defaults": {"cpusPerWorker": 1, "memoryPerWorker": "1500Mi"}}
        raygen.helm("upgrade", "raygen", str(CHART), "--wait", values=values)
        return _upgraded(raygen, names, values)


def _upgraded(raygen: Raygen, names: list[str], values: Object) -> Object:
    for name in names:
        runtime = "default" if names.index(name) < OWN else NAME
        changes = (f"metadata.name={name}", f"output.run={name}", f"runtimeRef.name={runtime}")
        raygen.apply(*RECIPE, *changes)
        # One after another: starting takes more of the processor than training.
        until(f"{name} to train", 600, lambda name=name: step(raygen, name) >= FIRST)
    before, operators = pods(raygen), pods(raygen, SYSTEM)
    seconds = {}
    for verb, words in {
        "upgrade": (str(CHART), "--wait", "--set", "operator.workers=5"),
        "rollback": ("--wait",),
    }.items():
        began = time.monotonic()
        raygen.helm(verb, "raygen", *words, values=values if verb == "upgrade" else None)
        seconds[verb] = time.monotonic() - began
    steps = {name: step(raygen, name) for name in names}
    replaced = not set(operators) & set(pods(raygen, SYSTEM))
    for name in names:
        until(f"{name} to go on", 600, lambda name=name: step(raygen, name) >= steps[name] + FIRST)
    after, ends = pods(raygen), {name: raygen.summary(name) for name in names}
    for name in names:
        raygen.raygen("stop", name, "--namespace", NAMESPACE)
        until(
            f"{name} to rest", 180, lambda name=name: raygen.condition("Suspended", name)["status"] == "True"
        )
    attempts = {name: raygen.job(name)["status"]["attemptCount"] for name in names}
    done = {name: [number for number, _ in raygen.losses(name)] for name in names}
    whole = [
        found == list(range(1, len(found) + 1)) and len(found) > steps[name] for name, found in done.items()
    ]
    restarts = sum(after.get(name, 1) != count for name, count in before.items())
    return {
        "must": {
            "pods_started_anew": verdict(restarts, 0, least=False),
            "further_attempts": verdict(sum(attempts.values()) - len(names), 0, least=False),
            "failed": verdict(sum(end["status"] == "False" for end in ends.values()), 0, least=False),
            "jobs_with_lost_or_repeated_steps": verdict(whole.count(False), 0, least=False),
        },
        "jobs": len(names),
        "own_pods": OWN,
        "pods": len(before),
        "operators_were_replaced": replaced,
        "steps_when_it_was_done": steps,
        "steps_at_last": {name: len(found) for name, found in done.items()},
        "seconds": seconds,
    }


def step(raygen: Raygen, name: str) -> int:
    progress = (raygen.job(name).get("status") or {}).get("progress") or {}
    return int(progress.get("step", 0))


def pods(raygen: Raygen, namespace: str = NAMESPACE) -> dict[str, int]:
    """Each pod's UID, and how often its containers were started anew."""
    return {
        one["metadata"]["uid"]: sum(
            each["restartCount"] for each in one["status"].get("containerStatuses", ())
        )
        for one in raygen.cluster.get("pod", namespace=namespace)
    }


if __name__ == "__main__":
    main()
