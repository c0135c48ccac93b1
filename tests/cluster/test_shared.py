"""A long-lived cluster of the chart, and jobs that are sent to it.

A part of a run when it is asked for, as those of test_parts.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api import until
from tests.cluster.rayjob import SHORT
from tests.cluster.sharing import NAME, Object, shared_cluster
from tests.cluster.trainingjob import NAMESPACE, Raygen

STEPS = 600


@pytest.fixture
def shared(installed: Raygen) -> Iterator[Raygen]:
    """A cluster without workers, and a runtime that sends jobs there."""
    with shared_cluster(installed):
        yield installed


def workers(raygen: Raygen) -> list[str]:
    selector = f"ray.io/cluster={NAME},ray.io/node-type=worker"
    found = raygen.cluster.get("pod", namespace=NAMESPACE, selector=selector)
    return [one["metadata"]["name"] for one in found]


def head_of(raygen: Raygen) -> Object:
    """The pod in which drivers are."""
    (head,) = raygen.cluster.get("pod", namespace=NAMESPACE, selector="ray.io/node-type=head")
    return head


def state(raygen: Raygen, name: str) -> str:
    """What Ray says of a RayJob's driver."""
    found = raygen.cluster.get("rayjob", namespace=NAMESPACE)
    return next(
        (one.get("status", {}).get("jobStatus", "") for one in found if one["metadata"]["name"] == name), ""
    )


def test_a_job_is_sent_there_suspended_and_goes_on_in_the_same_pods(shared: Raygen) -> None:
    """The head has a place for one driver, so a second job waits until the first one is suspended."""
    settings = f"training.duration.steps={STEPS}", "output.run=shared", f"runtimeRef.name={NAME}"
    assert workers(shared) == []
    shared.apply(*SHORT, *settings)
    shared.reaches(20)
    status = shared.job()["status"]
    head = head_of(shared)
    assert status["driver"]["podUid"] == head["metadata"]["uid"]
    assert status["attempts"][0]["rayCluster"] == NAME
    assert len(workers(shared)) == 2
    short = "training.duration.steps=20", "evaluation.everySteps=20", "checkpoint.everySteps=20"
    shared.apply(*SHORT, *short, "metadata.name=second", "output.run=second", f"runtimeRef.name={NAME}")
    until("Ray to know the second job", 60, lambda: state(shared, "second-r1") == "PENDING")
    shared.raygen("stop", "gpt-tiny", "--namespace", NAMESPACE)
    until("the job to rest", 90, lambda: shared.condition("Suspended")["status"] == "True")
    assert shared.ends(240, "second")["reason"] == "Completed"
    assert shared.job()["status"]["attempts"][0]["cause"] == "Suspended"
    shared.raygen("submit", str(shared.job_file(*SHORT, *settings)), "--namespace", NAMESPACE)
    end = shared.ends(240)
    assert (end["status"], end["reason"]) == ("True", "Completed"), end
    first, second = shared.job()["status"]["attempts"]
    assert (first["cause"], second["cause"]) == ("Suspended", "Completed")
    # It left a checkpoint, so no step was done twice.
    assert second["firstStep"] == first["lastStep"] + 1
    assert [step for step, _ in shared.losses("shared")] == list(range(1, STEPS + 1))
    assert head_of(shared)["metadata"]["uid"] == head["metadata"]["uid"]
    until("the idle workers to end", 120, lambda: not workers(shared))


def test_a_job_outlives_the_head_that_it_shared(shared: Raygen) -> None:
    run = "training.duration.steps=400", "checkpoint.everySteps=50"
    shared.apply(*SHORT, *run, "output.run=headless", f"runtimeRef.name={NAME}")
    shared.reaches(20)
    head = head_of(shared)
    name = head["metadata"]["name"]
    shared.cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", name, "--force", "--grace-period=0")
    end = shared.ends(420)
    assert (end["status"], end["reason"]) == ("True", "Completed"), end
    assert head_of(shared)["metadata"]["uid"] != head["metadata"]["uid"]
    attempts = shared.job()["status"]["attempts"]
    # However KubeRay took it: one attempt that lost its head, or two.
    told = [(one["cause"], one.get("lostHeads", 0), one.get("lostSteps", 0)) for one in attempts]
    assert len(told) == 1 or told[0][0] in ("HeadLost", "DriverLost"), attempts
    assert len(told) > 1 or told[0][1] == 1, attempts
    assert {step for step, _ in shared.losses("headless")} == set(range(1, 401))
