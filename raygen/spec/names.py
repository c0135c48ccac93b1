"""Strings that cross processes: each is written once, with who writes and who reads it."""

from __future__ import annotations

GROUP, VERSION = "raygen.io", "v1alpha1"
"""API group of the kinds, and its one version. Everybody who writes or reads an object of theirs writes and reads it."""
API_VERSION = f"{GROUP}/{VERSION}"
"""In objects: the same in one."""

JOB_LABEL = f"{GROUP}/job"
"""On RayJobs and pods: the name of their TrainingJob or Sweep. The operator writes and reads it. On head pods of RayClusters that
take jobs: nothing. The creator of such a cluster sets it, so that the operator sees its head."""
KIND_LABEL = f"{GROUP}/kind"
"""On RayJobs and pods: the kind of what `JOB_LABEL` names, where it is no TrainingJob. The operator writes and reads it."""
ATTEMPT_LABEL = f"{GROUP}/attempt"
"""On RayJobs and pods: the number of the attempt. The operator writes and reads it."""
RAY_JOB_LABEL = f"{GROUP}/rayjob"
"""On pods: the name of their RayJob. The operator writes and reads it."""
STAGE_LABEL = f"{GROUP}/stage"
"""On RayJobs that do not train: what their attempt does. The operator writes and reads it."""
HASH_ANNOTATION = f"{GROUP}/job-hash"
"""On RayJobs: a digest of what of the job the attempt began with. The operator writes and reads it."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""On RayJobs: the queue. The operator writes it, Kueue reads it."""
KUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
"""On RayJobs: the WorkloadPriorityClass. The operator writes it, Kueue reads it."""
VOLCANO_QUEUE_LABEL = "volcano.sh/queue-name"
"""On RayJobs: the queue. The operator writes it, KubeRay puts it into Volcano's PodGroup."""
KAI_QUEUE_LABEL = "kai.scheduler/queue"
"""On RayJobs: the queue. The operator writes it, KubeRay passes it on to the pods, KAI reads it."""
YUNIKORN_QUEUE_LABEL = "yunikorn.apache.org/queue"
"""On RayJobs: the queue. The operator writes it, KubeRay passes it on to the pods, YuniKorn reads it."""
YUNIKORN_APPLICATION_LABEL = "yunikorn.apache.org/app-id"
"""On RayJobs: what the pods of an attempt are for YuniKorn. The operator writes it, KubeRay passes it on to the pods."""
YUNIKORN_POD_LABEL = "applicationId"
"""On pods: the same. KubeRay writes it, the operator and YuniKorn read it."""
GANG_LABEL = "ray.io/gang-scheduling-enabled"
"""On RayJobs: whether YuniKorn is to place all pods or none. The operator writes it, KubeRay reads it."""
RAY_PRIORITY_LABEL = "ray.io/priority-class-name"
"""On RayJobs: the PriorityClass. The operator writes it, KubeRay (for Volcano) and KAI read it."""

RAY_CLUSTER_LABEL = "ray.io/cluster"
"""On pods: their RayCluster; KubeRay writes it. In a RayJob's clusterSelector: where it goes; the operator writes it."""
RAY_NODE_TYPE = "ray.io/node-type"
"""On pods: head or worker. KubeRay writes it."""
RAY_GROUP_LABEL = "ray.io/group"
"""On pods: the name of their group of workers, which the operator gives. KubeRay writes it, the operator reads it."""
PREPARATION_GROUP = "preparation"
"""Name of the group of workers that prepare data. The operator writes and reads it."""
READING_GROUP = "reading"
"""Name of the group of workers that read data while others train. The operator writes and reads it."""

JOB_VARIABLE = "RAYGEN_JOB"
"""In the head pod: the job or sweep file as JSON. The operator writes it, `raygen train` or `raygen sweep` reads it."""
STATUS_VARIABLE = "RAYGEN_STATUS"
"""In the head pod: where the driver tells its progress, as JSON {kind, plural, name, namespace, uid, rayJob}; without kind and plural
a TrainingJob. The operator writes it, the driver reads it."""
JOIN_VARIABLE = "RAYGEN_JOIN_SECONDS"
"""For the driver: how long machines of a Ray cluster may take to join. Users and the operator set it, the driver reads it."""
CACHE_LIMIT_VARIABLE = "RAYGEN_CACHE_LIMIT"
"""For workers: how much disk the cache of shards may take, such as 100Gi. Users and administrators set it, workers and
`raygen doctor` read it."""
DRIVER_RESOURCE = "raygen_driver"
"""In a RayCluster that jobs share: Ray's resource of which each driver takes one, so that the head has no more of them than it
has memory for. An administrator gives the head some, the operator asks for it."""
PREPARATION_RESOURCE = "raygen_preparation"
"""On machines that prepare data: Ray's resource of which each task takes one, so that it goes there and nowhere else. The
operator gives each pod of its group one, and an administrator may give some to machines of other clusters; the driver asks for it."""
READING_RESOURCE = "raygen_reading"
"""On machines that read prepared data ahead of training: the same, and tasks take none of their cores, of which those of the operator
have none for Ray."""
TRIAL_RESOURCE = "raygen_trial"
"""On machines that train trials of a sweep: Ray's resource of which each trial with several workers takes one, so that its driver is
beside them and not in the head. The operator gives each pod of a sweep some; the driver asks for it."""
TOKEN_FOLDER = "/var/run/secrets/raygen"  # noqa: S105
"""In the head pod: token and ca.crt for the API server. The operator mounts it, the driver reads it."""

OPERATOR_MANAGER = "raygen-operator"
"""Owner of the fields of the status that the operator applies."""
DRIVER_MANAGER = "raygen-driver"
"""Owner of the fields of the status that the driver applies."""

LOW_MEMORY = "memory ran low"
"""In the driver's last words where workers were ended for lack of memory. The driver writes it, the operator reads it."""

KUBERAY_NAMES = {"Volcano": "volcano", "KAI": "kai-scheduler", "YuniKorn": "yunikorn"}
"""What KubeRay calls its batch scheduler (GetPluginName), of which it has one for all that it runs. An administrator writes
it where KubeRay is installed; the operator and `raygen doctor` say which."""
