"""Rendered RayJobs before KubeRay's own code for Volcano, KAI and YuniKorn: what the schedulers get to see of them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from testcluster import tools

from raygen.spec.names import KUBERAY_NAMES
from tests.unit.operator.attempts.world import World
from tests.unit.operator.rayjob.test_render import SEED
from tests.unit.operator.specs import drawn

Object = dict[str, Any]
COUNT = 3000


def rendered(kind: str) -> list[tuple[Object, Object]]:
    """Jobs that are drawn at random and not refused, of one scheduler, with their RayJobs."""
    found = []
    for seed in range(SEED, SEED + COUNT):
        document, grants = drawn(seed)
        document["spec"].pop("suspend", None)
        if grants["spec"].get("scheduler", {}).get("type") != kind:
            continue
        made = World(document, grants).look().create
        if made is not None:
            found.append((document["spec"], made))
    return found


def placed(kind: str, ray_jobs: list[Object]) -> list[Object]:
    """What KubeRay makes of them."""
    lines = "".join(json.dumps(one) + "\n" for one in ray_jobs)
    command = [tools.binary("rayjob-place"), KUBERAY_NAMES[kind]]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", KUBERAY_NAMES)
def test_kuberay_tells_the_scheduler_what_the_job_says(kind: str) -> None:
    print(f"seeds {SEED} to {SEED + COUNT}")
    made = rendered(kind)
    assert len(made) > 10
    seen = placed(kind, [ray_job for _, ray_job in made])
    applications = set()
    for (spec, ray_job), told in zip(made, seen, strict=True):
        # The data of a job is prepared by an attempt of its own, before it trains.
        name, block = ("preparation", "preparation") if "preparation" in spec else ("trainers", "scale")
        asked, workers = spec.get("scheduling", {}), spec.get(block, {}).get("workers", 1)
        queue, priority = asked.get("queueName"), asked.get("priorityClassName", "")
        assert set(told["pods"]) == {"headgroup", name}
        for group, pod in told["pods"].items():
            assert pod["schedulerName"] == KUBERAY_NAMES[kind]
            assert pod["priorityClassName"] == priority
            labels, notes = pod["labels"], pod["annotations"] or {}
            if kind == "Volcano":
                assert labels.get("volcano.sh/queue-name") == queue
                assert notes["scheduling.k8s.io/group-name"] == f"ray-{ray_job['metadata']['name']}-pg"
            elif kind == "KAI":
                assert labels["kai.scheduler/queue"] == queue
            else:
                assert labels.get("queue") == queue
                applications.add(labels["applicationId"])
                assert notes["yunikorn.apache.org/task-group-name"] == group
                groups = {one["name"]: one for one in json.loads(notes["yunikorn.apache.org/task-groups"])}
                assert {one["name"]: one["minMember"] for one in groups.values()} == {
                    "headgroup": 1,
                    name: workers,
                }
                reserved(groups[name]["minResource"], ray_job)
        if kind == "Volcano":
            gang = told["podGroup"]
            assert gang["minMember"] == workers + 1
            assert (gang.get("queue", ""), gang.get("priorityClassName", "")) == (queue or "", priority)
    names = {ray_job["metadata"]["name"] for _, ray_job in made}
    assert len(applications) == (len(names) if kind == "YuniKorn" else 0)


def reserved(resources: Object, ray_job: Object) -> None:
    """YuniKorn holds a place for all that a worker asks for."""
    (group,) = ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert set(resources) == set(group["template"]["spec"]["containers"][0]["resources"]["requests"])


@pytest.mark.parametrize("kind", KUBERAY_NAMES)
def test_pods_have_the_labels_by_which_the_operator_knows_that_kuberay_is_set_up(kind: str) -> None:
    document, ray_job = next(
        (spec, ray_job) for spec, ray_job in rendered(kind) if spec.get("scheduling", {}).get("queueName")
    )
    (told,) = placed(kind, [ray_job])
    label = {"Volcano": "volcano.sh/queue-name", "KAI": "kai.scheduler/queue", "YuniKorn": "applicationId"}[
        kind
    ]
    assert all(label in pod["labels"] for pod in told["pods"].values())
    own = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["labels"]
    assert label not in own, document
