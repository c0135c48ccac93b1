"""Worker pods of a sweep with autoscaling, as the operator sees to them: how many there are, which go, and what is not touched."""

from __future__ import annotations

from typing import Any

from raygen.controller.conditions import stamp
from raygen.operator.rayjob.render import GROUP_NAME
from raygen.operator.sweep import WORK
from raygen.spec.names import RAY_GROUP_LABEL
from tests.unit.operator.attempts.world import World
from tests.unit.operator.sweep.test_sweep import a_sweep, made, refused

Object = dict[str, Any]


def world(**changes: Any) -> World:
    spec = {"concurrency": 4, "autoscaling": {"minWorkers": 1}} | changes
    seen = World(a_sweep(**spec), work=WORK)
    seen.settle()
    seen.running()
    seen.settle()
    return seen


def worker(seen: World, name: str, phase: str = "Running") -> None:
    seen.pod(name, 1, "worker", phase=phase)["metadata"]["labels"][RAY_GROUP_LABEL] = GROUP_NAME


def told(seen: World, wanted: int, *idle: str, running: int = 1) -> None:
    """The driver says what it has use for."""
    assert seen.job is not None
    seen.job["status"]["progress"] = {
        "time": stamp(seen.now),
        "attempt": 1,
        "rayJob": "tiny-s1",
        "firstStep": 1,
        "step": 5,
        "running": running,
        "workers": {"wanted": wanted, "idle": list(idle)},
    }
    seen.settle()


def pods_of(seen: World, *names: str) -> None:
    seen.pods = {name: pod for name, pod in seen.pods.items() if name.endswith("head")}
    for name in names:
        worker(seen, name)


def last(seen: World) -> tuple[int, tuple[str, ...]]:
    return seen.scaled[-1].replicas, seen.scaled[-1].gone


def test_it_begins_with_the_fewest_and_may_have_the_most() -> None:
    (group,) = made(a_sweep(concurrency=4, autoscaling={}))["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (1, 1, 4)
    document = a_sweep(concurrency=8, trialsPerWorker=2, autoscaling={"minWorkers": 2})
    (group,) = made(document)["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 4)


def test_trials_that_wait_for_room_get_pods_up_to_the_most() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 3)
    (scaling,) = seen.scaled
    assert (scaling.cluster, scaling.job, scaling.group) == ("tiny-s1-cluster", "tiny", GROUP_NAME)
    assert last(seen) == (3, ())
    assert seen.status["attempts"][0]["workers"] == 3
    assert [note.reason for note in seen.notes if note.reason == "Scaled"] == ["Scaled"]
    told(seen, 99)
    assert last(seen) == (4, ())
    told(seen, 99)
    assert len(seen.scaled) == 2, "once is enough"


def test_idle_pods_go_and_busy_ones_stay() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 4)
    pods_of(seen, "a", "b", "c", "d")
    told(seen, 2, "b", "d")
    assert last(seen) == (2, ("b", "d"))
    pods_of(seen, "a", "c")
    told(seen, 1)
    assert len(seen.scaled) == 2, "none is known to be idle yet"
    told(seen, 1, "c")
    assert last(seen) == (1, ("c",))


def test_pods_that_have_not_started_go_first_and_no_more_than_are_too_many() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 4)
    pods_of(seen, "a", "b", "c")
    worker(seen, "d", "Pending")
    told(seen, 2, "b", "c")
    assert last(seen) == (2, ("d", "b"))


def test_a_pod_that_was_lost_is_not_made_again_for_nothing() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 4)
    pods_of(seen, "a", "b")
    told(seen, 2)
    assert last(seen) == (2, ())


def test_a_sweep_that_trains_says_so_while_further_pods_find_no_room() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 4)
    worker(seen, "b", "Pending")
    no_room = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    seen.pods["b"]["status"]["conditions"] = [no_room | {"lastTransitionTime": stamp(seen.now)}]
    seen.wait(60)
    told(seen, 4)
    assert seen.condition() == ("Unknown", "Training")
    assert "0/2 nodes are available" in seen.message


def test_it_keeps_to_its_bounds_and_to_its_own_pods() -> None:
    seen = world(autoscaling={"minWorkers": 2})
    pods_of(seen, "a", "b")
    told(seen, 4)
    pods_of(seen, "a", "b", "c", "d")
    told(seen, 0, "c", "d", "somebody-elses")
    assert last(seen) == (2, ("c", "d"))


def test_nothing_is_scaled_without_autoscaling_or_by_another_attempts_driver_or_while_it_stops() -> None:
    plain = World(a_sweep(concurrency=2), work=WORK)
    plain.settle()
    plain.running()
    plain.settle()
    told(plain, 1)
    assert plain.scaled == []
    seen = world()
    assert seen.job is not None
    told(seen, 3)
    assert len(seen.scaled) == 1
    seen.job["status"]["progress"]["rayJob"] = "tiny-s0"
    seen.job["status"]["progress"]["workers"] = {"wanted": 1}
    seen.settle()
    assert len(seen.scaled) == 1
    seen.edit(suspend=True)
    seen.settle()
    told(seen, 4)
    assert len(seen.scaled) == 1


def test_a_cluster_that_kuberay_made_anew_has_what_it_began_with() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 3)
    seen.ray_jobs["tiny-s1"]["status"]["rayClusterName"] = "tiny-s1-other"
    told(seen, 3)
    assert [(one.cluster, one.replicas) for one in seen.scaled] == [
        ("tiny-s1-cluster", 3),
        ("tiny-s1-other", 3),
    ]


def test_a_crash_after_scaling_scales_again_to_the_same() -> None:
    seen = world()
    pods_of(seen, "a")
    told(seen, 3)
    before = seen.status["attempts"][0].pop("workers")
    seen.settle()
    assert [one.replicas for one in seen.scaled] == [3, 3]
    assert seen.status["attempts"][0]["workers"] == before


def test_runtimes_whose_pods_are_not_the_sweeps_to_change_refuse_it() -> None:
    document = a_sweep(autoscaling={})
    assert refused(document) == []
    assert refused(document, sharedCluster="shared") == ["spec.autoscaling"]
    queued = a_sweep(autoscaling={}, scheduling={"queueName": "q"})
    assert refused(queued, scheduler={"type": "Kueue"}) == ["spec.autoscaling"]


def test_trials_that_share_gpus_ask_for_whole_ones() -> None:
    scale = {"cpusPerWorker": 1, "gpusPerWorker": 1}
    document = a_sweep(concurrency=6, trialsPerWorker=3, trialsPerGpu=2, template__spec__scale=scale)
    (group,) = made(document)["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == 2
    assert group["rayStartParams"]["num-gpus"] == "2"
    assert refused(document, ceilings={"gpus": 3}) == ["spec.template.spec.scale.gpusPerWorker"]
    assert refused(document, ceilings={"gpus": 4}) == []
