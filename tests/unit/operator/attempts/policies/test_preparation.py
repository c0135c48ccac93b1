"""Jobs that prepare their data: an attempt for that, then those that train, each with its own pods."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from raygen.controller.conditions import stamp
from raygen.operator.attempts.stored_job import StoredJob, says_more, training_job
from raygen.spec.status import TrainingJobStatus
from tests.unit.operator.attempts.test_shared import Shared
from tests.unit.operator.attempts.world import CrashError, World, job, runtime

PLACE = "s3://runs/team/prepared/"
WHOLE = {"uri": PLACE, "fingerprint": "f" * 64}
PREPARED = {"reason": "Prepared", "message": "Prepared 12 documents.", "prepared": WHOLE}


def preparing(**changes: Any) -> World:
    grants = changes.pop("grants", None)
    wanted = {"uri": PLACE, "workers": 3, "memoryPerWorker": "2Gi"}
    world = World(job(preparation=wanted, scale={"workers": 2}, **changes), grants)
    world.settle()
    return world


def groups(world: World, attempt: int) -> list[tuple[str, int]]:
    cluster = world.ray_jobs[world.name(attempt)]["spec"]["rayClusterSpec"]
    return [(one["groupName"], one["replicas"]) for one in cluster["workerGroupSpecs"]]


def tells(world: World, done: int, attempt: int = 1) -> None:
    """The driver says how far it is."""
    told = {"time": stamp(world.now), "rayJob": world.name(attempt), "doing": "cleaning", "done": done}
    told |= {"parts": 9, "said": f"cleaning, {done} of 9"}
    world.status["preparation"] = told


def test_data_is_prepared_first_and_then_trained_from() -> None:
    world = preparing()
    assert groups(world, 1) == [("preparation", 3)]
    assert world.ray_jobs["tiny-r1"]["spec"]["entrypoint"] == "raygen prepare env:RAYGEN_JOB"
    assert world.condition() == ("Unknown", "Starting")
    assert world.message == "Attempt 1 starts its pods and its driver, to prepare the data."
    world.running()
    tells(world, 3)
    world.settle()
    assert world.condition() == ("Unknown", "PreparingData")
    assert world.condition("Running") == ("False", "NotTraining")
    assert world.message == "Attempt 1 prepares the data; status.preparation says how far."
    world.driver_says(**PREPARED)
    world.over()
    world.settle()
    first, second = world.status["attempts"]
    assert (first["cause"], first["stage"]) == ("Prepared", "Preparation")
    assert first["message"] == "Prepared 12 documents. The next attempt trains."
    assert "stage" not in second
    assert world.status["prepared"] == WHOLE
    assert (world.status["failedAttempts"], world.condition()) == (0, ("Unknown", "Starting"))
    assert [note.warning for note in world.notes if note.reason == "Prepared"] == [False]
    # At once, and with nothing but what trains.
    assert groups(world, 2) == [("trainers", 2)]
    assert world.ray_jobs["tiny-r2"]["spec"]["entrypoint"] == "raygen train env:RAYGEN_JOB"
    world.running(2, step=100)
    world.driver_says(2)
    world.over(2)
    world.settle()
    assert world.condition() == ("True", "Completed")
    TrainingJobStatus.model_validate_json(json.dumps(world.status))


def test_progress_of_preparation_is_no_reason_to_plan_again_once_it_has_begun() -> None:
    world = preparing()
    world.running()

    def kept() -> StoredJob:
        return training_job(copy.deepcopy(world.job or {}))

    before = kept()
    tells(world, 1)
    begun = kept()
    tells(world, 2)
    assert says_more(before, begun)
    assert not says_more(begun, kept())


def test_attempts_after_that_only_train() -> None:
    world = preparing()
    world.driver_says(**PREPARED)
    world.over()
    world.settle()
    for attempt in (2, 3):
        world.driver_says(attempt, state="Failed", reason="RunError", message="lost.", exitCode=1)
        world.over(attempt, "FAILED")
        world.settle()
        world.wait(60)
        world.settle()
    assert groups(world, 4) == [("trainers", 2)]
    assert world.status["failedAttempts"] == 2


def test_another_folder_is_prepared_anew() -> None:
    world = preparing()
    world.driver_says(**PREPARED)
    world.over()
    world.settle()
    world.edit(preparation={"uri": "s3://runs/team/other/"})
    world.settle()
    world.gone(2)
    world.settle()
    world.wait(30)
    world.settle()
    assert groups(world, 3) == [("preparation", 1)]


def test_what_was_prepared_is_what_the_driver_says_whatever_the_job_asks_for_by_then() -> None:
    world = preparing()
    world.edit(preparation={"uri": "s3://runs/team/other/"})
    world.driver_says(**PREPARED)
    world.over()
    world.settle()
    assert world.status["prepared"] == WHOLE
    assert groups(world, 2) == [("preparation", 1)]


def test_a_driver_that_could_not_say_that_it_is_done_is_believed() -> None:
    world = preparing()
    world.over()
    world.settle()
    assert world.status["prepared"] == {"uri": PLACE}
    assert groups(world, 2) == [("trainers", 2)]


def test_a_job_that_is_suspended_goes_on_preparing() -> None:
    world = preparing()
    world.running()
    tells(world, 4)
    world.edit(suspend=True)
    world.settle()
    world.gone()
    world.settle()
    assert world.status["attempts"][-1]["cause"] == "Suspended"
    world.edit(suspend=False)
    world.settle()
    assert groups(world, 2) == [("preparation", 3)]


def test_a_head_that_is_lost_costs_the_parts_that_were_being_done() -> None:
    world = preparing(grants=runtime(headLostSeconds=60))
    world.running()
    tells(world, 4)
    world.settle()
    world.pods.pop("tiny-r1-head")
    world.settle()
    world.wait(61)
    world.settle()
    world.gone()
    world.settle()
    first, second = world.status["attempts"]
    assert (first["cause"], second["stage"]) == ("HeadLost", "Preparation")


def test_a_head_that_was_stopped_does_not_speak_of_a_checkpoint() -> None:
    world = preparing()
    world.running()
    world.driver_says(state="Stopped", reason="PodLeaving", message="The pod leaves.", exitCode=3)
    world.over(status="STOPPED")
    world.settle()
    first = world.status["attempts"][0]
    assert first["message"] == "The pod leaves. What it has prepared stays, and the next attempt goes on."


@pytest.mark.parametrize("crash", range(1, 9))
def test_an_operator_that_ends_after_any_write_goes_on(crash: int) -> None:
    wanted = {"uri": PLACE}
    world = World(job(preparation=wanted))
    world.crash_after = crash
    steps: list[Callable[[], object]] = [
        lambda: world.running(1),
        lambda: tells(world, 1),
        lambda: (world.driver_says(**PREPARED), world.over()),
        lambda: world.running(2, step=100),
        lambda: (world.driver_says(2), world.over(2)),
    ]
    for step in [lambda: None, *steps]:
        step()
        for _ in range(2):
            try:
                world.settle()
                break
            except CrashError:
                world.crash_after = None
    assert [one.get("stage", "") for one in world.status["attempts"]] == ["Preparation", ""]
    assert sorted(world.ray_jobs) == ["tiny-r1", "tiny-r2"]
    assert world.condition() == ("True", "Completed")


def test_data_that_is_wrong_ends_the_job() -> None:
    world = preparing()
    world.driver_says(state="Failed", reason="DataError", message="no text.", exitCode=2)
    world.over(status="FAILED")
    world.settle()
    assert world.condition() == ("False", "DataError")
    assert list(world.ray_jobs) == ["tiny-r1"]


def test_pods_that_prepare_are_told_of_by_their_own_fields() -> None:
    world = preparing()
    world.running()
    killed = {"name": "ray", "state": {"terminated": {"reason": "OOMKilled"}}}
    pod = world.pod("tiny-r1-worker", 1, "worker", containerStatuses=[killed])
    pod["metadata"]["labels"]["ray.io/group"] = "preparation"
    world.settle()
    assert world.condition() == ("Unknown", "OutOfMemory")
    assert world.message.endswith("Raise preparation.memoryPerWorker.")
    waits = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/3 nodes.",
        "lastTransitionTime": stamp(world.now),
    }
    pod["status"] = {"phase": "Pending", "conditions": [waits]}
    world.wait(10)
    world.settle()
    assert "Lower preparation.workers, cpusPerWorker or memoryPerWorker" in world.message


def test_memory_that_ran_low_is_of_what_prepares() -> None:
    world = preparing()
    world.driver_says(state="Failed", reason="RunError", message="memory pressure (OOM)", exitCode=1)
    world.over(status="FAILED")
    world.settle()
    first = world.status["attempts"][0]
    assert first["cause"] == "OutOfMemory"
    assert "its limit of 2Gi. Raise preparation.memoryPerWorker." in first["message"]


def test_on_a_shared_cluster_the_attempt_that_trains_prepares() -> None:
    world = Shared(job(preparation={"uri": PLACE}))
    world.settle()
    assert world.ray_jobs["tiny-r1"]["spec"]["entrypoint"] == "raygen train env:RAYGEN_JOB"
    assert "stage" not in world.status["attempts"][0]
    world.sent()
    tells(world, 3)
    world.settle()
    assert world.condition() == ("Unknown", "PreparingData")
    world.sent(step=10)
    world.settle()
    assert world.condition() == ("Unknown", "Training")


def test_where_it_is_prepared_must_be_allowed_and_by_how_many() -> None:
    world = World(
        job(preparation={"uri": "s3://elsewhere/x/", "workers": 65}),
        runtime(),
    )
    world.settle()
    assert world.condition() == ("Unknown", "NotAllowed")
    assert "spec.preparation.uri: " in world.message
    assert "spec.preparation.workers: " in world.message
