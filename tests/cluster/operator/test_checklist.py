"""What no tenant gets: privileges, identities, secrets and images that are not granted (rows 1-4 and 7)."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from raygen.kube import RUNTIMES, TRAINING_JOBS, Connection
from raygen.kube.connection import MERGE
from raygen.spec.job.training_job import TrainingJob
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.base import Spec
from tests.cluster.api import until
from tests.cluster.operator.asking import (
    Path,
    condition,
    get_at,
    job_of,
    places,
    put,
    refused,
    runtime_of,
    says,
    set_at,
    warnings,
    working,
)
from tests.cluster.operator.stub import Harmed, Process, Surroundings
from tests.unit.operator.attempts.world import DIGEST, World
from tests.unit.operator.specs import drawn

Object = dict[str, Any]

PRIVILEGES: Object = {
    "privileged": True,
    "hostPath": {"path": "/"},
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "podTemplate": {"spec": {"hostNetwork": True}},
    "podSpecPatch": '{"hostPID": true}',
    "securityContext": {"privileged": True, "runAsUser": 0},
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "initContainers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}],
}
GRANTS: Object = {
    "serviceAccountName": "cluster-admin",
    "image": "evil.test/x",
    "imagePullSecrets": [{"name": "registry"}],
    "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "storage", "key": "k"}}}],
    "envFrom": [{"secretRef": {"name": "storage"}}],
    "environment": {"X": "y"},
    "environmentSecrets": ["other-team/storage"],
    "secretRef": {"name": "storage", "namespace": "other-team"},
    "secretName": "other-team/storage",
    "nodeSelector": {"pool": "reserved"},
    "tolerations": [{"operator": "Exists"}],
    "priorityClassName": "system-cluster-critical",
    "runtimeClassName": "x",
    "entrypoint": "id",
    "command": ["id"],
    "args": ["id"],
}
"""What a runtime or a pod has, and a job may not say."""


def objects(kind: type[Spec]) -> Iterator[Path]:
    """Every object below the spec of a kind, and the spec."""
    for path, shape in places(kind):
        if path[0] == "spec" and shape.model is not None:
            yield path


def smuggled(document: Object, path: Path, keys: Object) -> tuple[Object, list[str]]:
    """An object with further keys at a path; and what they are called."""
    document = copy.deepcopy(document)
    if get_at(document, path) is None:
        set_at(document, path, {})
    holder = get_at(document, path)
    fresh = {key: value for key, value in keys.items() if key not in _known(document["kind"], path)}
    holder.update(copy.deepcopy(fresh))
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return document, [f'unknown field "{where[1:]}.{key}"' for key in fresh]


def _known(kind: str, path: Path) -> set[str]:
    model = TrainingJob if kind == "TrainingJob" else RaygenRuntime
    return {str(found[-1]) for found, _ in places(model) if found[:-1] == path}


@pytest.mark.parametrize("keys", [PRIVILEGES, GRANTS], ids=["privileges", "grants"])
def test_a_job_that_asks_for_privileges_or_for_what_runtimes_grant_is_refused_in_any_place(
    admin: Connection, team: str, keys: Object
) -> None:
    tried = 0
    for path in objects(TrainingJob):
        document, names = smuggled(job_of(team), path, keys)
        assert says(refused(admin, document), *names), path
        tried += len(names)
    assert tried > 25 * len(keys)


def test_a_runtime_has_no_privileges_to_grant_in_any_place(admin: Connection) -> None:
    for path in objects(RaygenRuntime):
        document, names = smuggled(runtime_of("greedy"), path, PRIVILEGES)
        assert says(refused(admin, document, resource=RUNTIMES), *names), path


def test_what_is_smuggled_in_without_validation_reaches_no_pod(admin: Connection, team: str) -> None:
    """With fieldValidation=Ignore the API server drops what the definition does not have."""
    world = Surroundings(admin, team)
    put(admin, runtime_of(f"{team}-plain"))
    honest = job_of(team, runtimeRef={"name": f"{team}-plain"})
    expected = made(admin, world, honest)
    greedy, grants = honest, runtime_of(f"{team}-plain")
    for path in objects(TrainingJob):
        if isinstance(get_at(honest, path), dict):
            greedy, _ = smuggled(greedy, path, PRIVILEGES | GRANTS)
    for path in objects(RaygenRuntime):
        if isinstance(get_at(grants, path), dict):
            grants, _ = smuggled(grants, path, PRIVILEGES)
    assert "hostPID" in json.dumps(greedy)
    assert "hostPID" in json.dumps(grants)
    admin.request(
        "PATCH",
        RUNTIMES.path(name=f"{team}-plain"),
        query={"fieldValidation": "Ignore"},
        body=grants,
        content_type=MERGE,
    )
    assert made(admin, world, greedy) == expected


def made(admin: Connection, world: Surroundings, document: Object) -> str:
    """The spec of the RayJob that a job gets, as text without its UID; both are gone afterwards."""
    path = TRAINING_JOBS.path(world.namespace)
    job = admin.request("POST", path, query={"fieldValidation": "Ignore"}, body=document)
    Process(Harmed(admin), world.namespace).work()
    (ray_job,) = world.ray_jobs()
    for kind, name in (("trainingjobs", "tiny"), ("rayjobs", "tiny-r1")):
        group = "raygen.io/v1alpha1" if kind == "trainingjobs" else "ray.io/v1"
        admin.request("DELETE", f"/apis/{group}/namespaces/{world.namespace}/{kind}/{name}")
    return json.dumps(ray_job["spec"], sort_keys=True).replace(job["metadata"]["uid"], "UID")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("environmentSecrets", ["other-team/storage"]),
        ("imagePullSecrets", ["other-team/registry"]),
        ("imagePullSecrets", ["../registry"]),
        ("serviceAccountName", "other-team/default"),
        ("serviceAccountName", "system:serviceaccount:other-team:default"),
    ],
)
def test_a_runtime_cannot_name_what_is_in_another_namespace(admin: Connection, key: str, value: Any) -> None:
    error = refused(admin, runtime_of("far", **{key: value}), resource=RUNTIMES)
    shown = value if isinstance(value, str) else value[0]
    where = key if isinstance(value, str) else f"{key}[0]"
    assert says(
        error, f"spec.{where}", f'Invalid value: "{shown}"', "should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"
    )


@pytest.mark.parametrize(
    "reference", [{"name": "other-team/default"}, {"name": "default", "namespace": "other"}]
)
def test_a_job_cannot_name_a_runtime_in_another_namespace(
    admin: Connection, team: str, reference: Object
) -> None:
    says(refused(admin, job_of(team, runtimeRef=reference)), "spec.runtimeRef.name")


TIGHTENED: dict[str, tuple[Object, Object, tuple[str, ...]]] = {
    "namespace": (
        {},
        {"allowedNamespaces": ["elsewhere"]},
        ("spec.runtimeRef.name", "namespace {team}", "allowedNamespaces", "Name another"),
    ),
    "output": (
        {},
        {"storage": {"allowedUriPrefixes": ["s3://datasets/"]}},
        (
            "spec.output.uri",
            "s3://runs/{team}/",
            "must begin with one of the",
            "s3://datasets",
            "Move the data",
        ),
    ),
    "data": (
        {"data__validation": {"sources": [{"uri": "s3://datasets/secret/x"}]}},
        {"storage": {"allowedUriPrefixes": ["s3://datasets/text.txt", "s3://runs/{namespace}"]}},
        (
            "spec.data.validation.sources",
            "s3://datasets/secret/x",
            "must begin with one of the",
            "Move the data",
        ),
    ),
    "workers": (
        {"scale": {"workers": 3}},
        {"ceilings": {"workers": 2}},
        ("spec.scale.workers", "3", "must be at most 2", "name another runtime"),
    ),
    "gpus": (
        {"scale": {"gpusPerWorker": 3}},
        {"ceilings": {"gpus": 2}},
        ("spec.scale", "3", "at most 2", "gpusPerWorker, or name another runtime"),
    ),
    "hours": (
        {"activeDeadlineSeconds": 7200},
        {"ceilings": {"hours": 1}},
        ("spec.activeDeadlineSeconds", "7200", "must be at most 3600", "name another runtime"),
    ),
    "kind of GPU": (
        {"scale": {"acceleratorType": "H100"}},
        {"nodeSelector": {"nvidia.com/gpu.product": "T4"}},
        ("spec.scale.acceleratorType", "H100", "must be T4", "name another runtime"),
    ),
}
"""What a job asks for, what its runtime no longer grants, and the words of both refusals."""


@pytest.mark.parametrize("case", TIGHTENED)
def test_a_runtime_that_is_not_granted_is_refused_at_admission_and_by_the_operator(
    admin: Connection, team: str, case: str
) -> None:
    asked, grants, words = TIGHTENED[case]
    words = tuple(word.replace("{team}", team) for word in words)
    name = f"{team}-runtime"
    put(admin, runtime_of(name))
    world = Surroundings(admin, team)
    document = job_of(team, runtimeRef={"name": name}, **asked)
    # Admitted before the runtime changes, as where the policies are missing.
    admin.create(TRAINING_JOBS, team, document)
    put(admin, runtime_of(name, **grants))
    Process(Harmed(admin), team).work()
    told = condition(world, "Validated")
    assert (told["status"], told["reason"]) == ("False", "NotAllowed")
    for word in words:
        assert word in told["message"]
    (event,) = warnings(world)
    assert event["message"] == told["message"]
    assert world.ray_jobs() == []
    document["metadata"]["name"] = "later"
    says(until("the policies", 20, lambda: refused(admin, document)), *words)


CODE: Object = {"entrypoint": "model:Model", "package": {"uri": "s3://datasets/m.whl", "sha256": "0" * 64}}


def custom(team: str, name: str, **changes: Any) -> Object:
    """A job with a family of its own."""
    return job_of(
        team,
        runtimeRef={"name": name},
        model={"type": "Custom", "custom": CODE | {"contextLength": 16} | changes},
    )


def test_code_of_ones_own_runs_where_the_runtime_allows_it_and_only_from_a_package(
    admin: Connection, team: str
) -> None:
    name = f"{team}-code"
    put(admin, runtime_of(name, allowCustomCode=True))
    bare = custom(team, name)
    del bare["spec"]["model"]["custom"]["package"]
    words = ("spec.model.custom.package", "must be given on a cluster", "Put the module into a package")
    says(until("the policies", 20, lambda: refused(admin, bare)), *words)
    stray = custom(team, name, package=CODE["package"] | {"uri": "s3://elsewhere/m.whl"})
    says(
        refused(admin, stray),
        "spec.model.custom.package.uri",
        "s3://elsewhere/m.whl",
        "must begin with",
        "Move",
    )
    admin.create(TRAINING_JOBS, team, custom(team, name))
    put(admin, runtime_of(name))
    Process(Harmed(admin), team).work()
    told = condition(Surroundings(admin, team), "Validated")
    assert (told["status"], told["reason"]) == ("False", "NotAllowed")
    for word in (
        "spec.model.type",
        '"Custom"',
        "allows no custom code",
        "Name a runtime with allowCustomCode",
    ):
        assert word in told["message"]


def test_a_refusal_is_said_within_five_seconds_and_ends_when_its_reason_does(
    admin: Connection, team: str
) -> None:
    world = Surroundings(admin, team)
    name = f"{team}-absent"
    with working(admin, team) as operator:
        until("the operator", 30, lambda: operator.leads)
        admin.create(TRAINING_JOBS, team, job_of(team, runtimeRef={"name": name}))
        told = until("Validated", 5, lambda: condition(world, "Validated"))
        assert (told["status"], told["reason"]) == ("False", "RuntimeNotFound")
        assert f"no RaygenRuntime {name}" in told["message"]
        assert "name another in spec.runtimeRef" in told["message"]
        (event,) = until("its Event", 5, lambda: warnings(world))
        assert (event["reason"], event["message"]) == ("RuntimeNotFound", told["message"])
        assert world.ray_jobs() == []
        put(admin, runtime_of(name))
        until("its RayJob", 10, world.ray_jobs)
        until("its status", 5, lambda: condition(world, "Validated")["status"] == "True")


def granted(ray_job: Object, grants: Object) -> Object:
    """What of a RayJob is the administrator's to say."""
    cluster = copy.deepcopy(ray_job["spec"]["rayClusterSpec"])
    found: Object = {"spec": {k: v for k, v in ray_job["spec"].items() if k != "rayClusterSpec"}}
    label = grants["spec"].get("gpus", {}).get("label", "nvidia.com/gpu.product")
    for kind, group in (("head", cluster["headGroupSpec"]), ("worker", cluster["workerGroupSpecs"][0])):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        container["env"] = [one for one in container["env"] if not one["name"].startswith("RAYGEN_")]
        # The job's, of those that the runtime lists.
        chosen = pod.pop("priorityClassName", None)
        assert chosen in (None, *grants["spec"].get("scheduler", {}).get("priorityClassNames", ()))
        if kind == "worker":
            # The job's: how much of each worker, and which kind of GPU where the runtime does not say.
            del container["resources"]
            del pod["topologySpreadConstraints"]
            if label not in grants["spec"].get("nodeSelector", {}):
                pod.setdefault("nodeSelector", {}).pop(label, None)
        pod["nodeSelector"] = pod.get("nodeSelector") or {}
        found[kind] = pod
    return found | {"rayVersion": cluster["rayVersion"], "authOptions": cluster["authOptions"]}


def test_nothing_that_a_job_says_changes_what_its_runtime_says() -> None:
    """Of jobs drawn at random: image, account, secrets, variables, nodes and security are those of the plainest job."""
    compared = 0
    for seed in itertools.islice(itertools.count(1), 800):
        document, grants = drawn(seed)
        document["spec"].pop("suspend", None)
        if seed % 3 == 0:
            grants["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "T4", "amd.com/gpu.product": "T4"}
        plan = World(document, grants).look()
        plain = World(None, grants)
        assert plain.job is not None
        plain.job["metadata"]["name"] = document["metadata"]["name"]
        if "preparation" in document["spec"]:
            # Data is prepared by an attempt of its own, with another command.
            plain.job["spec"]["preparation"] = {"uri": document["spec"]["preparation"]["uri"]}
        least = plain.look()
        if plan.create is None or least.create is None:
            continue
        assert granted(plan.create, grants) == granted(least.create, grants), seed
        compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    "image",
    [
        "raygen.test/train",
        "raygen.test/train:latest",
        "raygen.test/train:1.0",
        f"raygen.test/train:1.0@{DIGEST}",
        f"train@{DIGEST}",
        f"raygen.test/train@{DIGEST[:-1]}",
        "raygen.test/train@sha1:" + "0" * 64,
        f"RAYGEN.test/train@{DIGEST}",
        # A Cyrillic a.
        f"r\u0430ygen.test/train@{DIGEST}",
        f"raygen.test@evil.test/train@{DIGEST}",
        f"https://raygen.test/train@{DIGEST}",
        f"raygen.test/train@{DIGEST}\n",
        f" raygen.test/train@{DIGEST}",
        "",
    ],
)
def test_an_image_is_named_by_its_digest_and_nothing_else(admin: Connection, image: str) -> None:
    error = refused(admin, runtime_of("tagged", image=image), resource=RUNTIMES)
    assert says(error, "spec.image", "Invalid value")
    assert "@sha256:[0-9a-f]{64}$'" in error.what or "at least 1 chars" in error.what  # type: ignore[union-attr]
