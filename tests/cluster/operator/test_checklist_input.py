"""What is out of range, reserved or meant for a shell: refused at once, or taken literally (rows 16-18)."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.kube import TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.spec import Fault, parse
from raygen.spec.job.training_job import TrainingJob
from raygen.spec.schema.faults import spelled
from raygen.spec.schema.fields import Shape
from tests.cluster.operator import asking
from tests.cluster.operator.asking import get_at, job_of, places, refused, says, set_at
from tests.cluster.operator.stub import Harmed, Process, Surroundings
from tests.jobs import image_job_document, job_document
from tests.unit.operator.attempts.world import World, runtime
from tests.unit.operator.rayjob.test_render import expanded

Object = dict[str, Any]

SHELL = (
    "$(id)",
    "`id`",
    ";id",
    "a|id",
    "a&&id",
    "a>b",
    "a\nid",
    "'a",
    '"a',
    "${HOME}",
    "$HOME",
    "$(AWS_SECRET_ACCESS_KEY)",
    "$$(X)",
    "-x",
    "a b",
    "a\\",
    "\u2028a",
)
"""What a shell, Kubernetes or a file format would take for more than text."""
AUGMENTATION = {
    "crop": {"type": "Padded", "border": "Edge"},
    "rotate": {"degrees": 5, "border": "Edge"},
    "affine": {"border": "Edge", "degrees": 5},
    "mixing": {"type": "MixUp"},
}
EVALUATION: Object = {
    "evaluation__generation": {"prompts": ["a"]},
    "evaluation__gates": [{"metric": "loss", "atMost": 5}],
}
EXTRACTOR = {
    "type": "Timm",
    "uri": "s3://datasets/e.safetensors",
    "sha256": "0" * 64,
    "model": "resnet18",
}
GENERATION = {"reference": "Validation", "extractor": EXTRACTOR}
PREPARATION = {"uri": "s3://datasets/p", "memoryPerWorker": "4Gi", "encoding": "Raw"}
SCHEDULER = {"type": "YuniKorn", "queueNames": ["*"], "priorityClassNames": ["high"]}
"""One that takes the jobs below."""


def bases() -> list[Object]:
    """Jobs that together have every field of text, and every choice."""
    optimizer = {"type": "AdamW", "learningRate": 0.01}
    text = job_document(
        data__train__sources=[{"uri": "s3://datasets/a.jsonl", "format": "JsonLines", "field": "text"}],
        data__validation={"sources": [{"uri": "s3://datasets/b", "format": "JsonLines", "field": "text"}]},
        model__transformer__activation="GELU",
        training__schedule={"type": "Constant"},
        training__precision="Float32",
        training__compile="Never",
        training__earlyStopping={"metric": "loss", "patience": 2},
        training__guards=[{"type": "LossSpike", "action": "Warn"}],
        **EVALUATION,
        checkpoint={"everySteps": 5, "keepBest": {"metric": "loss"}},
        output={"uri": "s3://runs/team/", "run": "r"},
        tracking={"wandb": {"project": "p"}, "mlflow": {"experiment": "e"}},
        scale={"memoryPerWorker": "4Gi", "acceleratorType": "H100"},
        scheduling={"queueName": "q", "priorityClassName": "high"},
        runtimeRef={"name": "default"},
    )
    cleaning = {
        "controlCharacters": "Remove",
        "unicode": "NFC",
        "masking": {"patterns": ["Email"], "entities": ["PERSON"], "entityModel": "en_core_web_lg"},
        "ruleSets": ["C4"],
        "scripts": ["Latin"],
        "languages": ["en"],
        "blockList": {"words": ["x"]},
        "duplicates": {"type": "Exact"},
    }
    prepared = job_document(
        data__train__sources=[{"uri": "s3://datasets/a", "format": "Parquet", "contents": "Text"}],
        data__validation={"sources": [{"uri": "s3://datasets/b", "format": "Parquet", "contents": "Text"}]},
        data__packing="Documents",
        data__reading={"type": "RayData"},
        data__cleaning={"text": cleaning},
        training__changes=[{"atStep": 5, "values": {"training.optimizer.learningRate": 0.02}}],
        preparation=PREPARATION,
    )
    listed = copy.deepcopy(prepared)
    listed["spec"]["data"]["cleaning"]["text"]["blockList"] = {"uri": "s3://datasets/words"}
    text["metadata"] |= {"labels": {"a": "b"}, "annotations": {"a": "b"}}
    images = {"uri": "s3://datasets/i", "format": "Parquet", "field": "image", "labelField": "label"}
    digits = {"uri": "s3://datasets/i", "format": "Idx", "labels": "s3://datasets/l"}
    vae = image_job_document(
        "VAE",
        data={
            "train": {"sources": [images]},
            "validation": {"sources": [images]},
            "images": {"fit": "Pad", "mode": "Grey"},
            "cleaning": {"images": {"uniform": "Drop", "colours": "Any", "duplicates": {"type": "Pixels"}}},
            "augmentation": AUGMENTATION,
        },
        preparation=PREPARATION,
        evaluation__generation=GENERATION,
        model__vae__activation="ReLU",
        model__vae__binarisation="Dynamic",
    )
    gan = image_job_document(
        "GAN",
        data={"train": {"sources": [digits]}, "validation": {"sources": [digits]}},
        model__gan__normalisation="Batch",
        model__gan__augmentation={"type": "Adaptive"},
        training__optimizers={"generator": optimizer, "discriminator": optimizer},
    )
    package = {"uri": "s3://datasets/m.whl", "sha256": "0" * 64}
    code = {"entrypoint": "m:M", "package": package, "parameters": {"a": 1}}
    folder = {"uri": "s3://datasets/h", "format": "HuggingFace", "split": "train", "subset": "a"}
    custom = image_job_document(
        "Custom",
        model__custom=code,
        data__train__sources=[folder],
        data__validation={"sources": [folder]},
    )
    for document in (prepared, listed, vae, gan, custom):
        document["spec"]["output"] = {"uri": "s3://runs/team/"}
    every = [text, prepared, listed, vae, gan, custom]
    for document in every:
        parse(document)
    return every


def held(document: Object, kinds: tuple[str, ...]) -> Iterator[tuple[tuple[str | int, ...], Shape]]:
    """The fields of some kinds that a job has."""
    for path, shape in places(TrainingJob):
        if shape.kind in kinds and get_at(document, path) is not None:
            yield path, shape


def injected(document: Object, kinds: tuple[str, ...]) -> Iterator[tuple[Object, tuple[str | int, ...], str]]:
    """The job with each hostile text in each of its fields: the document, the field, the text."""
    for path, shape in held(document, kinds):
        for text in SHELL:
            changed = copy.deepcopy(document)
            if shape.kind == "map":
                # As a key and as a value; parameters hold numbers.
                holder = get_at(changed, path)
                holder["b"] = text
                yield changed, path, text
                changed = copy.deepcopy(document)
                get_at(changed, path)[text] = next(iter(get_at(document, path).values()))
            else:
                # A URI stays below the runtime's prefixes.
                before = get_at(document, path) if path[-1] in ("uri", "labels") else ""
                set_at(changed, path, before + text)
            yield changed, path, text


def test_the_jobs_below_have_every_field_that_takes_text() -> None:
    kinds = ("text", "choice", "map")
    there = {path for document in bases() for path, _ in held(document, kinds)}
    asked = {path for path, shape in places(TrainingJob) if shape.kind in kinds}
    assert asked - there == {("metadata", "namespace")}


def faults(document: Object) -> list[Fault]:
    """What is wrong with a job."""
    try:
        parse(document)
    except ValidationError as error:
        return list(error.faults)
    return []


def literal(document: Object) -> tuple[Object, Any] | None:
    """The RayJob that the operator makes of a job, and the job that its driver reads; None if it makes none."""
    sent = copy.deepcopy(document)
    metadata = {"namespace": "team", "uid": "uid-tiny", "generation": 1, "resourceVersion": "1"}
    sent["metadata"] |= metadata | {"creationTimestamp": "2026-01-31T12:00:00Z"}
    made = World(sent, runtime(allowCustomCode=True, scheduler=SCHEDULER)).look().create
    if made is None:
        return None
    (container,) = made["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    (carried,) = (one for one in container["env"] if one["name"] == "RAYGEN_JOB")
    read = json.loads(expanded(carried["value"]))
    carried["value"] = ""
    return made, read


@pytest.mark.parametrize("number", range(6), ids=["text", "prepared", "listed", "vae", "gan", "custom"])
def test_what_a_shell_would_run_is_refused_with_its_field_or_stays_text(number: int) -> None:
    document = bases()[number]
    counts = {"refused": 0, "literal": 0}
    for changed, path, text in injected(document, ("text", "choice", "map")):
        found = faults(changed)
        if found:
            assert any(one.path.startswith(spelled(path)) and one.rule and one.remedy for one in found), path
            counts["refused"] += 1
            continue
        rendered = literal(changed)
        assert rendered is not None, path
        ray_job, read = rendered
        verb = "prepare" if "preparation" in document["spec"] else "train"
        assert ray_job["spec"]["entrypoint"] == f"raygen {verb} env:RAYGEN_JOB"
        # Beside the job file, which nothing expands, it is nowhere in the RayJob.
        if len(text) > 2:
            assert json.dumps(text)[1:-1] not in json.dumps(ray_job), (path, text)
        if path[0] == "spec":
            assert get_at(read, path) == get_at(changed, path), (path, text)
        counts["literal"] += 1
    assert min(counts.values()) > 0, counts


def test_the_api_server_refuses_and_takes_the_same_texts(admin: Connection, team: str) -> None:
    storage = {"allowedUriPrefixes": ["s3://datasets/", "s3://runs/team"]}
    grants = {"allowCustomCode": True, "storage": storage, "scheduler": SCHEDULER}
    asking.put(admin, asking.runtime_of(f"{team}-runtime", **grants))
    tried = 0
    for document in bases():
        document["spec"]["runtimeRef"] = {"name": f"{team}-runtime"}
        for changed, path, text in injected(document, ("text", "map")):
            if tried % 3 and path[0] == "spec":
                tried += 1
                continue
            tried += 1
            changed["metadata"]["namespace"] = team
            error = refused(admin, changed)
            if faults(changed):
                names = spelled(path) if path[0] == "spec" else str(path[-1])
                says(error, names.split("[")[0])
            else:
                assert error is None, (path, text, error)
    assert tried > 400


def test_hostile_texts_reach_the_cluster_as_they_are(admin: Connection, team: str) -> None:
    """One job with all of them, on a real API server: what comes back is what was sent."""
    asking.put(admin, asking.runtime_of(f"{team}-runtime"))
    document = job_of(
        team,
        runtimeRef={"name": f"{team}-runtime"},
        tracking={"wandb": {"project": "$(id);`id`"}, "mlflow": {"experiment": "a\n'\"${HOME}"}},
        evaluation__samples__prompts=list(SHELL),
        data__train__sources=[
            {"uri": "s3://datasets/$(id);`id`", "format": "JsonLines", "field": "$(AWS_SECRET_ACCESS_KEY)"}
        ],
    )
    admin.create(TRAINING_JOBS, team, document)
    Process(Harmed(admin), team).work()
    (ray_job,) = Surroundings(admin, team).ray_jobs()
    assert ray_job["spec"]["entrypoint"] == "raygen train env:RAYGEN_JOB"
    (container,) = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    values = {one["name"]: one["value"] for one in container["env"]}
    read = json.loads(expanded(values.pop("RAYGEN_JOB")))
    for part in ("tracking", "evaluation", "data"):
        assert read["spec"][part] == document["spec"][part]
    assert "id" not in "".join(values.values()).replace("uid", "")


NUMBERS = (0, -1, 2**31, 2**53, 10**9, 10**30, float("nan"), float("inf"))


@pytest.mark.parametrize("number", range(6), ids=["text", "prepared", "listed", "vae", "gan", "custom"])
def test_a_number_out_of_range_is_refused_at_once_wherever_it_is(number: int) -> None:
    """In the time that any job takes: nothing counts up to it, and nothing as large is made."""
    document, tried = bases()[number], 0
    for path, shape in places(TrainingJob):
        if shape.kind != "whole" or path[0] != "spec":
            continue
        low, high = shape.bounds["ge"], shape.bounds["le"]
        for value in NUMBERS:
            if low <= value <= high:
                continue
            changed = copy.deepcopy(document)
            set_at(changed, path, value)
            before = time.process_time()
            with pytest.raises(ValidationError) as caught:
                parse(changed)
            assert time.process_time() - before < 0.5, (path, value)
            field = spelled(path)
            (fault,) = [one for one in caught.value.faults if one.path == field]
            assert fault.value, fault
            assert fault.rule.startswith("must be"), fault
            assert fault.remedy, fault
            tried += 1
    assert tried > 150


def test_the_api_server_refuses_numbers_out_of_range_wherever_they_are(admin: Connection, team: str) -> None:
    tried = 0
    for path, shape in places(TrainingJob):
        if shape.kind != "whole" or path[0] != "spec":
            continue
        for value in (-1, shape.bounds["ge"] - 1, shape.bounds["le"] + 1):
            changed = job_of(team)
            set_at(changed, path, value)
            error = refused(admin, changed)
            says(error, spelled(path), f"Invalid value: {value}", "should be")
            tried += 1
    assert tried > 90


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400"])
def test_what_is_no_number_is_no_json_for_the_api_server(admin: Connection, team: str, value: str) -> None:
    document = job_of(team, scale={"workers": float("nan" if value == "NaN" else "inf")})
    if value == "1e400":
        document["spec"]["scale"] = {"workers": 10**400}
    error = refused(admin, document)
    assert error is not None
    assert error.status in (400, 422)


RESERVED = [
    "raygen.io/job",
    "raygen.io/attempt",
    "raygen.io/job-hash",
    "sub.raygen.io/x",
    "ray.io/node-type",
    "x.ray.io/cluster",
    "kueue.x-k8s.io/queue-name",
    "kueue.x-k8s.io/priority-class",
]


@pytest.mark.parametrize("place", ["labels", "annotations"])
@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_name_is_refused_when_a_job_is_made_and_when_it_is_changed(
    admin: Connection, team: str, name: str, place: str
) -> None:
    document = job_of(team)
    words = (name, "is reserved", "Remove it", "metadata")
    tampered = copy.deepcopy(document)
    tampered["metadata"][place] = {name: "x"}
    says(refused(admin, tampered), *words)
    admin.create(TRAINING_JOBS, team, document)
    body = {"metadata": {place: {name: "x"}}}
    with pytest.raises(ApiError) as caught:
        admin.request("PATCH", TRAINING_JOBS.path(team, "tiny"), body=body, content_type=MERGE)
    says(caught.value, *words)


def test_where_the_policies_are_missing_no_name_of_a_job_reaches_its_ray_job() -> None:
    world = World()
    assert world.job is not None
    mine = dict.fromkeys([*RESERVED, "team.io/x", "app"], "smuggled")
    world.job["metadata"] |= {"labels": mine, "annotations": mine}
    ray_job = world.look().create
    assert ray_job is not None
    assert "smuggled" not in json.dumps(ray_job)
    assert ray_job["metadata"]["labels"] == {"raygen.io/job": "tiny", "raygen.io/attempt": "1"}
