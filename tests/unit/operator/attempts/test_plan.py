"""What is done about a job as its world changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raygen.operator.rayjob.trouble import Trouble
from tests.unit.operator.attempts.world import CrashError, World, job, runtime


def trained(world: World) -> Iterator[Callable[[], None]]:
    """The steps of a job's life that are not the operator's."""
    yield lambda: world.running()
    yield lambda: world.running(step=10)
    yield lambda: world.running(step=100)
    yield lambda: world.driver_says()
    yield lambda: world.over()


def live(world: World) -> World:
    world.settle()
    for step in trained(world):
        step()
        world.settle()
    return world


def test_a_job_from_apply_to_its_end() -> None:
    world = World()
    world.settle()
    assert world.writes == ["create tiny-r1", "status"]
    assert world.condition() == ("Unknown", "Starting")
    assert world.condition("Validated") == ("True", "Valid")
    assert world.status["run"] == "s3://runs/team/tiny"
    world.running()
    world.settle()
    assert world.status["driver"] == {
        "podName": "tiny-r1-head",
        "podUid": "uid-tiny-r1-head",
        "nodeName": "node-1",
    }
    assert world.status["dashboardUrl"] == "http://tiny-r1-head-svc.team.svc.cluster.local:8265"
    world.running(step=10)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert world.condition("Running") == ("True", "Training")
    written = len(world.writes)
    world.running(step=90)
    world.settle()
    assert len(world.writes) == written, "progress alone is no reason to write"
    world.driver_says(message="Succeeded at step 100 of 100: loss 1.5700.")
    world.over()
    world.settle()
    assert world.condition() == ("True", "Completed")
    assert "loss 1.5700" in world.message
    (attempt,) = world.status["attempts"]
    assert (attempt["cause"], attempt["lastStep"]) == ("Completed", 90)
    assert "driver" not in world.status
    assert [note.reason for note in world.notes] == ["AttemptStarted", "Completed"]
    assert len(world.writes) + len(world.notes) <= 8, "writes of one job's life"
    world.wait(1000)
    assert world.settle().again is None


@pytest.mark.parametrize("after", range(1, 7))
def test_a_crash_after_any_write_leads_to_the_same_end(after: int) -> None:
    clean = live(World())
    world = World()
    world.crash_after = after
    for step in (lambda: None, *trained(world)):
        step()
        for _ in range(3):
            try:
                world.settle()
            except CrashError:
                continue
            break
    assert world.status == clean.status
    creates = [write for write in world.writes if write.startswith("create")]
    assert creates == ["create tiny-r1"]


def test_a_job_that_is_suspended_rests_and_goes_on_where_it_was() -> None:
    world = World()
    world.settle()
    world.running(step=30)
    world.settle()
    world.wait(60)
    world.edit(suspend=True)
    world.settle()
    assert world.condition() == ("Unknown", "Stopping")
    assert world.writes[-1] == "delete tiny-r1"
    world.driver_says(state="Stopped", reason="SIGTERM", exitCode=3, message="Stopped at step 31 of 100.")
    world.gone()
    world.settle()
    assert world.condition("Suspended") == ("True", "Suspended")
    assert world.condition() == ("Unknown", "Suspended")
    assert "startTime" not in world.status
    world.wait(3600)
    world.settle()
    world.edit(suspend=False)
    world.settle()
    assert world.condition("Suspended") == ("False", "Resumed")
    assert list(world.ray_jobs) == ["tiny-r2"]
    assert world.status["failedAttempts"] == 0


def test_a_job_that_is_made_suspended_waits() -> None:
    world = World(job(suspend=True))
    world.settle()
    assert world.ray_jobs == {}
    assert world.condition("Suspended") == ("True", "Suspended")


def test_a_change_of_the_job_ends_the_attempt_and_the_next_has_it() -> None:
    world = World()
    world.settle()
    world.running(step=10)
    world.settle()
    world.wait(60)
    assert world.job is not None
    world.edit(attempts={"limit": 7}, ttlSecondsAfterFinished=5)
    world.settle()
    assert world.condition() == ("Unknown", "Training"), "this concerns the operator alone"
    world.edit(training=world.job["spec"]["training"] | {"duration": {"steps": 200}})
    world.settle()
    assert world.condition() == ("Unknown", "Stopping")
    world.gone()
    world.settle()
    assert world.status["attempts"][0]["cause"] == "SpecChanged"
    head = world.ray_jobs["tiny-r2"]["spec"]["rayClusterSpec"]["headGroupSpec"]
    (text,) = (
        one["value"]
        for one in head["template"]["spec"]["containers"][0]["env"]
        if one["name"] == "RAYGEN_JOB"
    )
    assert '"steps":200' in text


def test_a_ray_job_that_somebody_deleted_is_followed_by_another() -> None:
    world = World()
    world.settle()
    world.running(step=10)
    world.settle()
    world.wait(60)
    world.gone()
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r2"]
    assert world.status["attempts"][0]["cause"] == "RayJobDeleted"
    world.gone(2)
    world.settle()
    assert world.condition() == ("Unknown", "Restarting"), "not over and over without a pause"


def test_a_head_that_stays_away_ends_the_attempt() -> None:
    world = World(grants=runtime(headLostSeconds=120))
    world.settle()
    world.running(step=10)
    world.settle()
    del world.pods["tiny-r1-head"]
    world.settle()
    assert world.condition() == ("Unknown", "Recovering")
    assert "head pod tiny-r1-head on node node-1 is gone since 2026-01-31T12:00:00Z" in world.message
    world.wait(119)
    assert world.settle().again == 1
    assert world.condition() == ("Unknown", "Recovering")
    world.wait(1)
    world.settle()
    assert world.writes[-1] == "delete tiny-r1"
    world.gone()
    world.settle()
    assert world.status["attempts"][0]["cause"] == "HeadLost"
    assert "node-1 was not ready for 120 s" in world.status["attempts"][0]["message"]


def test_a_head_that_comes_back_in_time_goes_on() -> None:
    world = World(grants=runtime(headLostSeconds=120))
    world.settle()
    world.running(step=10)
    world.settle()
    del world.pods["tiny-r1-head"]
    world.settle()
    world.wait(60)
    world.pod("tiny-r1-head-2", 1, "head")
    world.settle()
    assert world.condition() == ("Unknown", "Starting"), "its driver has yet to begin"
    world.wait(10)
    world.running(step=12, first=11)
    del world.pods["tiny-r1-head"]
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    assert world.status["driver"]["podUid"] == "uid-tiny-r1-head-2"
    assert "notReadySince" not in world.status["driver"]


@pytest.mark.parametrize("hours", [None, 1])
def test_a_job_ends_at_its_deadline(hours: int | None) -> None:
    grants = runtime() if hours is None else runtime(ceilings={"hours": hours})
    world = World(job(activeDeadlineSeconds=3600) if hours is None else job(), grants)
    world.settle()
    world.running(step=10)
    world.settle()
    world.wait(3590)
    assert world.settle().again == 10
    world.wait(10)
    world.settle()
    world.gone()
    world.settle()
    assert world.condition() == ("False", "DeadlineExceeded")
    assert world.ray_jobs == {}


def test_time_to_live_ends_the_object() -> None:
    world = live(World(job(ttlSecondsAfterFinished=60)))
    assert world.look().again == 60
    world.wait(60)
    world.look()
    assert world.job is None


@pytest.mark.parametrize("ended", [False, True])
def test_conditions_hold_for_the_newest_generation(ended: bool) -> None:
    world = World()
    world.settle()
    if ended:
        world.running(step=10)
        world.driver_says()
        world.over()
        world.settle()
    before = world.condition()
    world.edit(ttlSecondsAfterFinished=100_000)
    world.settle()
    assert world.job is not None
    generation = world.job["metadata"]["generation"]
    assert generation == 2
    assert {one["observedGeneration"] for one in world.status["conditions"]} == {generation}
    assert world.condition() == before
    written = len(world.writes)
    world.settle()
    assert len(world.writes) == written


def test_a_job_that_is_deleted_is_left_alone() -> None:
    world = World()
    world.settle()
    assert world.job is not None
    world.job["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    written = len(world.writes)
    world.settle()
    assert len(world.writes) == written


def extracting(uri: str) -> dict[str, Any]:
    """A job's evaluation with an extractor of images."""
    return {"evaluation": {"generation": {"extractor": {"type": "ONNX", "uri": uri, "sha256": "0" * 64}}}}


def test_an_extractor_where_the_runtime_allows_it_is_taken() -> None:
    world = World(job(**extracting("s3://datasets/a.onnx")))
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r1"]


@pytest.mark.parametrize(
    ("changes", "grants", "words"),
    [
        ({"scale": {"workers": 4}}, {"ceilings": {"workers": 2}}, "spec.scale.workers"),
        ({"scale": {"workers": 2, "gpusPerWorker": 8}}, {"ceilings": {"gpus": 8}}, "at most 8 GPUs in all"),
        ({"activeDeadlineSeconds": 7200}, {"ceilings": {"hours": 1}}, "spec.activeDeadlineSeconds"),
        ({"output": {"uri": "s3://runs/teams/"}}, {}, "spec.output.uri"),
        ({"output": {"uri": "s3://runs/other/"}}, {}, "allowedUriPrefixes"),
        ({"output": {"uri": "runs"}}, {}, "spec.output.uri"),
        (extracting("s3://elsewhere/a.onnx"), {}, "spec.evaluation.generation.extractor.uri"),
        (extracting("a.onnx"), {}, "spec.evaluation.generation.extractor.uri"),
        ({}, {"allowedNamespaces": ["other"]}, "allows the namespace team"),
        ({}, {"allowedNamespaces": []}, "allows the namespace team"),
    ],
)
def test_what_the_runtime_does_not_allow_is_said_and_nothing_made(
    changes: dict[str, Any], grants: dict[str, Any], words: str
) -> None:
    world = World(job(**changes), runtime(**grants))
    world.settle()
    assert world.ray_jobs == {}
    assert world.condition("Validated") == ("False", "NotAllowed")
    assert words in world.message
    assert [note.reason for note in world.notes] == ["NotAllowed"]
    world.settle()
    assert len(world.notes) == 1


def test_a_job_without_its_runtime_waits_for_it() -> None:
    world = World()
    world.runtime = None
    world.settle()
    assert world.condition() == ("Unknown", "RuntimeNotFound")
    world.runtime = runtime()
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r1"]


def test_a_job_with_faults_that_the_cluster_let_in_is_refused() -> None:
    broken = job()
    broken["spec"]["model"]["transformer"]["hiddenSize"] = 15
    world = World(broken)
    world.settle()
    assert world.condition("Validated") == ("False", "Invalid")
    assert "spec.model.transformer.hiddenSize" in world.message


def test_an_obstacle_is_said_and_looked_at_again() -> None:
    world = World()
    made = world.look(Trouble("NameTaken", "A RayJob tiny-r1 is there that is not this job's."))
    assert (made.create, made.again) == (None, 15)
    assert world.condition() == ("Unknown", "NameTaken")


def test_a_job_in_a_queue_says_so() -> None:
    world = World(job(scheduling={"queueName": "research"}))
    world.settle()
    made = world.ray_jobs["tiny-r1"]
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    made["spec"]["suspend"] = True
    world.settle()
    assert world.condition() == ("Unknown", "Queued")
    assert "research" in world.message


def test_pods_that_cannot_start_say_why() -> None:
    world = World()
    world.settle()
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waiting |= {
        "message": "0/2 nodes are available: insufficient nvidia.com/gpu",
        "lastTransitionTime": "2026-01-31T12:00:00Z",
    }
    world.pod("tiny-r1-worker", 1, "worker", phase="Pending", conditions=[waiting])
    world.settle()
    assert world.condition() == ("Unknown", "Starting"), "for a moment every pod is without a node"
    world.wait(10)
    world.settle()
    assert world.condition() == ("Unknown", "Unschedulable")
    assert "insufficient nvidia.com/gpu. Lower scale.workers" in world.message
    image = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    world.pod(
        "tiny-r1-head",
        1,
        "head",
        phase="Pending",
        containerStatuses=[{"name": "ray", "image": "x", "state": image}],
    )
    world.settle()
    assert world.condition() == ("Unknown", "ImagePull")
    refused = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": 'pods "x" is forbidden: exceeded quota: q',
    }
    world.pods.clear()
    world.ray_jobs["tiny-r1"]["status"]["rayClusterStatus"] = {"conditions": [refused]}
    world.settle()
    assert world.condition() == ("Unknown", "QuotaExceeded")
