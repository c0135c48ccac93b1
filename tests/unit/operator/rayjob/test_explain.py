"""What a status says when nothing goes on: by whom, since when, and what to do."""

from __future__ import annotations

from typing import Any

from raygen.controller.conditions import stamp
from tests.unit.operator.attempts.world import World, job


def started(**changes: Any) -> World:
    world = World(job(**changes))
    world.settle()
    return world


def test_a_pod_that_ends_again_and_again_is_told_with_its_exit_code() -> None:
    world = started()
    last = {"terminated": {"exitCode": 127, "reason": "Error"}}
    crashing = {"name": "ray", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last}
    world.running()
    world.pod("tiny-r1-head", 1, "head", containerStatuses=[crashing], conditions=[])
    world.settle()
    assert world.condition() == ("Unknown", "PodCrashes")
    assert "head pod tiny-r1-head ends again and again, with exit code 127: Error." in world.message
    assert "kubectl logs --namespace team tiny-r1-head --previous" in world.message


def test_a_cluster_without_kuberay_is_told_so() -> None:
    world = started()
    assert world.look().again == 15
    world.wait(31)
    world.settle()
    assert world.condition() == ("Unknown", "KubeRayMissing")
    assert "app.kubernetes.io/name=kuberay-operator" in world.message
    written = len(world.writes)
    world.wait(100)
    world.settle()
    assert len(world.writes) == written, "the same words, whenever it is looked at"
    world.running()
    world.settle()
    assert world.condition() == ("Unknown", "Starting")


def test_a_ray_job_that_does_not_go_is_told_after_a_while() -> None:
    world = started()
    world.running(step=10)
    world.settle()
    world.edit(suspend=True)
    world.settle()
    world.wait(181)
    world.settle()
    assert world.condition() == ("Unknown", "Stopping")
    assert "KubeRay has not removed the RayJob tiny-r1 since" in world.message


def test_a_worker_that_does_not_reach_its_head_is_told_so() -> None:
    world = started()
    world.running()
    world.pod(
        "tiny-r1-head",
        1,
        "head",
        conditions=[{"type": "Ready", "status": "True", "lastTransitionTime": stamp(world.now)}],
    )
    initial = {"name": "wait-gcs-ready", "state": {"running": {"startedAt": stamp(world.now)}}}
    world.pod("tiny-r1-worker", 1, "worker", phase="Pending", initContainerStatuses=[initial])
    world.settle()
    assert world.condition() == ("Unknown", "Starting")
    world.wait(61)
    world.settle()
    assert world.condition() == ("Unknown", "PodWaits")
    assert "worker pod tiny-r1-worker has not reached its head" in world.message
    assert "NetworkPolicy" in world.message


def test_a_head_without_a_node_is_the_runtime_s_matter() -> None:
    world = started()
    waiting = {"type": "PodScheduled", "status": "False", "message": "insufficient memory"}
    world.pod("tiny-r1-head", 1, "head", phase="Pending", conditions=[waiting])
    world.wait(10)
    world.settle()
    assert world.condition() == ("Unknown", "Unschedulable")
    assert "Have spec.head of the runtime lowered" in world.message


def test_faults_of_a_runtime_are_told_by_field() -> None:
    world = World()
    assert world.runtime is not None
    world.runtime["spec"]["stopSeconds"] = 1
    world.settle()
    assert world.condition("Validated") == ("False", "RuntimeInvalid")
    assert "spec.stopSeconds: 1" in world.message, world.message
    assert "pydantic" not in world.message
