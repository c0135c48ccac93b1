"""What is kept of an object, of one that no definition would let in too."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.operator.attempts import stored_job
from tests.unit.operator.attempts.world import job


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"runtimeRef": {"name": "large"}}, "large"),
        ({"runtimeRef": {}}, "default"),
        ({"runtimeRef": None}, "default"),
        ({}, "default"),
        (None, "default"),
        # A kind of which one object cannot be read must not be lost whole.
        ({"runtimeRef": "large"}, "default"),
        ({"runtimeRef": {"name": ["large"]}}, "default"),
        ({"runtimeRef": {"name": {}}}, "default"),
        (["large"], "default"),
        ("large", "default"),
        (7, "default"),
    ],
)
def test_the_runtime_of_any_spec_is_a_name(spec: Any, name: str) -> None:
    document = job() | {"spec": spec}
    kept = stored_job.training_job(document)
    assert kept["runtime"] == name
    assert stored_job.opened(kept, "v", "k")["spec"] == (spec or {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"conditions": [{"type": "Succeeded"}]}, False),
        ({"attemptCount": 2}, False),
        ({"progress": {"rayJob": "tiny-r1", "attempt": 1, "firstStep": 1, "step": 1}}, True),
        ({"outcome": {"rayJob": "tiny-r1", "state": "Succeeded"}}, True),
    ],
)
def test_what_the_operator_wrote_itself_is_no_news(change: Any, says: bool) -> None:
    before = stored_job.training_job(job() | {"status": {}})
    after = stored_job.training_job(job() | {"status": change})
    assert stored_job.others_say_more(before, after) is says


def test_a_change_of_the_spec_or_a_deletion_is_news() -> None:
    before = stored_job.training_job(job())
    for change in ({"generation": 2}, {"deletionTimestamp": "2026-01-31T12:00:00Z"}, {"uid": "another"}):
        document = job()
        document["metadata"] |= change
        assert stored_job.others_say_more(before, stored_job.training_job(document))


@pytest.mark.parametrize("scale", [None, 7, [], {"workers": "many", "gpusPerWorker": None}])
def test_jobs_that_older_definitions_let_in_count_too(scale: Any) -> None:
    document = job()
    document["spec"]["scale"] = scale
    assert stored_job.training_job(document)["asks"] == (1, 0)
    assert stored_job.training_job(document | {"spec": ["odd"]})["asks"] == (1, 0)
