"""What schedulers are told, what is refused for them, and how a job is that waits for one."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.operator.rayjob.render import render
from raygen.spec import parse
from raygen.spec.runtime import parse_runtime
from tests.unit.operator.attempts.world import World, job, runtime

VOLCANO = {"type": "Volcano", "queueNames": ["research", "{namespace}-low"], "priorityClassNames": ["high"]}
KAI = VOLCANO | {"type": "KAI"}
YUNIKORN = VOLCANO | {"type": "YuniKorn", "queueNames": ["root.{namespace}"]}
KUEUE = {"type": "Kueue", "priorityClassNames": ["high"]}
KUBERNETES = {"type": "Kubernetes", "priorityClassNames": ["high"]}
ASKED = {"queueName": "research", "priorityClassName": "high"}
LOW = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"} | {
    "lastTransitionTime": "2026-01-31T12:00:00Z",
    "message": "2/2 tasks in gang unschedulable: pod group is not ready, 2 Pending, 2 minAvailable.",
}


@pytest.mark.parametrize(
    ("scheduling", "scheduler", "words"),
    [
        ({"queueName": "a"}, KUBERNETES, "has Kubernetes' own scheduler, which has no queues"),
        ({"queueName": "Q.1"}, KUEUE, "must be the name of a queue of Kueue: lower-case"),
        ({"queueName": "a_b"}, KUEUE, "must be the name of a queue of Kueue: lower-case"),
        ({"queueName": "Q"}, VOLCANO | {"queueNames": ["*"]}, "must be the name of a queue of Volcano"),
        ({"queueName": "a..b"}, KAI | {"queueNames": ["*"]}, "must be the name of a queue of KAI"),
        (None, KUEUE, "past all quotas"),
        (None, KAI, "which places no pods without a queue"),
        ({"priorityClassName": "high"}, KUEUE, "spec.scheduling.queueName"),
        ({"queueName": "other"}, VOLCANO, "(now research, team-low)"),
        ({"queueName": "other-low"}, KAI, "must be one of the queueNames"),
        ({"queueName": "root.other"}, YUNIKORN, "(now root.team)"),
        ({"queueName": "a"}, {"type": "Volcano"}, "have it added to the runtime's scheduler.queueNames."),
        ({"priorityClassName": "high"}, None, "must be one of the priorityClassNames"),
        ({"priorityClassName": "higher"}, KUBERNETES, "scheduler.priorityClassNames (now high)"),
        (ASKED, KUEUE | {"priorityClassNames": []}, "spec.scheduling.priorityClassName"),
    ],
)
def test_pairs_that_cannot_work_are_refused(
    scheduling: dict[str, Any] | None, scheduler: dict[str, Any] | None, words: str
) -> None:
    changes = {} if scheduling is None else {"scheduling": scheduling}
    grants = runtime() if scheduler is None else runtime(scheduler=scheduler)
    world = World(job(**changes), grants)
    world.settle()
    assert world.ray_jobs == {}
    assert world.condition("Validated") == ("False", "NotAllowed")
    assert "spec.scheduling." in world.message
    assert words in world.message


@pytest.mark.parametrize(
    ("scheduling", "scheduler"),
    [
        (None, None),
        (None, KUBERNETES),
        (None, {"type": "Volcano"}),
        (None, {"type": "YuniKorn"}),
        ({"queueName": "Q.1"}, None),
        ({"queueName": "a"}, KUEUE),
        ({"queueName": "Q_1"}, {"type": "YuniKorn", "queueNames": ["*"]}),
        ({"priorityClassName": "high"}, KUBERNETES),
        ({"queueName": "team-low"}, KAI),
    ],
)
def test_others_are_taken(scheduling: dict[str, Any] | None, scheduler: dict[str, Any] | None) -> None:
    changes = {} if scheduling is None else {"scheduling": scheduling}
    world = World(job(**changes), runtime() if scheduler is None else runtime(scheduler=scheduler))
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r1"]


def told(scheduling: dict[str, Any], scheduler: dict[str, Any] | None, **metadata: str) -> dict[str, Any]:
    """Labels besides raygen's own, and the pods' priority class."""
    document = job(scheduling=scheduling)
    document["metadata"] |= metadata
    typed = parse({**document, "metadata": {"name": document["metadata"]["name"]}})
    grants = runtime() if scheduler is None else runtime(scheduler=scheduler)
    made = render(document, typed, parse_runtime(grants), 3)
    cluster = made["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], cluster["workerGroupSpecs"][0]["template"]]
    classes = {template["spec"].get("priorityClassName") for template in templates}
    (priority,) = classes
    labels = made["metadata"]["labels"]
    return {key: value for key, value in labels.items() if not key.startswith("raygen.io/")} | {
        "pods": priority
    }


def test_what_each_scheduler_is_told() -> None:
    assert told(ASKED, None) == {"kueue.x-k8s.io/queue-name": "research", "pods": None}
    assert told(ASKED, KUBERNETES) == {"pods": "high"}
    assert told(ASKED, KUEUE) == {
        "kueue.x-k8s.io/queue-name": "research",
        "kueue.x-k8s.io/priority-class": "high",
        "pods": None,
    }
    assert told(ASKED, VOLCANO) == {
        "volcano.sh/queue-name": "research",
        "ray.io/priority-class-name": "high",
        "pods": "high",
    }
    assert told(ASKED, KAI) == {
        "kai.scheduler/queue": "research",
        "ray.io/priority-class-name": "high",
        "pods": "high",
    }
    assert told(ASKED, YUNIKORN) == {
        "yunikorn.apache.org/queue": "research",
        "ray.io/gang-scheduling-enabled": "true",
        "yunikorn.apache.org/app-id": "tiny-r3-uid-tiny",
        "pods": "high",
    }


def test_applications_of_one_name_in_two_namespaces_are_two() -> None:
    name, label = "a" * 40, "yunikorn.apache.org/app-id"
    one, other = (
        told({"queueName": "q"}, YUNIKORN, name=name, uid=uid)[label]
        for uid in ("0aa3f35e-2c4e-4d1e-8f4b-000000000000", "1bb3f35e-2c4e-4d1e-8f4b-000000000000")
    )
    assert one != other
    assert len(one) <= 63


def pending(world: World, **labels: str) -> None:
    """KubeRay has made the pods, and they have no node."""
    world.ray_jobs["tiny-r1"]["status"].setdefault("jobDeploymentStatus", "Initializing")
    for kind in ("head", "worker"):
        pod = world.pod(f"tiny-r1-{kind}", 1, kind, phase="Pending", conditions=[LOW])
        pod["spec"]["nodeName"] = None
        pod["metadata"]["labels"] |= labels


def test_waiting_for_a_gang_is_no_time_of_activity() -> None:
    world = World(
        job(scheduling={"queueName": "research"}, activeDeadlineSeconds=3600), runtime(scheduler=VOLCANO)
    )
    world.settle()
    pending(world, **{"volcano.sh/queue-name": "research"})
    world.wait(10_000)
    world.settle()
    assert world.condition() == ("Unknown", "Queued")
    assert "waits in the queue research for Volcano to have room for all its 2 pods at once" in world.message
    assert "pod group is not ready, 2 Pending, 2 minAvailable." in world.message
    assert "startTime" not in world.status
    world.pods.clear()
    world.running(step=10)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    world.wait(3590)
    assert world.settle().again == 10


def test_pods_that_go_after_they_had_a_node_are_no_queue() -> None:
    world = World(job(scheduling={"queueName": "research"}), runtime(scheduler=VOLCANO))
    world.settle()
    world.running(step=10)
    world.settle()
    world.pods.clear()
    pending(world, **{"volcano.sh/queue-name": "research"})
    world.wait(400)
    world.settle()
    world.wait(400)
    world.settle()
    assert world.status["attempts"][-1]["cause"] == "HeadLost"


@pytest.mark.parametrize(
    ("scheduler", "queue", "label", "name"),
    [
        (VOLCANO, "research", "volcano.sh/queue-name", "volcano"),
        (KAI, "research", "kai.scheduler/queue", "kai-scheduler"),
        (YUNIKORN, "root.team", "applicationId", "yunikorn"),
    ],
)
def test_a_kuberay_that_passes_the_scheduler_over_is_told_of(
    scheduler: dict[str, Any], queue: str, label: str, name: str
) -> None:
    world = World(job(scheduling={"queueName": queue}), runtime(scheduler=scheduler))
    world.settle()
    pending(world)
    world.settle()
    assert world.condition() == ("Unknown", "SchedulerMissing")
    assert f"batchScheduler.name={name}." in world.message
    world.wait(20)
    world.settle()
    assert [note.reason for note in world.notes].count("SchedulerMissing") == 1
    for pod in world.pods.values():
        pod["metadata"]["labels"][label] = "x"
    world.settle()
    assert world.condition() == ("Unknown", "Queued")


def test_it_trains_all_the_same_without_the_scheduler() -> None:
    world = World(job(scheduling={"queueName": "research"}), runtime(scheduler=KAI))
    world.settle()
    world.running(step=10)
    world.settle()
    assert world.condition() == ("Unknown", "Training")


def test_another_fault_of_the_pods_comes_before_the_queue() -> None:
    world = World(job(scheduling={"queueName": "research"}), runtime(scheduler=VOLCANO))
    world.settle()
    pending(world, **{"volcano.sh/queue-name": "research"})
    refused = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": "no PriorityClass with name high was found",
    }
    world.ray_jobs["tiny-r1"]["status"]["rayClusterStatus"] = {"conditions": [refused]}
    world.settle()
    assert world.condition() == ("Unknown", "PodsRefused")
    assert "no PriorityClass with name high" in world.message
