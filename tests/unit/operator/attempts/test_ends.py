"""Ends that are easily taken for others, and what pods do after their RayJob is gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator.attempts.test_endings import failed
from tests.unit.operator.attempts.world import World, job, runtime

FAILED = {"state": "Failed", "exitCode": 1, "reason": "RunError", "message": "the workers were lost"}


def training(**changes: Any) -> World:
    world = World(job(**changes))
    world.settle()
    world.running(step=10)
    world.settle()
    return world


def test_an_attempt_has_ended_when_its_pods_have() -> None:
    world = training()
    world.edit(suspend=True)
    world.settle()
    world.gone(with_pods=False)
    made = world.settle()
    assert world.condition() == ("Unknown", "Stopping")
    assert "driver" in world.status, "it may still write its last words"
    assert made.again == 90
    world.driver_says(state="Stopped", reason="SIGTERM", message="stopped at step 12", exitCode=3)
    world.status["progress"]["step"] = 12
    world.pods.clear()
    world.settle()
    (attempt,) = world.status["attempts"]
    assert (attempt["cause"], attempt["lastStep"]) == ("Suspended", 12)
    assert "stopping" not in attempt
    assert world.condition("Suspended") == ("True", "Suspended")


def test_pods_that_never_end_hold_up_nothing_for_good() -> None:
    world = training()
    world.edit(suspend=True)
    world.settle()
    world.gone(with_pods=False)
    world.settle()
    world.wait(90)
    world.settle()
    assert world.status["attempts"][0]["cause"] == "Suspended"


def test_an_error_counts_although_the_ray_job_is_gone() -> None:
    world = training()
    world.driver_says(state="Failed", exitCode=2, reason="DataError", message="there are no files")
    world.gone()
    world.settle()
    assert world.condition() == ("False", "DataError")


def test_a_success_counts_although_the_ray_job_is_gone() -> None:
    world = training()
    world.driver_says()
    world.gone()
    world.settle()
    assert world.condition() == ("True", "Completed")


def test_a_success_that_comes_with_the_deadline_is_one() -> None:
    world = training(activeDeadlineSeconds=3600)
    world.wait(3600)
    world.look()
    world.driver_says()
    world.over()
    world.settle()
    assert world.condition() == ("True", "Completed")


def test_a_driver_that_says_that_it_is_done_is_done() -> None:
    world = training(attempts={"limit": 1})
    world.driver_says()
    world.over(status="FAILED", reason="JobStatusCheckTimeoutExceeded", message="no answer")
    world.settle()
    assert world.condition() == ("True", "Completed")


def out_of_memory(world: World, state: dict[str, Any]) -> None:
    killed = {"terminated": {"reason": "OOMKilled"}}
    world.pod(
        "tiny-r1-worker",
        1,
        "worker",
        containerStatuses=[{"name": "ray", "lastState": killed, "state": state}],
    )
    world.settle()


def test_what_was_repaired_neither_hides_training_nor_decides_the_end() -> None:
    world = training(attempts={"limit": 1})
    out_of_memory(world, {"waiting": {"reason": "CrashLoopBackOff"}})
    assert world.condition() == ("Unknown", "OutOfMemory")
    world.wait(70)
    out_of_memory(world, {"running": {}})
    world.running(step=20)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert "trouble" not in world.status["attempts"][0]
    world.driver_says(**FAILED)
    world.over(status="FAILED")
    world.settle()
    assert world.condition() == ("False", "RunError")


def test_an_error_that_lost_pods_do_not_explain_is_the_reason() -> None:
    world = training(attempts={"limit": 1})
    out_of_memory(world, {})
    world.driver_says(**FAILED | {"reason": "CheckpointError", "message": "it is torn"})
    world.over(status="FAILED")
    world.settle()
    assert world.condition() == ("False", "CheckpointError")


def test_a_head_that_went_with_its_node_is_nobody_s_fault() -> None:
    world = World(job(attempts={"limit": 1}), runtime(headLostSeconds=120))
    world.settle()
    world.running(step=10)
    gone = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "it goes",
    }
    world.pod("tiny-r1-head", 1, "head", conditions=[gone])
    world.settle()
    del world.pods["tiny-r1-head"]
    world.settle()
    world.wait(121)
    world.settle()
    world.gone()
    world.settle()
    assert world.status["attempts"][0]["cause"] == "NodeLost"
    assert world.status["failedAttempts"] == 0


def test_attempts_without_gain_follow_each_other_ever_more_slowly() -> None:
    world = World()
    world.settle()
    waits = []
    for attempt in range(1, 6):
        world.running(attempt)
        evicted = {"phase": "Failed", "reason": "Evicted", "message": "ephemeral local storage"}
        world.pod(f"tiny-r{attempt}-worker", attempt, "worker", **evicted)
        world.settle()
        world.wait(30)
        world.over(attempt, "FAILED")
        made = world.settle()
        waits.append(made.again if f"tiny-r{attempt + 1}" not in world.ray_jobs else 0)
        world.wait(waits[-1] or 0)
        world.settle()
    assert world.status["failedAttempts"] == 0
    assert waits == [0, 10, 20, 40, 80]


def test_nothing_runs_between_two_attempts() -> None:
    world = World()
    world.settle()
    failed(world, 1, message="lost")
    failed(world, 2, message="lost")
    assert world.condition() == ("Unknown", "Restarting")
    assert world.condition("Running") == ("False", "NotTraining")


@pytest.mark.parametrize(
    "message",
    [
        "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE) ran for 1800000 ms",
        "ProcessGroupNCCL: remote process exited or there was a network error",
        "ncclRemoteError: A call failed possibly due to a network error",
        "[gloo] Timed out waiting 1800000ms for recv operation to complete",
    ],
)
def test_workers_that_do_not_hear_each_other_are_named(message: str) -> None:
    world = World(job(attempts={"limit": 1}))
    world.settle()
    failed(world, 1, message=message)
    assert world.condition() == ("False", "CommunicationTimeout")


def test_steps_are_lost_by_the_newest_attempt_that_had_any() -> None:
    world = World()
    world.settle()
    failed(world, 1, message="lost")
    world.running(2)
    world.settle()
    world.driver_says(2, **FAILED)
    world.over(2, "FAILED")
    world.settle()
    world.wait(10)
    world.settle()
    world.running(3, step=41, first=41)
    world.settle()
    assert [one.get("lostSteps") for one in world.status["attempts"]] == [10, None, None]


def test_a_change_that_may_not_run_leaves_the_attempt_alone() -> None:
    world = World(grants=runtime(ceilings={"workers": 1}))
    world.settle()
    world.running(step=10)
    world.settle()
    world.edit(scale={"workers": 2})
    world.settle()
    assert world.condition("Validated") == ("False", "NotAllowed")
    assert world.condition() == ("Unknown", "Training")
    assert "spec.scale.workers" in world.notes[-1].message
    written = len(world.writes)
    world.settle()
    assert len(world.writes) == written
    world.edit(scale={"workers": 1})
    world.settle()
    assert world.condition("Validated") == ("True", "Valid")


def test_ray_jobs_that_are_long_over_are_deleted() -> None:
    world = World(job(attempts={"limit": 9}))
    world.settle()
    for attempt in range(1, 6):
        failed(world, attempt, message="lost")
        world.wait(300)
        world.settle()
    deleted = [write for write in world.writes if write.startswith("delete")]
    assert deleted == ["delete tiny-r1", "delete tiny-r2", "delete tiny-r3"]
    for attempt in (1, 2, 3):
        world.gone(attempt)
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r4", "tiny-r5", "tiny-r6"]
    assert len(world.status["attempts"]) == 6


@pytest.mark.parametrize(
    "said",
    [
        # As Ray's memory monitor says it, and as drivers do of it and of the kernel.
        "1 worker(s) were killed due to the node running low on memory. To adjust the kill threshold, set ...",
        "the workers were lost: memory ran low (0.96GB of 1.00GB used), and Ray ended processes of workers",
        "the workers were lost: the processes of these workers ended: 0; memory ran low in tiny-worker, and the kernel ...",
    ],
)
def test_workers_that_are_ended_for_memory_are_out_of_memory(said: str) -> None:
    world = World(job(attempts={"limit": 1}, scale={"memoryPerWorker": "3Gi"}))
    world.settle()
    failed(world, 1, message=said)
    assert world.condition() == ("False", "OutOfMemory")
    assert "near its limit of 3Gi. Raise scale.memoryPerWorker" in world.message


def test_a_limit_does_not_begin_anew_with_each_suspension() -> None:
    world = training(activeDeadlineSeconds=3600)
    for _ in range(3):
        world.wait(1000)
        world.edit(suspend=True)
        world.settle()
        attempt = world.status["attempts"][-1]["number"]
        world.driver_says(attempt, state="Stopped", reason="SIGTERM", message="stopped", exitCode=3)
        world.gone(attempt)
        world.settle()
        assert "startTime" not in world.status
        world.wait(100_000)
        world.edit(suspend=False)
        world.settle()
        world.running(attempt + 1, step=10 * (attempt + 1))
        world.settle()
        assert world.condition() == ("Unknown", "Training")
    assert world.status["activeSeconds"] == pytest.approx(3000, abs=10)
    world.wait(700)
    world.look()
    world.settle()
    assert world.status["attempts"][-1]["cause"] == "DeadlineExceeded"


def test_a_head_that_is_replaced_within_an_attempt_leaves_a_trace() -> None:
    world = training()
    world.pods.clear()
    world.settle()
    world.wait(5)
    world.pod("tiny-r1-other", 1, "head")
    notes = world.look().notes
    (note,) = [one for one in notes if one.reason == "HeadReplaced"]
    assert "The head pod tiny-r1-head is gone; tiny-r1-other takes its place" in note.message
    assert note.warning
    world.settle()
    assert world.status["attempts"][0]["lostHeads"] == 1
    assert world.condition() == ("Unknown", "Starting")
    assert "again, after its head pod was lost" in world.message


def test_what_keeps_pods_from_starting_is_an_event_once() -> None:
    world = World(job())
    world.settle()
    world.running(step=None)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "unauthorized"}}
    world.pod(
        "tiny-r1-worker", 1, "worker", containerStatuses=[{"name": "ray", "image": "x", "state": waiting}]
    )
    made = world.look()
    assert [one.reason for one in made.notes if one.warning] == ["ImagePull"]
    assert "suspend the job, and resume it" in made.notes[-1].message
    world.settle()
    assert not world.look().notes
