"""The values of charts/raygen: what may be set, its default, what it is.

`make generate` makes values.yaml, values.schema.json and the table in the chart's README from these classes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raygen.spec.runtime import RaygenRuntimeSpec, RunAs, Toleration
from raygen.spec.schema.base import (
    PATTERNS,
    JobName,
    LabelKey,
    LabelValue,
    Memory,
    Name,
    Namespace,
    ObjectName,
    Spec,
    Version,
)

_PINNED = r"^([a-z0-9]([-a-z0-9._:]*[a-z0-9])?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)+@sha256:[0-9a-f]{64})?$"
_ACCOUNT = r"^system:serviceaccount:[a-z0-9][-a-z0-9]*:[a-z0-9][-a-z0-9.]*$"
_DURATION = r"^[0-9]+(s|m)$"
_AMOUNT = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
_ENDPOINT = r"^(https?://[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[1-9][0-9]{0,4})?(/[-a-zA-Z0-9._/]*)?)?$"
_CIDR = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"
PATTERNS.update(
    {
        _PINNED: "registry/name@sha256: and 64 hexadecimal digits",
        _ACCOUNT: "system:serviceaccount:NAMESPACE:NAME",
        _DURATION: "a number of seconds or minutes such as 30s",
        _AMOUNT: "a Kubernetes quantity such as 50m or 512Mi",
        _ENDPOINT: "an address such as http://collector.observability:4318",
        _CIDR: "a range of addresses such as 10.0.0.0/16",
    }
)
"""In words, as those of the job file."""

Pinned = Annotated[str, Field(max_length=512, pattern=_PINNED)]
Group = Annotated[str, Field(min_length=1, max_length=253)]
Account = Annotated[str, Field(max_length=400, pattern=_ACCOUNT)]
Duration = Annotated[str, Field(max_length=8, pattern=_DURATION)]
Amount = Annotated[str, Field(min_length=1, max_length=32, pattern=_AMOUNT)]
Endpoint = Annotated[str, Field(max_length=512, pattern=_ENDPOINT)]
Cidr = Annotated[str, Field(max_length=64, pattern=_CIDR)]
Groups = Annotated[tuple[Group, ...], Field(max_length=64)]
Namespaces = Annotated[tuple[Namespace, ...], Field(max_length=256)]
Names = Annotated[tuple[ObjectName, ...], Field(max_length=8)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Resources(Spec):
    """What a container gets."""

    requests: dict[LabelKey, Amount] = Field(default={}, max_length=8)
    """Reserved, by the resource's name."""
    limits: dict[LabelKey, Amount] = Field(default={}, max_length=8)
    """At most, by the resource's name."""


class Placement(Spec):
    """On which nodes pods go."""

    node_selector: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Labels of the nodes."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pods tolerate."""
    priority_class_name: ObjectName | None = None
    """Priority class. Default: the cluster's."""


class Operator(Spec):
    """The operator's Deployment."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 2
    """Number of pods; one of them works, the others take over when its Lease runs out."""
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    """Number of jobs that are worked on at the same time."""
    log_format: Literal["text", "json"] = "json"
    """How its log is written."""
    resources: Resources = Resources(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"})
    """What each pod gets."""
    placement: Placement = Placement()
    """On which nodes the pods go; they keep apart from each other where they can."""
    run_as: RunAs = RunAs()
    """The user and groups that the pods run as."""
    pod_labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Further labels of the pods."""
    pod_annotations: dict[LabelKey, Group] = Field(default={}, max_length=32)
    """Annotations of the pods."""
    tracing_endpoint: Endpoint = ""
    """Address of an OpenTelemetry collector that speaks OTLP over HTTP, as http://collector.observability:4318, to which a
    trace of each job goes when it has ended. Default: none is sent."""


class Scope(Spec):
    """Whose jobs the operator looks after; its rights follow."""

    type: Literal["Cluster", "Namespaced"] = "Cluster"
    """Cluster: all. Namespaced: those in `namespaces`, with a Role in each."""
    namespaces: Namespaces = ()
    """The namespaces, which must exist."""


class Definitions(Spec):
    """The CustomResourceDefinitions of TrainingJob and RaygenRuntime."""

    enabled: bool = True
    """Whether this release installs and upgrades them. They stay when it is uninstalled, and the jobs with them."""


class Admission(Spec):
    """The ValidatingAdmissionPolicies, which are one set for the whole cluster."""

    enabled: bool = True
    """Whether this release installs them. Without them every user who may create jobs has every runtime of their namespace."""
    other_operators: Annotated[tuple[Account, ...], Field(max_length=64)] = ()
    """Accounts of operators of other releases in this cluster, which may write statuses too."""


class Roles(Spec):
    """Roles for people."""

    aggregate: bool = True
    """Whether Kubernetes' own roles `admin`, `edit` and `view` get jobs added."""


class Runtime(Spec):
    """The RaygenRuntime that jobs get which name none. It stays when the release is uninstalled."""

    enabled: bool = False
    """Whether this release makes it."""
    name: Name = "default"
    """Its name."""
    groups: Groups = ()
    """Groups of users who may use it in `jobNamespaces`; they need the right to make jobs besides."""
    spec: RaygenRuntimeSpec | None = None
    """What it grants: docs/reference/raygenruntime.md."""


class ClusterWorkers(Spec):
    """The workers of the long-lived cluster."""

    min: Annotated[int, Field(ge=0, le=4096)] = 0
    """Least number."""
    max: Annotated[int, Field(ge=1, le=4096)] = 4
    """Greatest number."""
    resources: Resources = Resources(requests={"cpu": "1", "memory": "4Gi"}, limits={"memory": "4Gi"})
    """What each gets; GPUs under `limits`, as nvidia.com/gpu."""
    placement: Placement = Placement()
    """On which nodes they go."""


class ClusterHead(Spec):
    """The head of the long-lived cluster."""

    resources: Resources = Resources(requests={"cpu": "500m", "memory": "5Gi"}, limits={"memory": "5Gi"})
    """What it gets."""
    placement: Placement = Placement()
    """On which nodes it goes."""


class ClusterAutoscaler(Spec):
    """Ray's autoscaler, a container in the head pod of the long-lived cluster."""

    resources: Resources = Resources(requests={"cpu": "50m", "memory": "256Mi"}, limits={"memory": "512Mi"})
    """What it gets."""


class RayCluster(Spec):
    """A long-lived RayCluster for interactive work and for jobs, with Ray's dashboard behind a token."""

    enabled: bool = False
    """Whether this release makes it."""
    name: JobName = "shared"
    """Its name, which begins with a letter, and is that of KubeRay's account for it."""
    namespace: Namespace | None = None
    """Its namespace. Default: the release's."""
    takes_jobs: bool = False
    """Whether TrainingJobs of its namespace may be sent to it, by a RaygenRuntime whose `sharedCluster` is its name. They
    share its pods and what these may do: for people who trust each other."""
    max_jobs: Annotated[int, Field(ge=1, le=1000)] = 2
    """How many of these it runs at once; others wait. The drivers of all are in its head, which needs 2 GiB of memory and
    1.5 GiB for each."""
    image: Pinned = ""
    """Image of its pods, by digest; the target `train` of the Dockerfile, or made from it."""
    ray_version: Version = "2.60.0"
    """Version of Ray in the image."""
    image_pull_secrets: Names = ()
    """Names of Secrets that the image is pulled with."""
    environment_secrets: Names = ()
    """Names of Secrets whose values become environment variables."""
    head: ClusterHead = ClusterHead()
    """Its head."""
    workers: ClusterWorkers = ClusterWorkers()
    """Its workers; Ray's autoscaler starts and ends them as work comes and goes."""
    autoscaler: ClusterAutoscaler = ClusterAutoscaler()
    """Ray's autoscaler, beside the head."""
    run_as: RunAs = RunAs()
    """The user and groups that the pods run as."""
    idle_seconds: Annotated[int, Field(ge=10, le=86_400)] = 300
    """Time after which a worker without work ends, in seconds."""
    shared_memory: Memory = "1Gi"
    """Size of /dev/shm, which counts as memory of its pod, in bytes."""
    stop_seconds: Annotated[int, Field(ge=15, le=3600)] = 60
    """Time that pods have to leave checkpoints when they are asked to go, in seconds."""


class ServiceMonitor(Spec):
    """A ServiceMonitor, for clusters with the Prometheus operator."""

    enabled: bool = False
    """Whether this release makes it."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=16)
    """Labels by which Prometheus finds it."""
    interval: Duration = "30s"
    """Time between scrapes."""


class PodMonitor(Spec):
    """A PodMonitor, for clusters with the Prometheus operator."""

    enabled: bool = False
    """Whether this release makes it."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=16)
    """Labels by which Prometheus finds it."""
    interval: Duration = "15s"
    """Time between scrapes."""


class Monitored(Spec):
    """An object that somebody finds by its labels."""

    enabled: bool = False
    """Whether this release makes it."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=16)
    """Labels by which it is found."""


class Metrics(Spec):
    """What Prometheus and Grafana get."""

    service_monitor: ServiceMonitor = ServiceMonitor()
    """Has Prometheus read the operator's figures."""
    pod_monitor: PodMonitor = PodMonitor()
    """Has Prometheus read the figures of jobs' pods: Ray's own, and those of runs, which two of the dashboards show. In
    `jobNamespaces`, or else in all namespaces of the scope."""
    prometheus_rule: Monitored = Monitored()
    """A PrometheusRule: alerts, each with what to do."""
    grafana_dashboards: Monitored = Monitored(labels={"grafana_dashboard": "1"})
    """Grafana's dashboards as ConfigMaps, for its sidecar."""


class NetworkPolicy(Spec):
    """A NetworkPolicy for the operator: it is asked for probes and figures, and asks the API server alone."""

    enabled: bool = True
    """Whether this release makes it."""
    api_server_ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=8)] = (443, 6443)
    """Ports of the API server."""
    api_server_ranges: Annotated[tuple[Cidr, ...], Field(max_length=16)] = ()
    """Addresses of the API server. Default: any, since policies cannot name it."""
    metrics_namespaces: Namespaces = ()
    """Namespaces that may read the figures. Default: all."""


class Disruptions(Spec):
    """A PodDisruptionBudget for the operator, where it has more than one pod."""

    enabled: bool = True
    """Whether this release makes it."""


class Values(Spec):
    """Everything that can be set."""

    image: Pinned = ""
    """The operator's image, by digest: the target `operator` of the Dockerfile in your registry. Must be given."""
    image_pull_secrets: Names = ()
    """Names of Secrets in the release's namespace that the image is pulled with."""
    operator: Operator = Operator()
    """The operator's Deployment."""
    scope: Scope = Scope()
    """Whose jobs the operator looks after; its rights follow."""
    crds: Definitions = Definitions()
    """The CustomResourceDefinitions."""
    admission: Admission = Admission()
    """The ValidatingAdmissionPolicies."""
    roles: Roles = Roles()
    """Roles for people."""
    job_namespaces: Namespaces = ()
    """Existing namespaces with jobs: each gets the service account of runners, and its rights."""
    runtime: Runtime = Runtime()
    """The RaygenRuntime that jobs get which name none."""
    cluster: RayCluster = RayCluster()
    """A long-lived RayCluster."""
    metrics: Metrics = Metrics()
    """What Prometheus and Grafana get."""
    network_policy: NetworkPolicy = NetworkPolicy()
    """A NetworkPolicy for the operator."""
    pod_disruption_budget: Disruptions = Disruptions()
    """A PodDisruptionBudget for the operator."""
