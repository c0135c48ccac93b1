"""The definitions before a real API server: the same verdict as `raygen validate`, and what cannot change."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.kube import RUNTIMES, TRAINING_JOBS, ApiError, Connection
from raygen.spec import parse
from raygen.spec.runtime import parse_runtime
from raygen.spec.schema.crd import MAX_BYTES
from tests.cluster.apiserver import ROOT
from tests.jobs import image_job_document, job_document
from tests.unit.operator.attempts.world import runtime
from tests.unit.spec.documents import job_documents, mutated, valid_jobs

Object = dict[str, Any]

CRDS = sorted((ROOT / "manifests" / "crd").glob("*.yaml"))
thousands = settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def verdict(admin: Connection, document: Any) -> ApiError | None:
    """What the API server says of a job, under its strictest checks."""
    path = TRAINING_JOBS.path("default")
    document = whole(document)
    try:
        admin.request("POST", path, query={"dryRun": "All", "fieldValidation": "Strict"}, body=document)
    except ApiError as error:
        # Policies are asked last, of what the definition has taken.
        return None if "ValidatingAdmissionPolicy" in error.what else error
    return None


def whole(value: Any) -> Any:
    """With 1.0 as 1, which `raygen submit` sends; the API server takes no other spelling of a whole number."""
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def without_nulls(value: Any) -> Any:
    """As the API server keeps it: a key with null is one that was left out."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def agree(admin: Connection, document: Any) -> None:
    """Both take the job, or both refuse it."""
    try:
        parse(without_nulls(document))
    except ValidationError as error:
        ours: ValidationError | None = error
    else:
        ours = None
    theirs = verdict(admin, document)
    if ours is None and theirs is not None and "unknown field" in theirs.what:
        # A key that nobody knows is one with null too.
        with pytest.raises(ValidationError):
            parse(document)
        return
    assert (ours is None) == (theirs is None), f"{json.dumps(document)}\n{ours}\n{theirs}"


def as_object(document: Any) -> Any:
    """A job as an object of the namespace `default`, without what only a cluster or only a file has."""
    document = copy.deepcopy(document)
    document["metadata"] = {"name": document["metadata"]["name"].replace("_", "-").lower()}
    return document


@thousands
@given(job_documents())
def test_rules_over_several_fields_have_the_same_verdict(admin: Connection, document: Object) -> None:
    agree(admin, as_object(document))


@thousands
@given(mutated(st.one_of(valid_jobs(), job_documents()).map(lambda job: job["spec"])))
def test_damaged_specs_have_the_same_verdict(admin: Connection, spec: Object) -> None:
    job = {"apiVersion": "raygen.io/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "n"}, "spec": spec}
    agree(admin, job)


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_a_definition_is_small(path: Path) -> None:
    assert len(json.dumps(yaml.safe_load(path.read_text()))) < MAX_BYTES


def test_what_cannot_be_honoured_cannot_change(admin: Connection, team: str) -> None:
    def job(**changes: Any) -> Object:
        document = job_document(**changes, runtimeRef={"name": "absent"})
        document["metadata"]["namespace"] = team
        return document

    apply = lambda document: admin.apply(  # noqa: E731
        TRAINING_JOBS, team, "tiny", document, manager="user"
    )
    apply(job())
    allowed = [
        {"training__duration": {"steps": 99}},
        {"evaluation__everySteps": 3},
        {"checkpoint": {"everySteps": 7}},
        {"attempts": {"limit": 9}},
        {"scale": {"workers": 2}},
        {"ttlSecondsAfterFinished": 5},
        {"suspend": True},
        {"suspend": True, "data__train__sources": [{"uri": "elsewhere.txt"}]},
        {},
    ]
    for changes in allowed:
        apply(job(**changes))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"model__transformer__layers": 3}, "spec.model"),
        ({"training__seed": 2}, "spec.training.seed"),
        ({"training__optimizer__learningRate": 0.5}, "spec.training.optimizer"),
        ({"training__ema": {}}, "spec.training.ema"),
        ({"data__tokenizer": {"type": "Byte"}}, "spec.data.tokenizer"),
        ({"output": {"uri": "other"}}, "spec.output"),
    ]
    for changes, field in refused:
        with pytest.raises(ApiError) as caught:
            apply(job(**changes))
        assert caught.value.status == 422
        assert [path for path, _ in caught.value.causes] == [field], changes
        assert "Make another TrainingJob" in caught.value.what


def test_sources_change_while_a_job_is_suspended_and_no_spec_once_it_has_ended(
    admin: Connection, team: str
) -> None:
    def apply(**changes: Any) -> None:
        document = job_document(**changes, runtimeRef={"name": "absent"})
        document["metadata"]["namespace"] = team
        admin.apply(TRAINING_JOBS, team, "tiny", document, manager="user")

    def refused(field: str, words: str, **changes: Any) -> None:
        with pytest.raises(ApiError, match=words) as caught:
            apply(**changes)
        assert [path for path, _ in caught.value.causes] == [field]

    apply()
    elsewhere = {"data__train__sources": [{"uri": "elsewhere.txt"}]}
    refused("spec.data", r"Suspend it first \(raygen stop\)", **elsewhere)
    refused("spec.data", "Suspend it first", **elsewhere, suspend=True)
    refused("spec.data", "Suspend it first", data__validation={"fraction": 0.3})
    apply(suspend=True)
    apply(**elsewhere)
    ended = {"status": {"completionTime": "2026-01-31T12:00:00Z"}}
    path = TRAINING_JOBS.path(team, "tiny", "status")
    admin.request("PATCH", path, body=ended, content_type="application/merge-patch+json")
    refused("spec", "since the job has ended. Delete it", **elsewhere, attempts={"limit": 9})
    apply(**elsewhere)
    apply(**elsewhere, ttlSecondsAfterFinished=60)


@pytest.mark.parametrize("family", ["VAE", "GAN"])
def test_jobs_of_each_family_are_taken(admin: Connection, family: str) -> None:
    assert verdict(admin, image_job_document(family)) is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("scale__workers", 0, "spec.scale.workers"),
        ("scale__workers", -1, "spec.scale.workers"),
        ("scale__workers", 2**31, "spec.scale.workers"),
        ("scale__workers", 1.5, "spec.scale.workers"),
        ("output__uri", "s3://bucket/../other", "spec.output.uri"),
        ("output__uri", "s3://user:secret@bucket/runs", "spec.output.uri"),
        ("output__uri", "s3://bucket/runs?versionId=1", "spec.output.uri"),
        ("output__uri", "s3://bucket/%2e%2e/other", "spec.output.uri"),
        ("output__run", "$(id)", "spec.output.run"),
        ("output__run", "a;b", "spec.output.run"),
        ("runtimeRef__name", "other/default", "spec.runtimeRef.name"),
        ("scheduling__queueName", "a b", "spec.scheduling.queueName"),
        ("scheduling__priorityClassName", "A", "spec.scheduling.priorityClassName"),
        ("scheduling__priorityClassName", "a" * 64, "spec.scheduling.priorityClassName"),
        (
            "evaluation__metrics",
            [{"name": "a`b`", "type": "ValidationLoss"}],
            "spec.evaluation.metrics[0].name",
        ),
    ],
)
def test_bad_input_is_refused_at_apply_with_its_field(
    admin: Connection, path: str, value: Any, words: str
) -> None:
    holder, _, key = path.partition("__")
    document = job_document()
    document["spec"].setdefault(holder, {})[key] = value
    error = verdict(admin, document)
    assert error is not None
    assert words in error.what, error.what
    agree(admin, document)


@pytest.mark.parametrize("kind", ["Kubernetes", "Kueue", "Volcano", "KAI", "YuniKorn", "Slurm", None])
@pytest.mark.parametrize("queues", [None, [], ["*"], ["root.{namespace}", "a_B.c"], ["-a"], ["a{b}"]])
@pytest.mark.parametrize("classes", [None, ["high", "a.b-c"], ["A"]])
def test_schedulers_have_the_same_verdict(
    admin: Connection, kind: str | None, queues: list[str] | None, classes: list[str] | None
) -> None:
    given = {"type": kind, "queueNames": queues, "priorityClassNames": classes}
    scheduler = {key: value for key, value in given.items() if value is not None}
    document = {"apiVersion": "raygen.io/v1alpha1", "kind": "RaygenRuntime", **runtime(scheduler=scheduler)}
    document["metadata"] = {"name": "tried"}
    try:
        parse_runtime(document)
        ours = None
    except ValidationError as error:
        ours = error
    try:
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        admin.request("POST", RUNTIMES.path(), query=query, body=document)
        theirs = None
    except ApiError as refused:
        theirs = refused
        assert "spec.scheduler" in theirs.what
    assert (ours is None) == (theirs is None), f"{scheduler}\n{ours}\n{theirs}"


def test_a_job_of_a_megabyte_and_a_half_is_refused(admin: Connection) -> None:
    document = job_document(evaluation__samples__prompts=["x" * 4096] * 64)
    document["spec"]["data"]["train"]["sources"] = [{"uri": "s3://" + "x" * 1000}] * 500
    document["metadata"]["annotations"] = {"a/b": "x" * 800_000}
    with pytest.raises(ApiError) as caught:
        admin.create(TRAINING_JOBS, "default", document)
    assert caught.value.status in (413, 422, 400)
    assert len(str(caught.value)) < 5000
