"""The controller before a real API server, with requests that fail, answers that are lost, and crashes after any write."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from raygen.controller.conditions import find
from raygen.controller.queue import Key
from raygen.kube import EVENTS, PODS, RAY_JOBS, TRAINING_JOBS, Connection
from tests.cluster.apiserver import NAMESPACES
from tests.cluster.operator.stub import CrashError, Fault, Harmed, Process, Surroundings

Object = dict[str, Any]


def life(world: Surroundings) -> list[Callable[[], object]]:
    """What everybody else does in a job's life: a first attempt that fails, one that is suspended, one that succeeds."""
    failed = {"state": "Failed", "reason": "RunError", "message": "the workers were lost", "exitCode": 1}
    done = {"state": "Succeeded", "reason": "Completed", "message": "done", "exitCode": 0}
    return [
        world.submit,
        lambda: world.runs(1),
        lambda: world.driver(1, 10),
        lambda: world.driver(1, 20, **failed),
        lambda: world.over(1, succeeded=False),
        lambda: world.runs(2),
        lambda: world.driver(2, 25, first=16),
        lambda: world.edit(suspend=True),
        lambda: world.no_pods(2),
        lambda: world.edit(suspend=False),
        lambda: world.runs(3),
        lambda: world.driver(3, 60, first=26),
        lambda: world.driver(3, 100, first=26, **done),
        lambda: world.over(3, succeeded=True),
    ]


class Lives:
    """Operators that follow each other over one life of a job."""

    def __init__(self, admin: Connection, namespace: str, fault: Fault) -> None:
        self.connection = Harmed(admin, fault)
        self.world = Surroundings(admin, namespace)
        self.world.runtime()
        self.processes = 0
        self._process: Process | None = None

    def run(self) -> None:
        for step in life(self.world):
            step()
            self.settle()

    def settle(self) -> None:
        while True:
            if self._process is None:
                self._process = Process(self.connection, self.world.namespace)
                self.processes += 1
            try:
                self._process.work()
            except CrashError:
                self._process = None
                continue
            return

    @property
    def counts(self) -> Counter[str]:
        """How often each object was made or deleted."""
        return Counter(
            write.replace(self.world.namespace, "NAMESPACE")
            for write in self.connection.writes
            if write.startswith(("POST", "DELETE"))
        )

    def end(self) -> Object:
        """The end state, without what differs from run to run."""
        status = copy.deepcopy(self.world.job()["status"])
        status.pop("startTime")
        status.pop("completionTime")
        status.pop("activeSeconds", None)
        for part in ("progress", "outcome"):
            status[part].pop("time")
        for condition in status["conditions"]:
            condition.pop("lastTransitionTime")
        for attempt in status["attempts"]:
            attempt.pop("started")
            attempt.pop("ended")
        status["run"] = status["run"].replace(self.world.namespace, "NAMESPACE")
        return {
            "status": status,
            "ray jobs": [one["metadata"]["name"] for one in self.world.ray_jobs()],
        }


@pytest.fixture(scope="module")
def clean(admin: Connection) -> Lives:
    """A life without a fault."""
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "clean"}})
    lives = Lives(admin, "clean", lambda method, path: "")
    lives.run()
    return lives


def test_a_life_without_a_fault(clean: Lives) -> None:
    end = clean.end()
    assert [(one["number"], one["cause"]) for one in end["status"]["attempts"]] == [
        (1, "RunError"),
        (2, "Suspended"),
        (3, "Completed"),
    ]
    assert end["status"]["attempts"][0]["lostSteps"] == 5
    assert end["status"]["failedAttempts"] == 1
    summary = find(end["status"]["conditions"], "Succeeded")
    assert summary is not None
    assert (summary["status"], summary["reason"]) == ("True", "Completed")
    assert clean.counts == {
        "POST /apis/ray.io/v1/namespaces/NAMESPACE/rayjobs": 3,
        "DELETE /apis/ray.io/v1/namespaces/NAMESPACE/rayjobs/tiny-r2": 1,
    }


def test_a_second_look_at_a_settled_job_writes_nothing(admin: Connection, clean: Lives) -> None:
    connection = Harmed(admin)
    Process(connection, "clean").work()
    assert connection.writes == []


def once(number: int, harm: str) -> Fault:
    """Harms the n-th write."""
    count = 0

    def fault(method: str, path: str) -> str:
        nonlocal count
        count += 1
        return harm if count == number else ""

    return fault


def test_a_crash_after_every_single_write_leads_to_the_same_end(
    admin: Connection, clean: Lives, team: str
) -> None:
    assert len(clean.connection.writes) > 10
    for number in range(1, len(clean.connection.writes) + 1):
        lives = Lives(admin, _namespace(admin, f"{team}-crash-{number}"), once(number, "crash"))
        lives.run()
        assert lives.processes == 2, number
        assert lives.end() == clean.end(), number
        assert lives.counts == clean.counts, number


@pytest.mark.parametrize("harms", [["after"], ["before", "409", "429", "500"]], ids=["after", "before"])
def test_a_request_that_fails_at_any_place_leads_to_the_same_end(
    admin: Connection, clean: Lives, team: str, harms: list[str]
) -> None:
    for number in range(1, len(clean.connection.writes) + 1):
        harm = harms[number % len(harms)]
        lives = Lives(admin, _namespace(admin, f"{team}-{harm}-{number}"), once(number, harm))
        lives.run()
        assert lives.end() == clean.end(), number
        assert lives.counts["POST /apis/ray.io/v1/namespaces/NAMESPACE/rayjobs"] == 3


def test_two_leaders_make_one_ray_job(admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    world.submit()
    first, second = (Process(Harmed(admin), team) for _ in range(2))
    for process in (first, second):
        process.see()
    # Both plan from the same past, as when one has lost the Lease without knowing it yet.
    for process in (first, second):
        assert process.queue.take(0) == Key("TrainingJob", team, "tiny")
        process.controller.reconcile(Key("TrainingJob", team, "tiny"))
    assert [one["metadata"]["name"] for one in world.ray_jobs()] == ["tiny-r1"]
    assert world.job()["status"]["attemptCount"] == 1


def test_a_job_of_the_same_name_is_another_job(admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    old = world.submit()
    process = Process(Harmed(admin), team)
    process.work()
    path = TRAINING_JOBS.path(team, "tiny")
    admin.request("DELETE", path)
    new = world.submit()
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    # The collector of garbage has not come yet: the RayJob of the old one is still there.
    process.work()
    summary = find(world.job()["status"]["conditions"], "Succeeded")
    assert summary is not None
    assert summary["reason"] == "NameTaken"
    assert world.job()["status"].get("attempts") is None
    admin.request("DELETE", RAY_JOBS.path(team, "tiny-r1"))
    process.work()
    (made,) = world.ray_jobs()
    assert made["metadata"]["ownerReferences"][0]["uid"] == new["metadata"]["uid"]


def test_a_plan_from_a_stale_past_does_no_harm(admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    world.submit()
    stale, fresh = Process(Harmed(admin), team), Process(Harmed(admin), team)
    stale.see()
    fresh.work()
    world.runs(1)
    world.over(1, succeeded=False)
    fresh.work()
    assert [one["metadata"]["name"] for one in world.ray_jobs()] == ["tiny-r1", "tiny-r2"]
    # It has seen nothing since the job was made.
    stale.controller.reconcile(Key("TrainingJob", team, "tiny"))
    assert [one["metadata"]["name"] for one in world.ray_jobs()] == ["tiny-r1", "tiny-r2"]
    fresh.work()
    assert [one["number"] for one in world.job()["status"]["attempts"]] == [1, 2]


def test_what_keeps_a_pod_is_read_from_its_events(admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    world.submit()
    process = Process(Harmed(admin), team)
    process.work()
    world.status(1, jobDeploymentStatus="Initializing", rayClusterName="tiny-r1-c")
    world.pod("tiny-r1-head", 1, "head", "tiny-r1-c", phase="Pending")
    pod = admin.get(PODS, team, "tiny-r1-head")["metadata"]
    about = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "namespace": team, "uid": pod["uid"]}
    for number, (kind, text) in enumerate([("Warning", "volume x is not there"), ("Normal", "pulled")]):
        event = {"metadata": {"name": f"e{number}", "namespace": team}, "type": kind, "reason": "FailedMount"}
        admin.create(EVENTS, team, event | {"message": text, "involvedObject": about})
    process.work()
    assert summary(world)["reason"] == "Starting", "for a while every pod waits"
    later = datetime.now(UTC) + timedelta(seconds=60)
    process.controller._clock = lambda: later
    process.work()
    assert summary(world)["reason"] == "PodWaits"
    assert "pod tiny-r1-head waits: FailedMount: volume x is not there." in summary(world)["message"]


def summary(world: Surroundings) -> Object:
    found = find(world.job()["status"]["conditions"], "Succeeded")
    assert found is not None
    return found


def test_one_job_that_nobody_foresaw_stalls_nobody(
    admin: Connection, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raygen.operator.attempts import controller as module

    worlds = [Surroundings(admin, team, f"job-{number}") for number in range(20)]
    worlds[0].runtime()
    for world in worlds:
        world.submit()
    real = module.plan

    def plan(observed: Any, **options: Any) -> Any:
        if observed.job["metadata"]["name"] == "job-7":
            raise KeyError("what nobody foresaw")
        return real(observed, **options)

    monkeypatch.setattr(module, "plan", plan)
    process = Process(Harmed(admin), team)
    process.see()
    failures = []
    while (key := process.queue.take(0)) is not None:
        try:
            process.controller.reconcile(key)
        except KeyError:
            failures.append(key)
        finally:
            process.queue.done(key)
    assert failures == [Key("TrainingJob", team, "job-7")]
    assert [len(world.ray_jobs()) for world in worlds] == [int(number != 7) for number in range(20)]


def _namespace(admin: Connection, name: str) -> str:
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
