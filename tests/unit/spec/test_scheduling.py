"""The scheduler that a runtime names, and what a job may say to it: Python and CEL, and objects of before there was either."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.spec import parse
from raygen.spec.job.cluster import Scheduling
from raygen.spec.runtime import Scheduler, parse_runtime
from tests.jobs import job_document
from tests.unit.operator.attempts.world import runtime
from tests.unit.spec.cel import evaluate


def faults(**scheduler: Any) -> set[str]:
    """Of a runtime with this scheduler."""
    try:
        parse_runtime(runtime(scheduler=scheduler))
    except ValidationError as error:
        return {str(fault) for fault in error.faults}
    return set()


@pytest.mark.parametrize("kind", ["Kubernetes", "Kueue", "Volcano", "KAI", "YuniKorn"])
@pytest.mark.parametrize("queues", [None, ["a"], ["*"]])
@pytest.mark.parametrize("classes", [None, [], ["high"]])
def test_rules_of_a_scheduler_and_their_cel_agree(
    kind: str, queues: list[str] | None, classes: list[str] | None
) -> None:
    given = {"queueNames": queues, "priorityClassNames": classes}
    scheduler = {"type": kind} | {key: value for key, value in given.items() if value is not None}
    assert bool(faults(**scheduler)) is not all(evaluate(rule.cel, scheduler) for rule in Scheduler.rules)


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        (
            {"type": "Kueue", "queueNames": ["a"]},
            "queueNames: [1 item] belongs to type Volcano or KAI or YuniKorn",
        ),
        ({"type": "Kubernetes", "queueNames": ["a"]}, "not to this one (Kubernetes)"),
        ({"type": "KAI"}, "queueNames: must be given with KAI"),
        ({"type": "Volcano", "queueNames": []}, "queueNames: [] must be a list of 1 to 256 items"),
        ({"type": "Volcano", "queueNames": ["-a"]}, "no '-', '_' and '.' first and last"),
        ({"type": "Volcano", "queueNames": ["a{b}"]}, "and {namespace}"),
        ({"type": "Volcano", "priorityClassNames": ["A"]}, "lower-case letters"),
        ({"type": "Volcano", "priorityClassNames": ["a" * 64]}, "63 characters"),
        ({"type": "Slurm"}, "must be one of Kubernetes, Kueue"),
        ({"queueNames": ["a"]}, "type: is missing"),
    ],
)
def test_schedulers_that_cannot_be(scheduler: dict[str, Any], words: str) -> None:
    assert any(words in rule for rule in faults(**scheduler)), faults(**scheduler)


@pytest.mark.parametrize("given", [*itertools.product([None, "research"], [None, "high"])])
def test_a_job_that_is_scheduled_says_how(given: tuple[str | None, str | None]) -> None:
    (rule,) = Scheduling.rules
    keys = zip(("queueName", "priorityClassName"), given, strict=True)
    scheduling = {key: value for key, value in keys if value is not None}
    assert evaluate(rule.cel, scheduling) is bool(scheduling)
    document = job_document(scheduling=scheduling)
    if scheduling:
        parse(document)
        return
    with pytest.raises(ValidationError) as caught:
        parse(document)
    (fault,) = caught.value.faults
    assert fault.path == "spec.scheduling"


@pytest.mark.parametrize("queue", ["research", "Q.1", "a_b", "a" * 63])
def test_objects_of_before_stay_valid(queue: str) -> None:
    job = parse(job_document(scheduling={"queueName": queue}))
    assert job.spec.scheduling is not None
    assert job.spec.scheduling.queue_name == queue
    assert parse(job_document()).spec.scheduling is None
    assert parse_runtime(runtime()).spec.scheduler is None


@pytest.mark.parametrize(
    ("allowed", "queue", "fits"),
    [
        ("research", "research", True),
        ("research", "research2", False),
        ("*", "anything", True),
        ("root.{namespace}", "root.team", True),
        ("root.{namespace}", "root.other", False),
        ("{namespace}", "team", True),
        ("{namespace}-low", "team-low", True),
    ],
)
def test_queues_that_a_runtime_allows(allowed: str, queue: str, fits: bool) -> None:
    scheduler = Scheduler.model_validate({"type": "YuniKorn", "queueNames": (allowed,)})
    assert scheduler.allows_queue(queue, "team") is fits
