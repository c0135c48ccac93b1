"""Makes of a job and its runtime the RayJob that KubeRay runs. Pure: the same input gives the same object."""

from __future__ import annotations

import hashlib
import json

from raygen.kube.bodies import Body, Fields
from raygen.operator.rayjob import scheduling
from raygen.spec import TrainingJob
from raygen.spec.data.preparation import Preparation
from raygen.spec.data.reading import Reading
from raygen.spec.kinds import SWEEPS
from raygen.spec.names import (
    ATTEMPT_LABEL,
    DRIVER_RESOURCE,
    HASH_ANNOTATION,
    JOB_LABEL,
    JOB_VARIABLE,
    JOIN_VARIABLE,
    KIND_LABEL,
    PREPARATION_GROUP,
    PREPARATION_RESOURCE,
    RAY_CLUSTER_LABEL,
    RAY_GROUP_LABEL,
    RAY_JOB_LABEL,
    READING_GROUP,
    READING_RESOURCE,
    STAGE_LABEL,
    STATUS_VARIABLE,
    TOKEN_FOLDER,
    TRIAL_RESOURCE,
)
from raygen.spec.runtime import RaygenRuntime, RaygenRuntimeSpec
from raygen.spec.status import PREPARATION
from raygen.spec.sweep.pods import least_workers

MAX_JOB_BYTES = 64 * 1024
"""Largest job file that travels in an environment variable."""
MAX_SHARED_JOB_BYTES = 32 * 1024
"""Largest one to a shared cluster, where Ray quotes it up to twice within one argument of at most 128 KiB (Linux)."""
PREPARE_SECONDS = 10
"""Of the time that a pod has to stop: what Kubernetes and Ray need for themselves."""
JOIN_SECONDS = 3600
"""For which a job waits for room in a shared cluster, unless the runtime's environment says otherwise."""
STOP_VARIABLE = "RAY_JOB_STOP_WAIT_TIME_S"
"""For Ray: how long the driver has after SIGTERM when its job is stopped, in seconds (dashboard/modules/job)."""
OBJECT_STORE_BYTES = 100_000_000
GROUP_NAME = "trainers"

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}

HEALTH = {"httpGet": {"path": "/api/healthz", "port": 52365}, "timeoutSeconds": 5}
PROBES = {
    "startupProbe": HEALTH | {"periodSeconds": 1, "failureThreshold": 600},
    "readinessProbe": HEALTH | {"periodSeconds": 5, "failureThreshold": 10},
}
"""When a Ray node is ready, as its agent says it: looked at each second until it is. KubeRay's own readiness probe looks after
ten seconds for the first time; in its own liveness probe a node has ten minutes too."""

_OF_THE_OPERATOR = {
    "activeDeadlineSeconds",
    "attempts",
    "runtimeRef",
    "scheduling",
    "suspend",
    "ttlSecondsAfterFinished",
}
"""Fields that the operator alone acts upon; a change of them needs no new attempt."""


_SWEEP = SWEEPS.kind.__name__
_COMMANDS = {"TrainingJob": "train", _SWEEP: "sweep"}
"""Commands of drivers, by kind."""


def ray_job_name(name: str, attempt: int, kind: str = "TrainingJob") -> str:
    """Name of an attempt's RayJob: at most 45 characters, and KubeRay takes 47. A sweep may have the name of a job."""
    return f"{name}-{'s' if kind == _SWEEP else 'r'}{attempt}"


def job_hash(document: Body) -> str:
    """A digest of what an attempt is started with; another one means that the attempt is out of date."""
    spec = {key: value for key, value in document["spec"].items() if key not in _OF_THE_OPERATOR}
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def travelling(document: Body, cpus: int | None = None) -> str:
    """The job file as the driver gets it.

    Args:
        document: The TrainingJob or Sweep.
        cpus: Cores of a worker where the job does not say: the driver, in the head's pod, cannot see them.
    """
    metadata = {key: document["metadata"][key] for key in ("name", "namespace")}
    spec = {key: value for key, value in document["spec"].items() if key not in _OF_THE_OPERATOR}
    if cpus is not None:
        template = spec["template"]["spec"] if document["kind"] == _SWEEP else spec
        scaled = template | {"scale": {"cpusPerWorker": cpus} | template.get("scale", {})}
        spec = spec | {"template": {"spec": scaled}} if document["kind"] == _SWEEP else scaled
    job = {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": metadata,
        "spec": spec,
    }
    return json.dumps(job, separators=(",", ":"), sort_keys=True)


def render(
    document: Body, job: TrainingJob, runtime: RaygenRuntime, attempt: int, *, stage: str = ""
) -> Fields:
    """The RayJob of an attempt.

    Args:
        document: The TrainingJob or Sweep as the cluster has it, with its UID.
        job: The same, read; of a Sweep a job that has its pods.
        runtime: What it runs with.
        attempt: From 1.
        stage: Preparation, if it only prepares the job's data, in pods for that.
    """
    metadata, kind = document["metadata"], document["kind"]
    name = ray_job_name(metadata["name"], attempt, kind)
    labels = {JOB_LABEL: metadata["name"], ATTEMPT_LABEL: str(attempt)}
    labels |= {KIND_LABEL: kind} if kind == _SWEEP else {}
    labels |= {STAGE_LABEL: stage} if stage else {}
    told = scheduling.labels(job.spec, runtime.spec, name, metadata["uid"])
    spec = {
        "submissionMode": "HTTPMode",
        # Ray runs it in a shell, so nothing of the job is in it.
        "entrypoint": f"raygen {'prepare' if stage == PREPARATION else _COMMANDS[kind]} env:{JOB_VARIABLE}",
        "backoffLimit": 0,
    }
    if runtime.spec.shared_cluster is not None:
        spec |= _sent(document, runtime.spec, runtime.spec.shared_cluster, name)
    else:
        own = _cluster(document, job, runtime.spec, labels | {RAY_JOB_LABEL: name}, stage)
        spec |= {"shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": 0, "rayClusterSpec": own}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels | told,
            "annotations": {HASH_ANNOTATION: job_hash(document)},
            "ownerReferences": [
                {
                    "apiVersion": document["apiVersion"],
                    "kind": document["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": spec,
    }


def _sent(document: Body, runtime: RaygenRuntimeSpec, cluster: str, name: str) -> Fields:
    """What a RayJob is besides that goes to a cluster which it shares with others."""
    # Both for machines to join, and for workers that other jobs have.
    waits = dict.fromkeys((JOIN_VARIABLE, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"), str(JOIN_SECONDS))
    variables = waits | runtime.variables()
    variables |= {
        # Ray puts variables, secret ones too, in place of $NAME (update_envs in _private/utils.py). In JSON text a $ can
        # only be within a string, where this is the same.
        JOB_VARIABLE: travelling(document, runtime.defaults.cpus_per_worker).replace("$", "\\u0024"),
        STATUS_VARIABLE: _where_to_tell(document, name),
        STOP_VARIABLE: _stop_seconds(runtime),
    }
    # JSON is YAML, and KubeRay hands it to Ray as it is.
    return {
        "clusterSelector": {RAY_CLUSTER_LABEL: cluster},
        "entrypointResources": json.dumps({DRIVER_RESOURCE: 1}),
        "runtimeEnvYAML": json.dumps({"env_vars": variables}, sort_keys=True),
    }


def _cluster(
    document: Body, job: TrainingJob, runtime: RaygenRuntimeSpec, labels: dict[str, str], stage: str
) -> Fields:
    head = _head(document, runtime, labels)
    prepares = job.spec.preparation if stage == PREPARATION else None
    reading = job.spec.data.reading
    if prepares is not None:
        groups = [_preparers(prepares, runtime, labels)]
        without_gpus = [head, groups[0]["template"]]
    else:
        reads = [_readers(reading, runtime, labels)] if reading and reading.type == "RayData" else []
        groups = [_trainers(job, runtime, labels), *reads]
        if document["kind"] == _SWEEP:
            trials = {TRIAL_RESOURCE: document["spec"].get("trialsPerWorker") or 1}
            groups[0]["rayStartParams"]["resources"] = json.dumps(json.dumps(trials))
            if "autoscaling" in document["spec"]:
                # KubeRay starts the driver once so many are there; it says when it has use for more.
                groups[0] |= dict.fromkeys(("replicas", "minReplicas"), least_workers(document["spec"]))
        without_gpus = [group["template"] for group in reads]
    for template in (head, *(group["template"] for group in groups)):
        template["spec"] |= scheduling.pods(job.spec, runtime)
    for template in without_gpus:
        # A kind of GPU that the runtime's nodes have is nothing that these pods need.
        template["spec"].get("nodeSelector", {}).pop(runtime.gpus.label, None)
    return {
        "rayVersion": runtime.ray_version,
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {
                "dashboard-host": "0.0.0.0",  # noqa: S104 (other pods ask it, with the token)
                # The driver and Ray's own processes live here, no training.
                "num-cpus": "0",
                "object-store-memory": str(OBJECT_STORE_BYTES),
            },
            "template": head,
        },
        "workerGroupSpecs": groups,
    }


def _head(document: Body, runtime: RaygenRuntimeSpec, labels: dict[str, str]) -> Fields:
    own = [
        {"name": JOB_VARIABLE, "value": _literal(travelling(document, runtime.defaults.cpus_per_worker))},
        {"name": STATUS_VARIABLE, "value": _where_to_tell(document, labels[RAY_JOB_LABEL])},
        {"name": STOP_VARIABLE, "value": _stop_seconds(runtime)},
    ]
    resources = {
        "requests": {"cpu": runtime.head.cpu, "memory": runtime.head.memory},
        "limits": {"memory": runtime.head.memory, **runtime.cpu_limit(runtime.head.cpu)},
    }
    token = {
        "name": "runner",
        "projected": {
            # The user's number is the cluster's to choose, so neither owner nor group may have to match.
            "defaultMode": 0o444,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
            ],
        },
    }
    template = _pod(runtime, own, resources, labels)
    spec = template["spec"]
    spec["serviceAccountName"] = runtime.service_account_name
    spec["volumes"].append(token)
    spec["containers"][0]["volumeMounts"].append(
        {"name": "runner", "mountPath": TOKEN_FOLDER, "readOnly": True}
    )
    return template


def _trainers(job: TrainingJob, runtime: RaygenRuntimeSpec, labels: dict[str, str]) -> Fields:
    """The group of workers that train."""
    scale = job.spec.scale
    cpus = scale.cpus_per_worker or runtime.defaults.cpus_per_worker
    memory = scale.memory_per_worker or runtime.defaults.memory_per_worker
    counted = dict(runtime.extended_resources)
    start = {}
    if scale.gpus_per_worker:
        start["num-gpus"] = counted[runtime.gpus.resource] = str(scale.gpus_per_worker)
    group = _group(GROUP_NAME, scale.workers, runtime, labels, (cpus, memory, counted), start)
    if scale.accelerator_type is not None:
        spec = group["template"]["spec"]
        spec["nodeSelector"] = spec.get("nodeSelector", {}) | {runtime.gpus.label: scale.accelerator_type}
    return group


def _preparers(wanted: Preparation, runtime: RaygenRuntimeSpec, labels: dict[str, str]) -> Fields:
    """The group of workers that prepare data: cores and memory alone."""
    memory = wanted.memory_per_worker or runtime.defaults.memory_per_worker
    start = {"resources": json.dumps(json.dumps({PREPARATION_RESOURCE: 1}))}
    amounts = (wanted.cpus_per_worker, memory, dict[str, str]())
    return _group(PREPARATION_GROUP, wanted.workers, runtime, labels, amounts, start)


def _readers(wanted: Reading, runtime: RaygenRuntimeSpec, labels: dict[str, str]) -> Fields:
    """The group of workers that read data while others train.

    To Ray they have no cores, so that no worker that trains is ever put there: it would wait for data, and data for it.
    """
    cpus = wanted.cpus_per_worker or 1
    start = {"num-cpus": "0", "resources": json.dumps(json.dumps({READING_RESOURCE: 1}))}
    amounts = (cpus, runtime.defaults.memory_per_worker, dict[str, str]())
    return _group(READING_GROUP, wanted.workers or 1, runtime, labels, amounts, start)


def _group(
    name: str,
    replicas: int,
    runtime: RaygenRuntimeSpec,
    labels: dict[str, str],
    amounts: tuple[int, str, dict[str, str]],
    start: dict[str, str],
) -> Fields:
    """A group of workers of a RayCluster.

    Args:
        name: The group's.
        replicas: Number of pods; a scheduler may start no fewer.
        runtime: What the pods are made of.
        labels: Of the pods.
        amounts: Cores, memory, and further resources by their names, of each pod.
        start: What Ray is told besides.
    """
    cpus, memory, counted = amounts
    resources = {
        "requests": {"cpu": str(cpus), "memory": memory, **counted},
        "limits": {"memory": memory, **runtime.cpu_limit(str(cpus)), **counted},
    }
    template = _pod(runtime, [], resources, labels)
    # Workers on different nodes where there are several.
    template["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {RAY_JOB_LABEL: labels[RAY_JOB_LABEL], RAY_GROUP_LABEL: name}},
        }
    ]
    return {
        "groupName": name,
        "replicas": replicas,
        "minReplicas": replicas,
        "maxReplicas": replicas,
        "rayStartParams": {"num-cpus": str(cpus), "object-store-memory": str(OBJECT_STORE_BYTES), **start},
        "template": template,
    }


def _where_to_tell(document: Body, ray_job: str) -> str:
    """What the driver has to know to write its part of the status."""
    status = {key: document["metadata"][key] for key in ("name", "namespace", "uid")} | {"rayJob": ray_job}
    if document["kind"] == _SWEEP:
        status |= {"kind": SWEEPS.kind.__name__, "plural": SWEEPS.plural}
    return json.dumps(status, separators=(",", ":"))


def _stop_seconds(runtime: RaygenRuntimeSpec) -> str:
    return str(runtime.stop_seconds - PREPARE_SECONDS // 2)


def _pod(runtime: RaygenRuntimeSpec, own: list[Fields], resources: Fields, labels: dict[str, str]) -> Fields:
    # By default workers are processes of niceness 15, and starve beside Ray's own.
    variables = {"RAY_worker_niceness": "0"} | runtime.variables()
    ours = {one["name"] for one in own}
    environment = [
        {"name": name, "value": _literal(value)} for name, value in variables.items() if name not in ours
    ]
    leave = ["raygen", "leave", "--seconds", str(runtime.stop_seconds - PREPARE_SECONDS)]
    container = {
        "name": "ray",
        "image": runtime.image,
        "env": environment + own,
        # A pod that is drained, preempted, suspended or deleted leaves a checkpoint first.
        "lifecycle": {"preStop": {"exec": {"command": leave}}},
        **PROBES,
        "securityContext": SECURITY,
        "resources": resources,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
    }
    if runtime.environment_secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in runtime.environment_secrets]
    spec: Fields = {
        # Ray's own processes need no API server; the driver has a token of its own.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": runtime.stop_seconds,
        "securityContext": runtime.run_as.of_pod(),
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": runtime.shared_memory}},
        ],
        "containers": [container],
    }
    if runtime.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in runtime.image_pull_secrets]
    if runtime.node_selector:
        spec["nodeSelector"] = dict(runtime.node_selector)
    if runtime.tolerations:
        spec["tolerations"] = [one.of_pod() for one in runtime.tolerations]
    return {"metadata": {"labels": labels}, "spec": spec}


def _literal(value: str) -> str:
    """A value that Kubernetes leaves as it is: it would put other variables, secret ones too, in place of $(NAME)."""
    return value.replace("$", "$$")
