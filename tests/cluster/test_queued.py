"""TrainingJobs and Kueue: two teams with a quota each, priorities, and what is never admitted in part.

A part of a run when it is asked for, as those of test_parts.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster import kueue
from tests.cluster.api import until
from tests.cluster.rayjob import SHORT
from tests.cluster.trainingjob import NAMESPACE, Raygen

STEPS, LONG = 160, 960
JOB_CPU = "1300m"
"""A head of 300m and a worker of one core: each team has room for one such job."""


@pytest.fixture(scope="module")
def queued(installed: Raygen) -> Iterator[Raygen]:
    """Two teams with room for a job each."""
    with kueue.queues(installed, JOB_CPU, preemption={"withinClusterQueue": "LowerPriority"}):
        yield installed


def submit(raygen: Raygen, name: str, team: str, priority: str, *more: str, workers: int = 1) -> None:
    raygen.apply(
        *SHORT,
        f"metadata.name={name}",
        f"output.run={name}",
        f"training.duration.steps={STEPS}",
        f"runtimeRef.name={kueue.RUNTIME}",
        "scheduling={}",
        f"scheduling.queueName={team}",
        f"scheduling.priorityClassName={priority}",
        f"scale.workers={workers}",
        "scale.memoryPerWorker=3Gi",
        *more,
    )


def reason(raygen: Raygen, name: str) -> str:
    return str(raygen.summary(name)["reason"])


def test_two_teams_share_out_and_the_higher_priority_goes_first(queued: Raygen) -> None:
    """What is preempted goes on from the step that it was at, in the same attempt, and every step is done once."""
    submit(queued, "long", "alpha", "low", f"training.duration.steps={LONG}")
    queued.reaches(20, "long")
    # The quota of the one team is used up; that of the other is its own.
    submit(queued, "behind", "alpha", "low")
    until("the second job to wait", 60, lambda: reason(queued, "behind") == "Queued")
    assert "waits in the queue alpha for quota" in queued.summary("behind")["message"]
    submit(queued, "other", "beta", "low")
    queued.reaches(1, "other")
    assert reason(queued, "long") == "Training"
    assert reason(queued, "behind") == "Queued"
    # A higher priority: the first job has to go, with a checkpoint, and waits.
    submit(queued, "urgent", "alpha", "high")
    until("the first job to be preempted", 120, lambda: reason(queued, "long") == "Queued")
    held = queued.job("long")["status"]
    assert "cause" not in held["attempts"][-1]
    assert "driver" not in held
    assert queued.condition("Running", "long")["status"] == "False"
    for name in ("urgent", "other", "long", "behind"):
        end = queued.ends(400, name)
        assert (end["status"], end["reason"]) == ("True", "Completed"), (name, end)
    done = [queued.job(name)["status"]["completionTime"] for name in ("urgent", "long", "behind")]
    assert done == sorted(done)
    (attempt,) = queued.job("long")["status"]["attempts"]
    assert attempt["cause"] == "Completed"
    assert queued.job("long")["status"].get("failedAttempts", 0) == 0
    assert [step for step, _ in queued.losses("long")] == list(range(1, LONG + 1))


def test_a_job_is_never_admitted_in_part(queued: Raygen) -> None:
    """There is room for one of its two workers; it waits, with nothing that lets Kueue start less."""
    submit(queued, "wide", "beta", "low", workers=2)

    def judged() -> str:
        workload = kueue.workload_of(queued, "wide-r1")
        conditions = workload.get("status", {}).get("conditions", ())
        return str(next((one["message"] for one in conditions if one["type"] == "QuotaReserved"), ""))

    assert "insufficient" in until("Kueue's verdict", 60, judged)
    workload = kueue.workload_of(queued, "wide-r1")
    counts = sorted((one["name"], one["count"]) for one in workload["spec"]["podSets"])
    assert counts == [("head", 1), ("trainers", 2)]
    assert "minCount" not in json.dumps(workload["spec"])
    assert reason(queued, "wide") == "Queued"
    assert not queued.cluster.get("pod", namespace=NAMESPACE, selector="raygen.io/job=wide")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("scheduling.priorityClassName=urgent", "must be one of the priorityClassNames"),
        ("scheduling=null", "has the scheduler Kueue"),
    ],
)
def test_what_kueue_would_let_past_its_quotas_is_refused(queued: Raygen, change: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        submit(queued, "refused", "beta", "low", change)
