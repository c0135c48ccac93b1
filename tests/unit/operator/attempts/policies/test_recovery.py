"""What a status says while an attempt that trained does no steps: what was lost, since when, and from where it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.controller.conditions import stamp
from tests.unit.operator.attempts.world import World, job

WORKER = "tiny-r1-worker"


def training(workers: int = 2, step: int = 300) -> World:
    """A job that has trained for a while."""
    world = World(job(scale={"workers": workers}))
    world.settle()
    world.running()
    world.settle()
    world.wait(60)
    world.running(step=step)
    progress(world)["checkpoint"] = 250
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    world.wait(5)
    return world


def progress(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.status["progress"]
    return found


def replaced(world: World) -> None:
    """KubeRay has made another pod, and Ray's container of it runs."""
    del world.pods[WORKER]
    running = {"name": "ray", "state": {"running": {"startedAt": stamp(world.now)}}}
    world.pod("tiny-r1-worker-new", 1, "worker", containerStatuses=[running])


def deleted(world: World) -> None:
    """Somebody deletes a worker pod, which leaves a checkpoint first and goes then."""
    world.pods[WORKER]["metadata"]["deletionTimestamp"] = stamp(world.now)


def test_a_worker_pod_that_is_deleted_is_told_until_steps_are_done_again() -> None:
    world = training()
    deleted(world)
    world.settle()
    said = (
        "Attempt 1 has stood still since 2026-01-31T12:01:05Z: worker pod tiny-r1-worker was deleted."
        " 1 of 2 workers are there, and KubeRay makes the others again."
        " Its last step was 300, at 2026-01-31T12:01:00Z; it goes on from step 250, its newest checkpoint."
    )
    assert (world.condition(), world.message) == (("Unknown", "Recovering"), said)
    assert world.condition("Running") == ("False", "NotTraining")
    assert [note.reason for note in world.notes if note.warning] == ["Recovering"]
    trouble = {"reason": "WorkersLost", "time": "2026-01-31T12:01:05Z"}
    assert trouble.items() <= world.status["attempts"][0]["trouble"].items()
    # The pod goes, and another takes its place: the cause stays.
    world.wait(40)
    del world.pods[WORKER]
    world.settle()
    assert world.message == said
    world.wait(60)
    world.pod(WORKER, 1, "worker", phase="Pending", conditions=[])
    world.settle()
    assert world.message == said
    replaced(world)
    world.settle()
    assert world.message == said, "it has only started"
    written = len(world.writes)
    world.wait(20)
    world.settle()
    assert len(world.writes) == written, "the same words until something changes"
    # The driver starts all workers again, from the checkpoint.
    progress(world).update(time=stamp(world.now), step=250, firstStep=251)
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert "worker pod tiny-r1-worker was deleted. Its workers go on after step 250." in world.message
    world.wait(30)
    progress(world).update(time=stamp(world.now), step=251)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert world.condition("Running") == ("True", "Training")
    assert world.message == "Attempt 1 trains, from step 251."
    assert [note.reason for note in world.notes if note.warning] == ["Recovering"], "once"


def ended(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "ray", **status}]}


KILLED = {"terminated": {"reason": "Error", "exitCode": 137}}
LOSSES: dict[str, tuple[dict[str, Any], str]] = {
    "failed": (
        {"phase": "Failed", "message": "Pod was rejected: out of pods."},
        "ended: Pod was rejected: out of pods",
    ),
    "a container that ended": (ended(state=KILLED), "ended with exit code 137 (Error)"),
    "a container that waits to be started": (
        ended(state={"waiting": {"reason": "ContainerCreating"}}, lastState=KILLED),
        "ended with exit code 137 (Error)",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_worker_that_ended_is_told_with_how(name: str) -> None:
    status, words = LOSSES[name]
    world = training()
    world.pods[WORKER]["status"] |= status
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert f"worker pod tiny-r1-worker {words}. 1 of 2 workers are there" in world.message


def test_a_container_that_was_started_again_has_yet_to_train() -> None:
    world = training()
    running = {"name": "ray", "state": {"running": {"startedAt": stamp(world.now)}}, "lastState": KILLED}
    sidecar = {"name": "proxy", "state": {"running": {"startedAt": stamp(world.now)}}}
    world.pods[f"{WORKER}-1"]["status"]["containerStatuses"] = [
        {**running, "state": {"running": {"startedAt": "2026-01-31T12:00:00Z"}}},
        sidecar,
    ]
    world.pods[WORKER]["status"]["containerStatuses"] = [running]
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert "1 of 2 workers are there" in world.message, "a sidecar's start says nothing of Ray"


def test_what_evicts_a_worker_is_told_and_remembered_when_its_pod_is_gone() -> None:
    world = training()
    drained = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "drained",
    }
    world.pods[WORKER]["status"]["conditions"] = [drained]
    deleted(world)
    world.settle()
    assert world.condition() == ("Unknown", "Drained")
    assert "Its last step was 300, at 2026-01-31T12:01:00Z" in world.message
    del world.pods[WORKER]
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert "worker pod tiny-r1-worker: drained. 1 of 2 workers are there" in world.message


def test_each_loss_has_its_own_cause() -> None:
    world = training()
    deleted(world)
    world.settle()
    replaced(world)
    world.wait(120)
    world.running(step=320, first=301)
    world.settle()
    world.wait(5)
    world.pods[f"{WORKER}-1"]["status"] |= {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
    world.settle()
    assert "since 2026-01-31T12:03:10Z: worker pod tiny-r1-worker-1 ended: Unexpected" in world.message


def test_pods_that_were_lost_while_no_operator_looked_are_counted() -> None:
    world = training()
    del world.pods[WORKER]
    world.settle()
    assert "1 of 2 worker pods are gone. 1 of 2 workers are there" in world.message


def test_a_worker_that_takes_another_s_place_unseen_is_told() -> None:
    world = training()
    replaced(world)
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert "a worker was lost, and pod tiny-r1-worker-new takes its place" in world.message


def test_why_a_lost_worker_does_not_come_back_comes_first() -> None:
    world = training()
    deleted(world)
    world.settle()
    del world.pods[WORKER]
    full = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    world.pod(WORKER, 1, "worker", phase="Pending", conditions=[full])
    world.wait(10)
    world.settle()
    assert world.condition() == ("Unknown", "Unschedulable")
    assert "Its last step was 300, at 2026-01-31T12:01:00Z" in world.message


def unready(world: World) -> None:
    not_ready = {"type": "Ready", "status": "False", "lastTransitionTime": stamp(world.now)}
    world.pods[WORKER]["status"]["conditions"] = [not_ready]


def test_a_worker_whose_node_is_silent_is_lost_after_a_while() -> None:
    world = training()
    unready(world)
    assert world.settle().again == 30
    assert world.condition() == ("Unknown", "Training"), "for a moment a probe may fail"
    world.wait(30)
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert (
        "worker pod tiny-r1-worker on node node-1 has not been ready since 2026-01-31T12:01:05Z"
        in world.message
    )


def test_a_worker_that_fails_its_probe_and_trains_is_not_lost() -> None:
    world = training()
    unready(world)
    world.wait(31)
    world.running(step=310)
    world.settle()
    assert world.condition() == ("Unknown", "Training")


def test_what_the_driver_says_of_its_workers_counts_where_pods_show_nothing() -> None:
    world = training()
    said = {"reason": "WorkersLost", "message": "worker 1 raised RayError: lost.", "time": stamp(world.now)}
    progress(world)["recovery"] = said
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert (
        "since 2026-01-31T12:01:05Z: worker 1 raised RayError: lost. Its last step was 300" in world.message
    )
    del progress(world)["recovery"]
    progress(world).update(time=stamp(world.now), step=250, firstStep=251)
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    progress(world).update(step=260)
    world.settle()
    assert world.condition() == ("Unknown", "Training")


def test_pods_that_go_when_a_driver_has_ended_are_not_lost() -> None:
    world = training()
    world.driver_says()
    world.pods.clear()
    world.settle()
    assert world.condition()[1] != "Recovering"
    assert not [note for note in world.notes if note.reason == "Recovering"]


def test_pods_of_an_attempt_that_stops_are_not_lost() -> None:
    world = training()
    world.edit(suspend=True)
    deleted(world)
    world.settle()
    assert world.condition() == ("Unknown", "Stopping")


def test_a_driver_that_is_silent_for_long_is_told_so_until_it_speaks() -> None:
    world = training()
    world.wait(294)
    made = world.settle()
    assert (world.message, made.again) == ("Attempt 1 trains, from step 1.", 1)
    world.wait(1)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert world.message.endswith("; its driver has told nothing since 2026-01-31T12:01:00Z.")
    world.wait(30)
    world.running(step=301)
    world.settle()
    assert world.message == "Attempt 1 trains, from step 1."
