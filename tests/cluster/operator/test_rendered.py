"""Rendered RayJobs before those who will read them: KubeRay's own validation, and Pod Security `restricted`."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from testcluster import tools

from raygen.kube import PODS, RAY_JOBS, ApiError, Connection
from raygen.kube.resources import Resource
from tests.cluster.apiserver import NAMESPACES
from tests.unit.operator.attempts.world import World
from tests.unit.operator.rayjob.test_render import SEED
from tests.unit.operator.specs import drawn

Object = dict[str, Any]

COUNT, PODS_TRIED = 3000, 600
PRIORITIES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)


def rendered() -> list[Object]:
    """The RayJobs of jobs that are drawn at random and not refused."""
    found = []
    for seed in range(SEED, SEED + COUNT):
        document, grants = drawn(seed, shared=seed % 10 == 0)
        document["spec"].pop("suspend", None)
        made = World(document, grants).look().create
        if made is not None:
            found.append(made)
    return found


def test_kuberay_and_pod_security_take_what_is_rendered(admin: Connection, team: str) -> None:
    print(f"seeds {SEED} to {SEED + COUNT}")
    made = rendered()
    lines = "".join(json.dumps(one) + "\n" for one in made)
    done = subprocess.run(
        [tools.binary("rayjob-check")], input=lines, capture_output=True, text=True, timeout=120, check=True
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(made)
    assert [(one["metadata"]["name"], text) for one, text in zip(made, said, strict=True) if text] == []

    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"metadata": {"labels": labels}}
    admin.request("PATCH", NAMESPACES.path(name=team), body=body, content_type="application/merge-patch+json")
    # The API server makes no pods of a class that it does not know.
    for name in ("high", "a.b-c"):
        priority = {"metadata": {"name": name}, "value": 1}
        admin.create(
            PRIORITIES, "", {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"} | priority
        )
    templates = [template for one in made for template in templates_of(one)]
    step = max(1, len(templates) // PODS_TRIED)
    tried = 0
    for template in templates[::step]:
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = template["metadata"] | {"name": "tried", "namespace": team}
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            admin.request("POST", PODS.path(team), query=query, body=pod)
        except ApiError as error:
            raise AssertionError(f"{error}\n{json.dumps(pod)}") from error
        tried += 1
    assert tried >= 500
    # And the API server, by KubeRay's definition.
    for one in made[:: len(made) // 100]:
        one["metadata"]["namespace"] = team
        admin.request("POST", RAY_JOBS.path(team), query=query, body=one)


def templates_of(ray_job: Object) -> list[Object]:
    cluster = ray_job["spec"].get("rayClusterSpec")
    if cluster is None:
        return []
    return [cluster["headGroupSpec"]["template"], cluster["workerGroupSpecs"][0]["template"]]


def test_kuberays_validation_finds_what_is_wrong() -> None:
    good = rendered()[0]
    bad = json.loads(json.dumps(good))
    bad["metadata"]["name"] = "a" * 48
    lines = json.dumps(good) + "\n" + json.dumps(bad) + "\n" + "{\n"
    done = subprocess.run(
        [tools.binary("rayjob-check")], input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert first == ""
    assert "47" in second
    assert third
