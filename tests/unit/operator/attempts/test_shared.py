"""Jobs that are sent to a RayCluster which is there already, and share its head pod."""

from __future__ import annotations

from typing import Any

from raygen.controller.conditions import stamp
from tests.unit.operator.attempts.world import World, job, runtime


class Shared(World):
    """A world with a cluster that takes jobs."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        super().__init__(document, runtime(sharedCluster="shared"))
        self.head("shared-head")

    def head(self, name: str) -> None:
        """The cluster's head is this pod."""
        pod = self.pod(name, 1, "head")
        del self.pods[name]
        pod["metadata"]["labels"] = {"raygen.io/job": "", "ray.io/node-type": "head"}
        pod["metadata"]["ownerReferences"] = [{"kind": "RayCluster", "name": "shared", "uid": "uid-shared"}]
        self.shared_heads = {name: pod}

    def sent(self, attempt: int = 1, step: int | None = None) -> None:
        """KubeRay has handed the job over."""
        self.running(attempt, step)
        self.pods.clear()
        self.ray_jobs[self.name(attempt)]["status"]["rayClusterName"] = "shared"


def test_the_driver_is_found_in_the_shared_head_and_a_job_goes_its_way() -> None:
    world = Shared()
    world.settle()
    assert "was handed to the RayCluster shared" in world.message
    world.sent()
    world.settle()
    assert world.status["driver"]["podUid"] == "uid-shared-head"
    assert world.status["attempts"][0]["rayCluster"] == "shared"
    world.sent(step=10)
    world.settle()
    assert world.condition() == ("Unknown", "Training")
    world.driver_says()
    world.over()
    world.settle()
    assert world.condition() == ("True", "Completed")


def test_another_cluster_s_head_is_nobody_s() -> None:
    world = Shared()
    world.shared_heads["shared-head"]["metadata"]["ownerReferences"][0]["name"] = "other"
    world.settle()
    world.sent()
    world.settle()
    assert "driver" not in world.status


def test_a_job_that_is_suspended_ends_with_the_last_words_of_its_driver() -> None:
    world = Shared()
    world.settle()
    world.sent(step=10)
    world.settle()
    world.edit(suspend=True)
    world.settle()
    assert world.writes[-1] == "delete tiny-r1"
    world.gone()
    world.settle()
    # The shared head stays, so it cannot show that the driver is done.
    assert world.condition() == ("Unknown", "Stopping")
    assert "ended" not in world.status["attempts"][0]
    world.driver_says(state="Stopped", reason="Stopped", message="Stopped at step 12.", exitCode=4)
    world.settle()
    assert world.status["attempts"][0]["cause"] == "Suspended"
    assert world.condition("Suspended") == ("True", "Suspended")
    world.edit(suspend=False)
    world.settle()
    assert list(world.ray_jobs) == ["tiny-r2"]


def test_a_driver_without_last_words_is_waited_for_and_no_longer() -> None:
    world = Shared()
    world.settle()
    world.sent(step=10)
    world.settle()
    world.edit(suspend=True)
    world.settle()
    world.gone()
    world.settle()
    world.wait(60 + 31)
    world.settle()
    assert world.status["attempts"][0]["cause"] == "Suspended"


def test_a_head_that_is_replaced_is_told_and_the_run_goes_on() -> None:
    world = Shared()
    world.settle()
    world.sent(step=10)
    world.settle()
    world.wait(60)
    world.head("shared-head-2")
    world.settle()
    assert world.status["driver"]["podName"] == "shared-head-2"
    assert world.status["attempts"][0]["lostHeads"] == 1
    assert [note.reason for note in world.notes if note.warning] == ["HeadReplaced"]
    assert world.condition() == ("Unknown", "Starting")


def test_a_cluster_that_is_not_there_is_named() -> None:
    world = Shared()
    world.shared_heads.clear()
    world.settle()
    world.ray_jobs["tiny-r1"]["status"] |= {"jobDeploymentStatus": "Initializing", "rayClusterName": "shared"}
    world.wait(31)
    world.settle()
    assert world.condition() == ("Unknown", "SharedClusterMissing")
    assert "has no head pod of a RayCluster shared that takes jobs" in world.message
    world.head("shared-head")
    world.sent(step=1)
    world.settle()
    assert world.condition() == ("Unknown", "Training")


def test_low_memory_is_the_cluster_s_and_no_advice_about_the_job_s_own_workers() -> None:
    world = Shared()
    world.settle()
    world.sent(step=10)
    world.settle()
    said = "the workers were lost: set RAY_memory_usage_threshold"
    world.driver_says(state="Failed", reason="RunError", message=said, exitCode=1)
    world.over(status="FAILED")
    world.settle()
    (first, *_) = world.status["attempts"]
    assert first["cause"] == "OutOfMemory"
    assert "memory ran low in the RayCluster shared" in first["message"]
    assert "memoryPerWorker" not in first["message"]


def test_waiting_for_room_has_an_end_once_the_driver_runs() -> None:
    world = Shared(job(activeDeadlineSeconds=600))
    world.settle()
    world.running()
    world.pods.clear()
    status = world.ray_jobs["tiny-r1"]["status"]
    status |= {"rayClusterName": "shared", "jobStatus": "PENDING"}
    world.wait(100_000)
    world.settle()
    assert "driverStarted" not in world.status["attempts"][0]
    status["jobStatus"] = "RUNNING"
    world.settle()
    world.wait(7000)
    world.settle()
    assert "startTime" not in world.status, "workers may be missing"
    world.wait(300)
    world.settle()
    assert world.condition() == ("Unknown", "Starting")
    world.wait(601)
    world.settle()
    assert world.status["attempts"][0]["cause"] == "DeadlineExceeded"


def test_a_driver_for_which_there_was_never_a_place_is_told_of() -> None:
    world = Shared()
    world.settle()
    world.over(status="FAILED")
    said = "Job supervisor actor failed to start within 900.0 seconds. This timeout can be configured."
    world.ray_jobs["tiny-r1"]["status"] |= {"message": said, "reason": "AppFailed"}
    world.settle()
    (first, *_) = world.status["attempts"]
    assert first["cause"] == "DriverUnplaced"
    assert "raygen_driver (the chart's cluster.maxJobs)" in first["message"]


def test_what_a_job_cannot_choose_there_is_refused_with_its_field() -> None:
    for changes, place in (
        ({"scheduling": {"queueName": "q"}}, "spec.scheduling"),
        ({"scale": {"acceleratorType": "H100", "gpusPerWorker": 1}}, "spec.scale.acceleratorType"),
    ):
        world = Shared(job(**changes))
        world.settle()
        assert world.condition("Validated") == ("False", "NotAllowed")
        assert f"{place}" in world.message
        assert "sends jobs to the RayCluster shared" in world.message
    world = Shared(job(data__train={"sources": [{"uri": f"s3://datasets/{one:0500}"} for one in range(70)]}))
    world.settle()
    assert "must be at most 32768 bytes" in world.message


def test_waiting_for_the_cluster_or_for_room_in_it_is_no_time_of_activity() -> None:
    world = Shared(job(activeDeadlineSeconds=600))
    world.settle()
    world.sent()
    world.wait(5000)
    world.settle()
    assert "startTime" not in world.status
    assert world.condition() == ("Unknown", "Starting")
    world.sent(step=1)
    world.settle()
    assert world.status["startTime"] == stamp(world.now)
    world.wait(601)
    world.settle()
    assert world.status["attempts"][0]["cause"] == "DeadlineExceeded"


def test_what_is_wrong_with_its_head_names_the_cluster_and_not_the_runtime() -> None:
    world = Shared()
    (head,) = world.shared_heads.values()
    world.settle()
    world.sent()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    head["status"]["containerStatuses"] = [{"name": "ray", "image": "a", "state": waiting}]
    world.settle()
    assert "Check image and imagePullSecrets of the RayCluster shared" in world.message
    head["spec"]["containers"] = [
        {"name": "ray", "resources": {"limits": {"memory": "4Gi"}}},
        {"name": "autoscaler", "resources": {"limits": {"memory": "512Mi"}}},
    ]
    killed = {"terminated": {"reason": "OOMKilled"}}
    for name, said in (
        ("autoscaler", "its limit of 512Mi. Give the RayCluster shared more in spec.autoscalerOptions"),
        ("ray", "its limit of 4Gi. Give the head of the RayCluster shared more memory"),
    ):
        head["status"]["containerStatuses"] = [{"name": name, "image": "a", "state": killed}]
        world.settle()
        assert said in world.message
