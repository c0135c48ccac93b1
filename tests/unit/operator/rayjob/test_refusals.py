"""Pods that the API server does not let KubeRay make or delete, told by the words that it uses."""

from __future__ import annotations

import pytest

from tests.unit.operator.attempts.world import World, runtime

POD = 'pods "tiny-r1-cluster-head-x7k2p" is forbidden: '
SCC = (
    "unable to validate against any security context constraint: ["
    'provider "anyuid": Forbidden: not usable by user or serviceaccount, '
    "provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{1000}: 1000 is not an allowed group, "
    "provider restricted-v2: .containers[0].runAsUser: Invalid value: 1000: must be in the ranges: [1000680000, 1000689999], "
    'provider "privileged": Forbidden: not usable by user or serviceaccount]'
)
OLDER_SCC = (
    "unable to validate against any security context constraint: [fsGroup: Invalid value: []int64{65532}: 65532 is not"
    " an allowed group]"
)
OTHER_SCC = (
    "unable to validate against any security context constraint: [provider restricted-v2: .containers[0].seccompProfile:"
    " Forbidden: runtime/default is not an allowed profile]"
)
POD_SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "sidecar" must set'
    ' securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "sidecar" must set'
    ' securityContext.capabilities.drop=["ALL"])'
)
REFUSALS = {
    "quota used up": (
        "exceeded quota: compute, requested: limits.memory=4Gi, used: limits.memory=14Gi, limited: limits.memory=16Gi",
        "QuotaExceeded",
        "Wait for other jobs",
    ),
    "quota without a CPU limit": (
        "failed quota: compute: must specify limits.cpu for: ray",
        "LimitsMissing",
        "Have cpuLimitRatio of the runtime set",
    ),
    "quota as older servers say it": (
        "failed quota: quota: must specify limits.cpu,requests.cpu",
        "LimitsMissing",
        "Have cpuLimitRatio of the runtime set",
    ),
    "quota of what pods cannot be given": (
        "failed quota: disk: must specify limits.ephemeral-storage for: ray",
        "LimitsMissing",
        "Have a LimitRange give",
    ),
    "limit range without a limit": (
        "maximum cpu usage per Container is 1.  No limit is specified",
        "LimitsMissing",
        "Have cpuLimitRatio of the runtime set",
    ),
    "limit range exceeded": (
        "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Pod is 4Gi, but limit is 5Gi]",
        "OutsideLimitRange",
        "scale.cpusPerWorker",
    ),
    "limit range not reached": (
        "minimum memory usage per Container is 8Gi, but request is 4Gi",
        "OutsideLimitRange",
        "have the LimitRange changed",
    ),
    "limit range's ratio": (
        "cpu max limit to request ratio per Container is 1, but provided ratio is 2.000000",
        "OutsideLimitRange",
        "cpuLimitRatio",
    ),
    "OpenShift's IDs": (SCC, "SecurityRefused", "Have runAs removed from the runtime"),
    "OpenShift's IDs as 3.11 says it": (OLDER_SCC, "SecurityRefused", "Have runAs removed from the runtime"),
    "OpenShift, another rule": (OTHER_SCC, "SecurityRefused", "granted an SCC"),
    "Pod Security": (POD_SECURITY, "SecurityRefused", "as sidecars do"),
    "no service account": (
        'error looking up service account team/raygen-runner: serviceaccount "raygen-runner" not found',
        "PodsRefused",
        "Make what is missing",
    ),
}


def told(world: World, reason: str, message: str) -> None:
    """KubeRay's condition, as it comes with the status of the RayJob."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
    world.ray_jobs["tiny-r1"]["status"]["rayClusterStatus"] = {"conditions": [condition]}
    world.settle()


@pytest.mark.parametrize("failure", ["FailedCreateHeadPod", "FailedCreateWorkerPod"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_pod_that_is_refused_is_told_with_what_to_do(name: str, failure: str) -> None:
    text, reason, remedy = REFUSALS[name]
    world = World()
    world.settle()
    told(world, failure, f"{failure}\n{POD}{text}")
    assert world.condition() == ("Unknown", reason)
    assert remedy in world.message
    assert text[:30] in world.message
    assert "FailedCreate" not in world.message
    assert [note.reason for note in world.notes if note.warning] == [reason]


def test_a_shared_cluster_is_named_where_its_pods_are_refused() -> None:
    world = World(grants=runtime(sharedCluster="shared"))
    world.settle()
    text = REFUSALS["quota without a CPU limit"][0]
    told(world, "FailedCreateWorkerPod", f"FailedCreateWorkerPod\n{POD}{text}")
    assert "Have the containers of the RayCluster shared given limits.cpu" in world.message


@pytest.mark.parametrize("failure", ["FailedDeleteWorkerPod", "FailedDeleteHeadPod", "FailedDeleteAllPods"])
def test_a_pod_that_was_to_be_deleted_and_is_gone_is_no_trouble(failure: str) -> None:
    world = World()
    world.settle()
    world.running(step=10)
    told(world, failure, f'{failure}\npods "tiny-r1-cluster-trainers-worker-5kq8d" not found')
    assert world.condition() == ("Unknown", "Training")
    assert not [note for note in world.notes if note.warning]


def test_a_pod_that_cannot_be_deleted_is_not_one_that_cannot_be_made() -> None:
    world = World()
    world.settle()
    world.running(step=10)
    text = 'admission webhook "protect.example.org" denied the request: this pod is protected'
    told(world, "FailedDeleteWorkerPod", f"FailedDeleteWorkerPod\n{text}")
    # Beside what it does, since it does it all the same.
    assert world.condition() == ("Unknown", "Training")
    assert f"trains, from step 1. KubeRay cannot delete pods: {text}." in world.message
    assert "runtime" not in world.message


def test_a_webhook_that_is_not_found_is_no_pod_that_is_gone() -> None:
    world = World()
    world.settle()
    text = 'failed calling webhook "protect.example.org": service "protect" not found'
    told(world, "FailedDeleteWorkerPod", f"FailedDeleteWorkerPod\n{text}")
    assert world.condition() == ("Unknown", "PodsNotDeleted")
    assert f"KubeRay cannot delete pods: {text}." in world.message


@pytest.mark.parametrize(
    "text",
    [
        'container has runAsNonRoot and image will run as root (pod: "x_team(1)", container: ray)',
        "container has runAsNonRoot and image has non-numeric user (me), cannot verify user is non-root",
    ],
)
def test_an_image_whose_user_cannot_be_checked_is_the_runtime_s_matter(text: str) -> None:
    world = World()
    world.settle()
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": text}}
    world.pod(
        "tiny-r1-head", 1, "head", phase="Pending", containerStatuses=[{"name": "ray", "state": waiting}]
    )
    world.settle()
    assert world.condition() == ("Unknown", "Configuration")
    assert "Have spec.runAs.user of the runtime set" in world.message
