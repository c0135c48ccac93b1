"""RaygenRuntime: what an administrator grants to the jobs that name it."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.job.cluster import Seconds
from raygen.spec.schema.base import (
    AllowedNamespace,
    AllowedQueue,
    Amount,
    Cpu,
    Image,
    JobName,
    Kind,
    LabelKey,
    LabelValue,
    Memory,
    Name,
    ObjectName,
    PriorityClassName,
    Rule,
    Spec,
    Tagged,
    Text,
    Uri,
    UriPrefix,
    Variable,
    Version,
    plain_uri,
)
from raygen.spec.schema.validate import parse_kind

DEFAULT_HEAD_LOST_SECONDS = 300
"""Time after which a head that is not ready is lost, unless a runtime says otherwise."""
DEFAULT_STOP_SECONDS = 60
"""Time that pods have to leave a checkpoint, unless a runtime says otherwise."""


class RuntimeMetadata(Spec):
    """Standard metadata of a Kubernetes object."""

    name: Name
    """The runtime's name: lower-case letters, digits and '-', at most 40 characters."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=64)
    """Labels, for people and tools."""
    annotations: dict[LabelKey, Text] = Field(default={}, max_length=64)
    """Notes for people and tools."""


class Toleration(Spec):
    """A taint of nodes that the pods tolerate."""

    key: LabelKey
    """Key of the taint."""
    value: LabelValue | None = None
    """Value of the taint. Default: any."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Default: any."""

    def of_pod(self) -> dict[str, str]:
        """The same as pods say it (core/v1)."""
        found = {"key": self.key, "operator": "Exists" if self.value is None else "Equal"}
        given = {"value": self.value, "effect": self.effect}
        return found | {name: value for name, value in given.items() if value is not None}


class Storage(Spec):
    """The object storage that the jobs use. Credentials are in the Secrets that `environmentSecrets` names."""

    endpoint: Uri | None = None
    """Address of the S3 server. Default: AWS's own."""
    region: ObjectName | None = None
    """Region. Default: what the credentials' own settings say."""
    allowed_uri_prefixes: Annotated[tuple[UriPrefix, ...], Field(min_length=1, max_length=32)]
    """Where data, code and output of a job may be: whole segments of a URI, in which {namespace} stands for the job's
    namespace (s3://runs/{namespace}/)."""

    rules: ClassVar[tuple[Rule, ...]] = (plain_uri("endpoint"),)


class Gpus(Spec):
    """How GPUs are asked for."""

    resource: LabelKey = "nvidia.com/gpu"
    """Name of the resource."""
    label: LabelKey = "nvidia.com/gpu.product"
    """Label of nodes whose value `scale.acceleratorType` chooses."""


class Ceilings(Spec):
    """The most that one job may take."""

    workers: Annotated[int, Field(ge=1, le=4096)] = 64
    """Number of workers, of those that train and of those that prepare data."""
    gpus: Annotated[int, Field(ge=0, le=262_144)] = 64
    """Number of GPUs of all workers together."""
    hours: Annotated[int, Field(ge=1, le=100_000)] = 720
    """Longest active time, in hours."""


class RunAs(Spec):
    """The user and groups that pods run as, which are never root's."""

    user: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """User ID. Default: the image's, or one that the cluster assigns, as OpenShift does."""
    group: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """ID of the primary group. Default: the image's, or one that the cluster assigns."""
    volume_group: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """ID of the group that owns the pods' volumes. Default: none, or one that the cluster assigns."""

    def of_pod(self) -> dict[str, object]:
        """A pod's securityContext, as Pod Security `restricted` wants it (core/v1)."""
        given = {"runAsUser": self.user, "runAsGroup": self.group, "fsGroup": self.volume_group}
        numbers = {name: number for name, number in given.items() if number is not None}
        return {"runAsNonRoot": True, **numbers, "seccompProfile": {"type": "RuntimeDefault"}}


class Defaults(Spec):
    """What a worker gets where the job does not say."""

    cpus_per_worker: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of CPU cores."""
    memory_per_worker: Memory = "4Gi"
    """Memory, as a Kubernetes quantity, in bytes."""


class Head(Spec):
    """What the head pod gets, in which the driver and Ray's own processes live and nothing is trained."""

    cpu: Cpu = "500m"
    """CPU cores that are reserved."""
    memory: Memory = "4Gi"
    """Memory, reserved and at most, in bytes."""


class Scheduler(Tagged):
    """What decides when and where the pods of a job run, and how much of that is the job's to choose."""

    type: Literal["Kubernetes", "Kueue", "Volcano", "KAI", "YuniKorn"]
    """Kubernetes: its own scheduler, without queues. Kueue holds a job back until there is quota for all its pods.
    Volcano, KAI and YuniKorn place all pods of a job or none; KubeRay has to be set up for the same one."""
    queue_names: Annotated[tuple[AllowedQueue, ...], Field(min_length=1, max_length=256)] | None = None
    """Queues that jobs may name where queues belong to the whole cluster; {namespace} stands for the job's
    namespace, * for all. Default: none. Kueue's queues belong to namespaces, and a job may name any of its own."""
    priority_class_names: Annotated[tuple[PriorityClassName, ...], Field(max_length=64)] = ()
    """Priority classes that jobs may name: WorkloadPriorityClasses with Kueue, else PriorityClasses. Default: none."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"queue_names": ("Volcano", "KAI", "YuniKorn")}

    def allows_queue(self, queue: str, namespace: str) -> bool:
        """Whether jobs of this namespace may name this queue."""
        return any(
            allowed == "*" or allowed.replace("{namespace}", namespace) == queue
            for allowed in self.queue_names or ()
        )


Scheduler.rules = (
    *Scheduler.foreign_rules(),
    Rule(
        fields=("type", "queue_names"),
        at="queueNames",
        holds=lambda self: self.type != "KAI" or self.queue_names is not None,
        rule="must be given with KAI, which places no pods without a queue",
        remedy="List the queues that jobs may name, or * for all.",
        cel="self.type != 'KAI' || has(self.queueNames)",
    ),
)


class RaygenRuntimeSpec(Spec):
    """What the pods of a job are made of, and what a job may ask for."""

    image: Image
    """Image of all pods, by digest; the target `train` of the Dockerfile, or made from it."""
    ray_version: Version = "2.60.0"
    """Version of Ray in the image."""
    image_pull_secrets: Annotated[tuple[ObjectName, ...], Field(max_length=8)] = ()
    """Names of Secrets in the job's namespace that the image is pulled with."""
    service_account_name: ObjectName = "raygen-runner"
    """Service account of the head pod in the job's namespace; it may patch the status of jobs, and nothing else.
    Workers get no token."""
    allowed_namespaces: Annotated[tuple[AllowedNamespace, ...], Field(max_length=256)] = ()
    """Namespaces whose jobs may name this runtime; * stands for all. Default: none."""
    allow_custom_code: bool = False
    """Whether jobs may bring model code of their own, which then runs with all that this runtime grants."""
    node_selector: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Labels of the nodes that pods go to."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that pods tolerate."""
    environment: dict[Variable, Text] = Field(default={}, max_length=64)
    """Environment variables of all pods, such as NCCL's; no secrets, which everybody could read here."""
    environment_secrets: Annotated[tuple[ObjectName, ...], Field(max_length=8)] = ()
    """Names of Secrets in the job's namespace whose values become environment variables."""
    extended_resources: dict[LabelKey, Amount] = Field(default={}, max_length=8)
    """Further resources of each worker, such as RDMA devices (rdma/ib: 1)."""
    storage: Storage
    """The object storage that the jobs use."""
    scheduler: Scheduler | None = None
    """What decides when and where pods run. Default: Kubernetes' own, and Kueue for jobs that name a queue."""
    shared_cluster: JobName | None = None
    """Name of a RayCluster in the job's namespace that is there already and takes jobs, such as the chart's. Jobs go to its
    pods, which it shares among them, and what is said here of pods is not read. Default: each attempt has its own."""
    gpus: Gpus = Gpus()
    """How GPUs are asked for."""
    ceilings: Ceilings = Ceilings()
    """The most that one job may take."""
    defaults: Defaults = Defaults()
    """What a worker gets where the job does not say."""
    head: Head = Head()
    """What the head pod gets."""
    shared_memory: Memory = "2Gi"
    """Size of /dev/shm, which counts as memory of its pod, in bytes."""
    cpu_limit_ratio: Annotated[float, Field(ge=1, le=100)] | None = None
    """CPU limit of each pod, as a multiple of the cores that it reserves. Default: no limit, so that pods use what is idle;
    a namespace whose ResourceQuota counts limits.cpu needs one."""
    run_as: RunAs = RunAs()
    """The user and groups that pods run as."""
    head_lost_seconds: Seconds = DEFAULT_HEAD_LOST_SECONDS
    """Time after which an attempt ends whose head is not ready, in seconds."""
    stop_seconds: Annotated[int, Field(ge=15, le=3600)] = DEFAULT_STOP_SECONDS
    """Time that pods have to leave a checkpoint when they are asked to go, in seconds."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("shared_cluster", "scheduler"),
            at="scheduler",
            holds=lambda self: self.shared_cluster is None or self.scheduler is None,
            rule="must be left out where sharedCluster is given, whose pods are placed before any job comes",
            remedy="Remove scheduler, or sharedCluster.",
            cel="!has(self.sharedCluster) || !has(self.scheduler)",
        ),
        Rule(
            fields=("shared_cluster", "environment_secrets"),
            at="environmentSecrets",
            holds=lambda self: self.shared_cluster is None or not self.environment_secrets,
            rule="must be left out where sharedCluster is given: jobs have what that cluster's pods have",
            remedy="Remove environmentSecrets, and give the Secrets to the cluster's pods.",
            cel="!has(self.sharedCluster) || !has(self.environmentSecrets) || size(self.environmentSecrets) == 0",
        ),
        Rule(
            fields=("shared_cluster", "environment"),
            at="environment",
            holds=lambda self: (
                self.shared_cluster is None or not any("$" in one for one in self.environment.values())
            ),
            rule="must hold no $ where sharedCluster is given, since Ray puts variables, secret ones too, in place of $NAME",
            remedy="Remove the $.",
            cel="!has(self.sharedCluster) || !has(self.environment)"
            " || self.environment.all(name, !self.environment[name].contains('$'))",
        ),
    )

    def cpu_limit(self, cores: str) -> dict[str, str]:
        """The CPU limit of a container.

        Args:
            cores: What it reserves, as a Kubernetes quantity.

        Returns:
            Whole cores or milli-cores, rounded up, by the resource's name; empty if there is no limit.
        """
        if self.cpu_limit_ratio is None:
            return {}
        reserved = int(cores[:-1]) if cores.endswith("m") else round(float(cores) * 1000)
        # Rounded first, since 500 x 1.1 is a little above 550.
        limit = math.ceil(round(reserved * self.cpu_limit_ratio, 6))
        return {"cpu": str(limit // 1000) if limit % 1000 == 0 else f"{limit}m"}

    def variables(self) -> dict[str, str]:
        """Environment variables of all processes of a job."""
        storage = {"AWS_ENDPOINT_URL": self.storage.endpoint, "AWS_REGION": self.storage.region}
        return {name: value for name, value in storage.items() if value is not None} | dict(self.environment)

    def allows_namespace(self, namespace: str) -> bool:
        """Whether jobs of this namespace may name this runtime."""
        return "*" in self.allowed_namespaces or namespace in self.allowed_namespaces

    def allows_uri(self, uri: str, namespace: str) -> bool:
        """Whether a URI lies below one of the allowed prefixes, by whole segments."""
        prefixes = (
            prefix.replace("{namespace}", namespace).rstrip("/")
            for prefix in self.storage.allowed_uri_prefixes
        )
        return any(uri == prefix or uri.startswith(prefix + "/") for prefix in prefixes)


class RaygenRuntime(Kind):
    """What an administrator grants to jobs: image, nodes, storage, limits. Cluster-scoped."""

    api_version: Literal["raygen.io/v1alpha1"] = "raygen.io/v1alpha1"
    """Version of this format."""
    kind: Literal["RaygenRuntime"] = "RaygenRuntime"
    """Kind of this object."""
    metadata: RuntimeMetadata
    """Name and labels."""
    spec: RaygenRuntimeSpec
    """What the pods of a job are made of, and what a job may ask for."""

    noun: ClassVar[str] = "runtime"


def parse_runtime(document: object) -> RaygenRuntime:
    """A runtime from JSON values.

    Raises:
        ValidationError: holds every fault.
    """
    return parse_kind(RaygenRuntime, document)
