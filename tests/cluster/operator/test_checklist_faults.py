"""Jobs that the operator cannot cope with, news that come with its own writes, and jobs that go while it is away (rows 19, 22 and 24)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from raygen.controller.conditions import find
from raygen.controller.queue import Key
from raygen.kube import RAY_JOBS, TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.operator.attempts import controller as controller_module
from tests.cluster.api import until
from tests.cluster.apiserver import CRDS, NAMESPACES, serving
from tests.cluster.operator import asking
from tests.cluster.operator.asking import job_of
from tests.cluster.operator.stub import Harmed, Process, Surroundings

Object = dict[str, Any]

GOOD = 100
DONE = {"state": "Succeeded", "reason": "Completed", "message": "done", "exitCode": 0}


@pytest.fixture(scope="module")
def lax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """An API server whose definition lets everything in, as one of another version may have, and without policies."""
    with serving(tmp_path_factory.mktemp("lax")) as server:
        admin = server.connection()
        path = CRDS.path(name="trainingjobs.raygen.io")
        definition = admin.request("GET", path)
        (version,) = definition["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"] = {"x-kubernetes-preserve-unknown-fields": True}
        del schema["x-kubernetes-validations"]
        admin.request("PUT", path, body=definition)
        policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
        admin.request("DELETE", policies)
        until("the definition", 30, lambda: _takes(admin))
        yield admin


def _takes(admin: Connection) -> bool:
    job = job_of("default", "odd")
    job["spec"] = ["odd"]
    try:
        admin.request("POST", TRAINING_JOBS.path("default"), query={"dryRun": "All"}, body=job)
    except ApiError:
        return False
    return True


def poison() -> dict[str, tuple[Any, str]]:
    """Specs that the operator refuses or cannot even read, and the reason that they get."""
    fine = job_of("x")["spec"]
    return {
        "empty": ({}, "Invalid"),
        "list": (["x"], "OperatorFault"),
        "text": ("x", "OperatorFault"),
        "model": (fine | {"model": 7}, "Invalid"),
        "reference": (fine | {"runtimeRef": "default"}, "Invalid"),
        "references": (fine | {"runtimeRef": {"name": ["default"]}}, "Invalid"),
        "workers": (fine | {"scale": {"workers": 0}}, "Invalid"),
        "suspended": (fine | {"suspend": "yes", "output": 3}, "Suspended"),
        "interval": (fine | {"attempts": {"limit": "often"}}, "Invalid"),
        "large": (fine | {"unknown": {f"k{number}": "x" * 1000 for number in range(800)}}, "Invalid"),
        "unforeseen": (fine, "OperatorFault"),
    }


def test_poison_gets_a_condition_and_an_event_while_a_hundred_good_jobs_finish(
    lax: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = asking.namespace(lax, "poison")
    real = controller_module.plan

    def plan(observed: Any, **options: Any) -> Any:
        if observed.job["metadata"]["name"] == "unforeseen":
            raise KeyError("what nobody foresaw")
        return real(observed, **options)

    monkeypatch.setattr(controller_module, "plan", plan)
    good = [Surroundings(lax, team, f"good-{number}") for number in range(GOOD)]
    good[0].runtime()
    for number, world in enumerate(good):
        for name, (spec, _) in [*poison().items()][number : number + 1]:
            document = job_of(team, name)
            document["spec"] = copy.deepcopy(spec)
            lax.create(TRAINING_JOBS, team, document)
        world.submit()
    with asking.working(lax, team) as operator:
        until("a RayJob for each", 120, lambda: len(lax.list(RAY_JOBS, team)[0]) == GOOD)
        for world in good:
            world.driver(1, 100, **DONE)
            world.over(1, succeeded=True)
        until("their ends", 120, lambda: _ended(lax, team) == GOOD)
        for name, (_, reason) in poison().items():
            world = Surroundings(lax, team, name)
            told = until(
                f"the condition of {name}", 30, lambda world=world: asking.condition(world, "Succeeded")
            )
            assert (told["status"], told["reason"]) == ("Unknown", reason), (name, told)
            assert world.ray_jobs() == []
            if reason == "Suspended":
                continue
            (event, *_) = until(f"the Event of {name}", 10, lambda world=world: asking.warnings(world))
            assert event["reason"] == reason
            assert event["message"].rstrip("\u2026") in told["message"]
            if reason == "Invalid":
                assert asking.condition(world, "Validated")["status"] == "False"
                assert "The job has faults." in told["message"]
                assert "spec" in told["message"]
            else:
                assert "Report it with the operator's log, or recreate the job." in told["message"]
        assert operator._deaf() == ""
        assert operator._stuck() == ""


def _ended(admin: Connection, team: str) -> int:
    jobs, _ = admin.list(TRAINING_JOBS, team)
    ends = [find(job.get("status", {}).get("conditions", []), "Succeeded") for job in jobs]
    return sum(end is not None and end["status"] == "True" for end in ends)


def test_a_fault_that_was_mended_leaves_no_trace(
    admin: Connection, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    world.submit()
    real = controller_module.plan
    broken = True

    def plan(observed: Any, **options: Any) -> Any:
        if broken:
            raise ZeroDivisionError("x" * 5000)
        return real(observed, **options)

    monkeypatch.setattr(controller_module, "plan", plan)
    with asking.working(admin, team):
        until("the fault", 30, lambda: asking.condition(world, "Succeeded").get("reason") == "OperatorFault")
        assert len(asking.condition(world, "Succeeded")["message"]) < 500
        broken = False
        until("its RayJob", 60, world.ray_jobs)
        until("its status", 30, lambda: asking.condition(world, "Succeeded")["reason"] == "Starting")


def started(admin: Connection, team: str, **changes: Any) -> tuple[Surroundings, Process]:
    """A job whose RayJob there is, and the operator that made it."""
    world = Surroundings(admin, team)
    world.runtime()
    world.submit(**changes)
    process = Process(Harmed(admin), team)
    process.work()
    return world, process


def test_what_others_wrote_meanwhile_counts_when_it_comes_with_the_answer_to_ones_own_write(
    admin: Connection, team: str
) -> None:
    """Watches bring nothing newer than that answer, so nothing else would have the operator look again."""
    world, process = started(admin, team)
    world.runs(1)
    process.see()
    while (key := process.queue.take(0)) is not None:
        process.queue.done(key)
    world.driver(1, 5)
    # From what was seen before the driver began; what it writes is answered with the driver's progress.
    process.queue.add(Key("TrainingJob", team, "tiny"))
    for _ in range(10):
        if (key := process.queue.take(0)) is None:
            break
        process.controller.reconcile(key)
        process.queue.done(key)
        process.see()
    assert asking.condition(world, "Succeeded")["reason"] == "Training"


def gone(world: Surroundings) -> bool:
    """Whether the job is gone."""
    found, _ = world.admin.list(TRAINING_JOBS, world.namespace)
    return world.name not in [one["metadata"]["name"] for one in found]


def test_what_is_made_belongs_to_its_job_and_holds_up_no_deletion(admin: Connection, team: str) -> None:
    world, _ = started(admin, team)
    job, (ray_job,) = world.job(), world.ray_jobs()
    assert ray_job["metadata"]["ownerReferences"] == [
        {
            "apiVersion": TRAINING_JOBS.api_version,
            "kind": TRAINING_JOBS.kind,
            "name": "tiny",
            "uid": job["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    for made in (job, ray_job):
        assert "finalizers" not in made["metadata"]
    spec = ray_job["spec"]
    for template in (
        spec["rayClusterSpec"]["headGroupSpec"]["template"],
        spec["rayClusterSpec"]["workerGroupSpecs"][0]["template"],
    ):
        # What the pods may take to leave a checkpoint is bounded, storage or not.
        assert template["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_job_that_is_deleted_while_the_operator_is_away_is_gone_at_once(
    admin: Connection, team: str
) -> None:
    world, _ = started(admin, team)
    world.runs(1)
    admin.request("DELETE", TRAINING_JOBS.path(team, "tiny"))
    assert gone(world)
    # Before the collector of garbage has come, and after it: nothing to do either way.
    for _ in range(2):
        later = Process(Harmed(admin), team)
        later.work()
        assert later.connection.writes == []  # type: ignore[attr-defined]
        for ray_job in world.ray_jobs():
            admin.request("DELETE", RAY_JOBS.path(team, ray_job["metadata"]["name"]))
    assert world.ray_jobs() == []


def test_a_job_that_is_being_deleted_gets_nothing_more(admin: Connection, team: str) -> None:
    world, process = started(admin, team)
    world.over(1, succeeded=False)
    path = TRAINING_JOBS.path(team, "tiny")
    body = {"metadata": {"finalizers": ["tests.invalid/hold"]}}
    admin.request("PATCH", path, body=body, content_type=MERGE)
    admin.request("DELETE", path)
    assert world.job()["metadata"]["deletionTimestamp"]
    before = list(process.connection.writes)  # type: ignore[attr-defined]
    process.work()
    assert process.connection.writes == before  # type: ignore[attr-defined]
    admin.request("PATCH", path, body={"metadata": {"finalizers": None}}, content_type=MERGE)
    assert gone(world)


def test_a_ray_job_that_comes_too_late_belongs_to_the_job_that_is_gone(admin: Connection, team: str) -> None:
    """So that the collector of garbage takes it, even if the operator dies between reading and making."""
    world = Surroundings(admin, team)
    world.runtime()
    job = world.submit()
    process = Process(Harmed(admin), team)
    process.see()
    admin.request("DELETE", TRAINING_JOBS.path(team, "tiny"))
    process.controller.reconcile(Key("TrainingJob", team, "tiny"))
    assert gone(world)
    assert [one["metadata"]["ownerReferences"][0]["uid"] for one in world.ray_jobs()] == [
        job["metadata"]["uid"]
    ]
    process.work()
    assert gone(world)


def test_in_a_namespace_that_ends_nothing_is_made_and_nothing_held(admin: Connection, team: str) -> None:
    world = Surroundings(admin, team)
    world.runtime()
    world.submit()
    admin.request("DELETE", NAMESPACES.path(name=team))
    assert admin.get(NAMESPACES, "", team)["status"]["phase"] == "Terminating"
    process = Process(Harmed(admin), team)
    process.work()
    assert world.ray_jobs() == []
    told = asking.condition(world, "Succeeded")
    assert (told["status"], told["reason"]) == ("Unknown", "CreateRefused")
    assert "being terminated" in told["message"]
    # As the controller of namespaces does.
    admin.request("DELETE", TRAINING_JOBS.path(team))
    assert gone(world)
    process.work()
    assert world.ray_jobs() == []


def test_time_to_live_that_passes_while_the_operator_is_away_is_made_up_for(
    admin: Connection, team: str
) -> None:
    world, process = started(admin, team, ttlSecondsAfterFinished=3600)
    world.driver(1, 100, **DONE)
    world.over(1, succeeded=True)
    process.work()
    assert asking.condition(world, "Succeeded")["status"] == "True"
    assert not gone(world)
    later = Process(Harmed(admin), team)
    later.controller._clock = lambda: datetime.now(UTC) + timedelta(seconds=3601)
    later.work()
    assert gone(world)
