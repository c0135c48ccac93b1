"""What a runtime's scheduler takes, before a real API server: the admission policies refuse what the operator would."""

from __future__ import annotations

import json
import random

import pytest

from raygen.kube import RUNTIMES, Connection
from raygen.operator.rayjob.scheduling import refusals
from raygen.spec import parse
from raygen.spec.runtime import RaygenRuntime
from tests.cluster.api import until
from tests.cluster.operator.asking import job_of, put, refused, runtime_of, says
from tests.unit.operator.specs import scheduler_for, scheduling_of

COUNT = 200
SCHEDULERS = ["Kubernetes", "Kueue", "Volcano", "KAI", "YuniKorn", None]


def known(admin: Connection, team: str, name: str) -> None:
    """Waits until admission sees a runtime: it does so a moment after it was made, of all that were made before too."""
    put(admin, runtime_of(name, allowedNamespaces=["other"]))
    until("the policies to see it", 20, lambda: refused(admin, job_of(team, runtimeRef={"name": name})))


def test_policies_and_operator_refuse_the_same_pairs(admin: Connection, team: str) -> None:
    draw = random.Random(2)
    cases = []
    for number in range(COUNT):
        asked = scheduling_of(draw) if draw.random() < 0.8 else None
        if asked is not None and draw.random() < 0.2:
            asked["queueName"] = draw.choice(["a..b", "a_b", "other", f"{team}-low", f"root.{team}.x"])
        changes = {"scheduler": scheduler_for(draw, asked)} if draw.random() < 0.9 else {}
        grants = runtime_of(f"{team}-{number}", **changes)
        put(admin, grants)
        job = job_of(team, runtimeRef={"name": f"{team}-{number}"})
        if asked is not None:
            job["spec"]["scheduling"] = asked
        cases.append((grants, job))
    known(admin, team, f"{team}-last")
    seen: dict[tuple[str | None, bool], int] = {}
    for grants, job in cases:
        runtime = RaygenRuntime.model_validate_json(json.dumps(grants))
        ours = list(refusals(parse({**job, "metadata": {"name": "tiny"}}).spec, runtime, team))
        theirs = refused(admin, job)
        assert bool(ours) == (theirs is not None), (job["spec"].get("scheduling"), grants, ours, theirs)
        if theirs is not None:
            assert any(fault.path in theirs.what for fault in ours), theirs.what
        kind = runtime.spec.scheduler.type if runtime.spec.scheduler is not None else None
        seen[kind, bool(ours)] = seen.get((kind, bool(ours)), 0) + 1
    # Each is a parameter of every request.
    for grants, _ in cases:
        name = grants["metadata"]["name"]
        admin.delete(RUNTIMES, "", name, uid=admin.get(RUNTIMES, "", name)["metadata"]["uid"])
    assert all(seen.get((kind, True)) for kind in SCHEDULERS), seen
    assert all(seen.get((kind, False)) for kind in SCHEDULERS if kind != "Kubernetes"), seen


@pytest.mark.parametrize(
    ("scheduler", "scheduling", "words"),
    [
        ({"type": "Kubernetes"}, {"queueName": "q"}, ("queueName: q must be left out", "no queues")),
        ({"type": "Kueue"}, None, ("queueName: must be given", "has the scheduler Kueue")),
        ({"type": "Kueue"}, {"queueName": "Q"}, ("Q must be the name of a queue of Kueue", "lower-case")),
        (
            {"type": "Volcano", "queueNames": ["a", "{namespace}-low"]},
            {"queueName": "b"},
            ("b must be one of the queueNames", "a, {team}-low", "Name another queue"),
        ),
        (
            None,
            {"queueName": "q", "priorityClassName": "high"},
            ("high must be one of the priorityClassNames",),
        ),
    ],
)
def test_what_is_refused_says_field_value_rule_and_remedy(
    admin: Connection,
    team: str,
    scheduler: dict[str, object] | None,
    scheduling: dict[str, str] | None,
    words: tuple[str, ...],
) -> None:
    grants = {} if scheduler is None else {"scheduler": scheduler}
    put(admin, runtime_of(f"{team}-runtime", **grants))
    known(admin, team, f"{team}-last")
    job = job_of(team, runtimeRef={"name": f"{team}-runtime"})
    if scheduling is not None:
        job["spec"]["scheduling"] = scheduling
    says(refused(admin, job), "spec.scheduling.", *(one.format(team=team, namespace="") for one in words))


def test_a_job_without_the_field_and_a_runtime_without_it_are_as_before(admin: Connection, team: str) -> None:
    put(admin, runtime_of(f"{team}-runtime"))
    known(admin, team, f"{team}-last")
    for scheduling in ({}, {"scheduling": {"queueName": "Q.1"}}):
        assert refused(admin, job_of(team, runtimeRef={"name": f"{team}-runtime"}, **scheduling)) is None
