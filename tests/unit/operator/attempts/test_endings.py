"""How attempts end, and whether another follows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator.attempts.world import World, job


def failed(world: World, attempt: int, **outcome: Any) -> None:
    world.running(attempt, step=50 * attempt, first=50 * (attempt - 1) + 1 if attempt > 1 else 1)
    world.settle()
    world.driver_says(attempt, **({"state": "Failed", "exitCode": 1, "reason": "RunError"} | outcome))
    world.over(attempt, "FAILED")
    world.settle()


def test_failed_attempts_follow_each_other_with_pauses_until_the_limit() -> None:
    world = World(job(attempts={"limit": 3}))
    world.settle()
    failed(world, 1, message="the workers were lost.")
    assert world.condition() == ("Unknown", "Starting"), "the second begins at once"
    failed(world, 2, message="the workers were lost.")
    assert world.condition() == ("Unknown", "Restarting")
    assert world.look().again == 10
    world.wait(10)
    world.settle()
    failed(world, 3, message="the workers were lost.", remedy="Look at their nodes.")
    assert world.condition() == ("False", "RunError")
    assert (
        "the workers were lost. Look at their nodes. 3 attempts failed, and attempts.limit is 3."
        in world.message
    )
    assert [one["cause"] for one in world.status["attempts"]] == ["RunError"] * 3
    assert world.status["attempts"][0]["lostSteps"] == 0
    world.wait(10_000)
    world.settle()
    assert len(world.ray_jobs) == 3


def test_lost_steps_are_those_that_are_trained_again() -> None:
    world = World()
    world.settle()
    world.running(step=70)
    world.settle()
    world.over(status="FAILED")
    world.settle()
    world.running(2, step=51, first=51)
    world.settle()
    first, second = world.status["attempts"]
    assert (first["cause"], first["lastStep"], first["lostSteps"]) == ("DriverLost", 70, 20)
    assert second["firstStep"] == 51


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ({"exitCode": 2, "reason": "DataError", "message": "there are no files"}, "DataError"),
        ({"exitCode": 2, "reason": "OutputError", "message": "access is denied"}, "OutputError"),
        ({"exitCode": 1, "reason": "NonFiniteLoss", "message": "the loss is NaN"}, "NonFiniteLoss"),
        ({"exitCode": 1, "reason": "ModelError", "message": "forward failed"}, "ModelError"),
        ({"exitCode": 4, "reason": "GateFailed", "message": "trained, but loss is 2"}, "GateFailed"),
    ],
)
def test_what_would_fail_again_is_not_tried_again(outcome: dict[str, Any], reason: str) -> None:
    world = World()
    world.settle()
    failed(world, 1, remedy="Fix it.", **outcome)
    assert world.condition() == ("False", reason)
    assert "Fix it." in world.message
    assert len(world.ray_jobs) == 1


def test_communication_that_timed_out_is_named() -> None:
    world = World(job(attempts={"limit": 1}))
    world.settle()
    failed(world, 1, message="Gloo connectFullMesh failed: timed out connecting to 10.0.0.3")
    assert world.condition() == ("False", "CommunicationTimeout")
    assert "NetworkPolicy" in world.message


def test_a_driver_without_last_words_is_lost_and_the_job_goes_on() -> None:
    world = World()
    world.settle()
    world.running()
    world.settle()
    world.over(status="FAILED", reason="AppFailed", message="Job entrypoint command was killed")
    made = world.look()
    assert made.create is not None
    assert world.status["attempts"][0]["cause"] == "DriverLost"


def test_an_outcome_of_an_earlier_attempt_counts_for_nothing() -> None:
    world = World()
    world.settle()
    failed(world, 1, message="lost")
    world.running(2)
    world.settle()
    world.over(2, "FAILED")
    world.settle()
    assert [one["cause"] for one in world.status["attempts"]] == ["RunError", "DriverLost"]


def test_memory_is_named_with_its_limit_even_if_the_pods_are_gone() -> None:
    world = World(job(attempts={"limit": 1}))
    world.settle()
    world.running(step=10)
    killed = {"name": "ray", "lastState": {"terminated": {"reason": "OOMKilled"}}, "state": {}}
    world.pod("tiny-r1-worker", 1, "worker", containerStatuses=[killed])
    world.settle()
    assert world.condition() == ("Unknown", "OutOfMemory")
    world.over(status="FAILED")
    world.settle()
    assert world.condition() == ("False", "OutOfMemory")
    assert "its limit of 4Gi. Raise scale.memoryPerWorker" in world.message


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("EvictionByEvictionAPI", "Drained"),
        ("PreemptionByScheduler", "Preempted"),
        ("DeletionByTaintManager", "NodeLost"),
    ],
)
def test_what_befalls_a_job_without_its_fault_does_not_count(reason: str, cause: str) -> None:
    world = World(job(attempts={"limit": 1}))
    world.settle()
    for attempt in (1, 2, 3):
        world.wait(100)
        world.running(attempt, step=10 * attempt)
        gone = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "it goes"}
        world.pod(f"tiny-r{attempt}-head", attempt, "head", conditions=[gone])
        world.settle()
        world.wait(100)
        world.over(attempt, "FAILED")
        world.settle()
    assert [one.get("cause") for one in world.status["attempts"]] == [cause] * 3 + [None]
    assert world.status["failedAttempts"] == 0
    assert len(world.ray_jobs) == 4
