"""What is rendered, over thousands of jobs and runtimes, and one of them to the letter."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygen.controller.conditions import find
from raygen.jobfile import loads
from raygen.operator.rayjob.render import MAX_JOB_BYTES, MAX_SHARED_JOB_BYTES, PROBES, job_hash, render
from raygen.spec import parse
from raygen.spec.runtime import RaygenRuntime
from tests.unit.operator.attempts.world import World, job, runtime
from tests.unit.operator.specs import drawn

SEED = 20260131
GOLDEN = Path(__file__).parent / "golden"
REFUSED = {"NotAllowed", "Invalid", "RuntimeInvalid"}


def test_jobs_are_rendered_well_or_refused_with_a_path() -> None:
    render_many(range(SEED, SEED + 500))


def test_jobs_for_a_shared_cluster_are_too() -> None:
    render_many(range(SEED, SEED + 300), shared=True)


def render_many(seeds: range, *, shared: bool = False) -> None:
    """Every job is rendered so that all that `check` says holds, or was refused with a path."""
    print(f"seeds {seeds.start} to {seeds.stop}")
    made, refused = 0, 0
    for seed in seeds:
        document, grants = drawn(seed, shared=shared)
        world = World(document, grants)
        document["spec"].pop("suspend", None)
        plan = world.look()
        if plan.create is None:
            refused += 1
            condition = find(world.status["conditions"], "Validated")
            assert condition is not None
            assert condition["reason"] in REFUSED, seed
            assert re.search(r"(spec|metadata)[.\w]*", condition["message"]), seed
        else:
            made += 1
            (check_sent if "sharedCluster" in grants["spec"] else check)(document, grants, plan.create)
    assert min(made, refused) > len(seeds) / 5


def check(document: dict[str, Any], grants: dict[str, Any], made: dict[str, Any]) -> None:
    """What holds for every RayJob."""
    spec = made["spec"]
    assert len(made["metadata"]["name"]) <= 47
    assert (spec["submissionMode"], spec["backoffLimit"], spec["shutdownAfterJobFinishes"]) == (
        "HTTPMode",
        0,
        True,
    )
    prepares = "preparation" in document["spec"]
    assert spec["entrypoint"] == f"raygen {'prepare' if prepares else 'train'} env:RAYGEN_JOB"
    assert "suspend" not in spec
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    (group,) = cluster["workerGroupSpecs"]
    scale = document["spec"].get("preparation" if prepares else "scale", {})
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == scale.get("workers", 1)
    head, worker = cluster["headGroupSpec"]["template"]["spec"], group["template"]["spec"]
    for pod in (head, worker):
        restricted(pod)
        (container,) = pod["containers"]
        assert container["image"] == grants["spec"]["image"]
        names = [one["name"] for one in container["env"]]
        assert len(names) == len(set(names))
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests["memory"] == limits["memory"]
        assert container["lifecycle"]["preStop"]["exec"]["command"][0] == "raygen"
        # Before KubeRay's own probe would look for the first time, and no later than that again.
        startup, readiness = container["startupProbe"], container["readinessProbe"]
        assert startup["httpGet"] == readiness["httpGet"] == {"path": "/api/healthz", "port": 52365}
        assert startup["periodSeconds"] == 1
        assert "initialDelaySeconds" not in startup | readiness
    # The token of the runner is the head's alone.
    assert [one for one in worker["volumes"] if "projected" in one] == []
    assert "serviceAccountName" not in worker
    assert len([one for one in head["volumes"] if "projected" in one]) == 1
    if prepares:
        plain(group, worker, grants["spec"])
    consistent(group, worker, scale, grants["spec"])
    same_job(document, grants, head)
    whole(document, grants, made)


def plain(group: dict[str, Any], worker: dict[str, Any], grants: dict[str, Any]) -> None:
    """A pod that prepares data takes a task of Ray's, cores and memory, and needs no node with a certain GPU."""
    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {"raygen_preparation": 1}
    (container,) = worker["containers"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) <= {"cpu", "memory"}
    label = grants.get("gpus", {}).get("label", "nvidia.com/gpu.product")
    assert worker.get("nodeSelector", {}) == {
        k: v for k, v in grants.get("nodeSelector", {}).items() if k != label
    }
    secrets = [{"secretRef": {"name": name}} for name in grants.get("environmentSecrets", ())]
    assert container.get("envFrom", []) == secrets


def check_sent(document: dict[str, Any], grants: dict[str, Any], made: dict[str, Any]) -> None:
    """What holds for every RayJob that goes to a cluster which is there."""
    spec = made["spec"]
    assert {key for key in spec if not key.startswith("entrypoint")} == {
        "submissionMode",
        "backoffLimit",
        "clusterSelector",
        "runtimeEnvYAML",
    }
    assert json.loads(spec["entrypointResources"]) == {"raygen_driver": 1}
    assert spec["clusterSelector"] == {"ray.io/cluster": grants["spec"]["sharedCluster"]}
    assert spec["entrypoint"] == "raygen train env:RAYGEN_JOB"
    environment = yaml.safe_load(spec["runtimeEnvYAML"])
    assert set(environment) == {"env_vars"}
    variables = environment["env_vars"]
    assert json.loads(variables["RAYGEN_STATUS"])["rayJob"] == made["metadata"]["name"]
    assert len(variables["RAYGEN_JOB"].encode()) <= MAX_SHARED_JOB_BYTES
    arrived = as_ray_has_it(variables)["RAYGEN_JOB"]
    same_spec(document, grants, arrived)
    for name, value in grants["spec"].get("environment", {}).items():
        assert name == "RAYGEN_JOB" or as_ray_has_it(variables)[name] == value
    assert {key for key in made["metadata"]["labels"] if "raygen.io/" not in key} == set()


def as_ray_has_it(variables: dict[str, str]) -> dict[str, str]:
    """What Ray makes of a runtime environment's variables (update_envs of ray/_private/utils.py), with a secret around."""
    secret = {"AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/tmp"}  # noqa: S108
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in secret.items():
            patch.setenv(name, value)
        for name, value in variables.items():
            # As Ray does; what is not set becomes nothing.
            found[name] = re.sub(r"\$\{[A-Z0-9_]+\}", "", os.path.expandvars(value))
    assert "secret" not in "".join(found.values())
    return found


def whole(document: dict[str, Any], grants: dict[str, Any], made: dict[str, Any]) -> None:
    """No scheduler may start a part of a job, and each is told what the job asks for and no more."""
    cluster, labels = made["spec"]["rayClusterSpec"], made["metadata"]["labels"]
    assert not {"enableInTreeAutoscaling", "autoscalerOptions"} & set(cluster)
    text = json.dumps({"metadata": made["metadata"], "cluster": cluster})
    for partial in ("job-min-parallelism", "elastic-job", "batch-min-member", "clusterSelector", "user.info"):
        assert partial not in text
    asked = document["spec"].get("scheduling", {})
    kind = grants["spec"].get("scheduler", {}).get("type")
    told = {key: value for key, value in labels.items() if not key.startswith("raygen.io/")}
    assert all(len(value) <= 63 for value in labels.values())
    assert set(told.values()) <= {*asked.values(), "true", told.get("yunikorn.apache.org/app-id")}
    assert asked.get("queueName") in (*told.values(), None)
    groups = {"Volcano": "volcano.sh", "KAI": "kai.scheduler", "YuniKorn": "yunikorn.apache.org"}
    mine = (groups.get(kind, "kueue.x-k8s.io"), "ray.io")
    assert all(key.split("/")[0] in mine for key in told)
    assert ("ray.io/gang-scheduling-enabled" in told) == (kind == "YuniKorn")


def restricted(pod: dict[str, Any]) -> None:
    """Pod Security `restricted`, and more."""
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"].get("runAsUser") != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "projected"}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in security


def consistent(
    group: dict[str, Any], worker: dict[str, Any], scale: dict[str, Any], grants: dict[str, Any]
) -> None:
    """Ray books what Kubernetes gives."""
    start, resources = group["rayStartParams"], worker["containers"][0]["resources"]
    assert ("cpu" in resources["limits"]) == ("cpuLimitRatio" in grants)
    assert start["num-cpus"] == resources["requests"]["cpu"]
    name = grants.get("gpus", {}).get("resource", "nvidia.com/gpu")
    gpus = scale.get("gpusPerWorker", 0)
    assert start.get("num-gpus", "0") == resources["limits"].get(name, "0") == str(gpus)


def same_job(document: dict[str, Any], grants: dict[str, Any], head: dict[str, Any]) -> None:
    """The driver reads the very job, after Kubernetes has put variables in place."""
    (text,) = (one["value"] for one in head["containers"][0]["env"] if one["name"] == "RAYGEN_JOB")
    arrived = expanded(text)
    assert len(arrived.encode()) <= MAX_JOB_BYTES
    same_spec(document, grants, arrived)


def same_spec(document: dict[str, Any], grants: dict[str, Any], arrived: str) -> None:
    """What arrives is the job, with the cores that a worker's pod has, which the head cannot see."""
    got = loads(arrived, "job.json").job.spec
    sent = parse(
        {key: document[key] for key in ("apiVersion", "kind", "metadata", "spec")} | _named(document)
    ).spec
    for name in ("model", "data", "training", "evaluation", "checkpoint", "output"):
        assert getattr(got, name) == getattr(sent, name), name
    cpus = sent.scale.cpus_per_worker or grants["spec"].get("defaults", {}).get("cpusPerWorker", 1)
    assert got.scale == sent.scale.model_copy(update={"cpus_per_worker": cpus})


def _named(document: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": document["metadata"]["name"]}}


def expanded(value: str) -> str:
    """As Kubernetes expands a variable's value, with no other variables (third_party/forked/golang/expansion)."""
    found, at = [], 0
    while at < len(value):
        if value[at] != "$" or at + 1 == len(value):
            found.append(value[at])
            at += 1
        elif value[at + 1] == "$":
            found.append("$")
            at += 2
        elif value[at + 1] == "(" and ")" in value[at:]:
            raise AssertionError(f"another variable would be put in place: {value[at : at + 40]}")
        else:
            found.append(value[at : at + 2])
            at += 2
    return "".join(found)


SCHEDULERS: dict[str, dict[str, Any]] = {
    "kueue": {"type": "Kueue"},
    "volcano": {"type": "Volcano", "queueNames": ["research"]},
    "kai": {"type": "KAI", "queueNames": ["research"]},
    "yunikorn": {"type": "YuniKorn", "queueNames": ["root.{namespace}"]},
}


@pytest.mark.parametrize("name", ["small", "large", "shared", "preparation", "reading", *SCHEDULERS])
def test_rendered_to_the_letter(name: str) -> None:
    changes: dict[str, Any] = {}
    grants = runtime()
    if name in SCHEDULERS:
        queue = "root.team" if name == "yunikorn" else "research"
        changes["scale"] = {"workers": 2, "gpusPerWorker": 1}
        changes["scheduling"] = {"queueName": queue, "priorityClassName": "high"}
        grants = runtime(scheduler=SCHEDULERS[name] | {"priorityClassNames": ["high"]})
    if name == "shared":
        grants = runtime(sharedCluster="shared", environment={"NCCL_DEBUG": "INFO"})
    if name == "preparation":
        changes["preparation"] = {
            "uri": "s3://runs/team/prepared/",
            "workers": 4,
            "cpusPerWorker": 2,
            "memoryPerWorker": "6Gi",
        }
        changes["scale"] = {"workers": 2, "gpusPerWorker": 8, "acceleratorType": "NVIDIA-H100-80GB-HBM3"}
        changes["scheduling"] = {"queueName": "research"}
        grants = runtime(
            environmentSecrets=["storage"],
            extendedResources={"rdma/ib": "8"},
            nodeSelector={"pool": "any", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        )
    if name == "reading":
        changes["preparation"] = {"uri": "s3://runs/team/prepared/"}
        changes["data__reading"] = {"type": "RayData", "workers": 3, "cpusPerWorker": 2}
        changes["scale"] = {"workers": 2, "gpusPerWorker": 8}
        grants = runtime(nodeSelector={"pool": "any", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"})
    if name == "large":
        changes["scale"] = {
            "workers": 2,
            "gpusPerWorker": 8,
            "cpusPerWorker": 64,
            "memoryPerWorker": "512Gi",
            "acceleratorType": "NVIDIA-H100-80GB-HBM3",
        }
        changes["scheduling"] = {"queueName": "research"}
        grants = runtime(
            environment={"NCCL_IB_HCA": "mlx5"},
            environmentSecrets=["storage"],
            extendedResources={"rdma/ib": "8"},
            imagePullSecrets=["registry"],
            nodeSelector={"pool": "gpu"},
            tolerations=[{"key": "nvidia.com/gpu"}],
            storage={
                "endpoint": "https://s3.example.org",
                "region": "eu-1",
                "allowedUriPrefixes": ["s3://datasets/", "s3://runs/{namespace}/"],
            },
        )
    document = job(**changes)
    typed = parse({**document, "metadata": {"name": "tiny"}})
    stage = "Preparation" if name == "preparation" else ""
    made = render(document, typed, RaygenRuntime.model_validate_json(json.dumps(grants)), 3, stage=stage)
    # What is the same object twice would be an alias.
    text = yaml.safe_dump(json.loads(json.dumps(made)), sort_keys=False, width=1000)
    path = GOLDEN / f"{name}.yaml"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path.name} was not there; look at it, and commit it")
    assert path.read_text() == text


def test_what_reads_data_takes_no_gpu_and_gives_ray_no_core_to_train_on() -> None:
    made = yaml.safe_load((GOLDEN / "reading.yaml").read_text())
    trains, reads = made["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert [(one["groupName"], one["replicas"]) for one in (trains, reads)] == [
        ("trainers", 2),
        ("reading", 3),
    ]
    started = reads["rayStartParams"]
    assert (started["num-cpus"], json.loads(json.loads(started["resources"]))) == ("0", {"raygen_reading": 1})
    (container,) = reads["template"]["spec"]["containers"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["requests"]["cpu"] == "2"
    selectors = [one["template"]["spec"]["nodeSelector"] for one in (trains, reads)]
    assert selectors[1] == {"pool": "any"}
    assert selectors[0].keys() == {"pool", "nvidia.com/gpu.product"}


def test_a_plain_rayjob_and_a_shared_cluster_are_looked_at_as_often() -> None:
    root = Path(__file__).parents[4]
    plain = yaml.safe_load((root / "manifests/rayjob/rayjob.yaml").read_text())["spec"]["rayClusterSpec"]
    for group in (plain["headGroupSpec"], *plain["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert {name: container[name] for name in PROBES} == PROBES
    chart = (root / "charts/raygen/templates/cluster.yaml").read_text()
    for name, probe in PROBES.items():
        (line,) = [line for line in chart.splitlines() if line.lstrip().startswith(f"{name}:")]
        assert yaml.safe_load(line) == {name: probe}


def pods_with(**grants: Any) -> list[dict[str, Any]]:
    """The specs of a head and of a worker of two cores, by a runtime."""
    document = job(scale={"cpusPerWorker": 2})
    typed = parse({**document, "metadata": {"name": "tiny"}})
    read = RaygenRuntime.model_validate_json(json.dumps(runtime(**grants)))
    cluster = render(document, typed, read, 1)["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_pods_leave_their_user_to_image_and_cluster_unless_the_runtime_names_one() -> None:
    for pod in pods_with():
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    wanted = {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 2000}
    for pod in pods_with(runAs={"user": 1000, "group": 0, "volumeGroup": 2000}):
        assert wanted.items() <= pod["securityContext"].items()


def test_the_head_reads_its_token_as_any_user() -> None:
    head, _ = pods_with()
    (token,) = (volume["projected"] for volume in head["volumes"] if "projected" in volume)
    assert token["defaultMode"] == 0o444


@pytest.mark.parametrize(
    ("ratio", "head", "worker"), [(None, None, None), (1, "500m", "2"), (1.1, "550m", "2200m"), (4, "2", "8")]
)
def test_cpu_limits_are_a_multiple_of_what_is_reserved(
    ratio: float | None, head: str | None, worker: str | None
) -> None:
    grants = {} if ratio is None else {"cpuLimitRatio": ratio}
    limits = [pod["containers"][0]["resources"]["limits"].get("cpu") for pod in pods_with(**grants)]
    assert limits == [head, worker]


def test_the_hash_tells_what_an_attempt_depends_on() -> None:
    one = job_hash(job())
    assert job_hash(job("other")) == one
    assert job_hash(job(attempts={"limit": 5}, suspend=True, scheduling={"queueName": "q"})) == one
    assert job_hash(job(training__seed=9)) != one
    assert job_hash(job(scale={"workers": 2})) != one
