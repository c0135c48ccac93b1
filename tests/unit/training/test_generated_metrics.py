"""Metrics of what a model makes while it trains: kept, resumed, the best of them, and gates at the end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from raygen.checkpoint import survey
from raygen.errors import GateFailedError, InputError, reason_of
from raygen.run.directory import RunDirectory
from raygen.spec import TrainingJob, parse
from raygen.storage import open_storage
from raygen.training.engine.control import Control
from raygen.training.engine.evaluation.gates import check_gates
from raygen.training.observers.events import Progress
from tests.jobs import image_job_document, job_document, write_images
from tests.unit.evaluation.extractors.trained import trained_extractor
from tests.unit.training.runs import Killed, Watcher, killed_at, losses, train

FRECHET = {"name": "frechet", "type": "FrechetDistance"}
IMAGE_METRICS = [
    FRECHET,
    {"name": "recall", "type": "Recall", "neighbours": 3},
    {"name": "score", "type": "ClassifierScore"},
    {"name": "kernel", "type": "KernelDistance"},
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with images and an extractor."""
    write_images(tmp_path / "images.parquet", 60)
    return tmp_path


def gan(base: Path, **changes: Any) -> dict[str, Any]:
    extractor = trained_extractor(base / "tiny.safetensors")
    return image_job_document(
        "GAN",
        **{
            "training__duration": {"steps": 6},
            "evaluation__everySteps": 2,
            "evaluation__samples": None,
            "evaluation__metrics": IMAGE_METRICS,
            "evaluation__generation": {"samples": 70, "extractor": extractor},
            "checkpoint__everySteps": 3,
        }
        | changes,
    )


def kept(base: Path, step: int) -> dict[str, Any]:
    path = base / "runs" / "tiny" / "evaluation" / f"step-{step:012d}.json"
    found = sorted(path.parent.iterdir())
    path = next(one for one in found if int(one.stem.removeprefix("step-")) == step)
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def outcome(base: Path) -> dict[str, Any]:
    return RunDirectory(open_storage(str(base / "runs")), "tiny").read_outcome() or {}


def trained_steps(base: Path) -> list[int]:
    """Every step that was recorded, in the order of the files."""
    run = RunDirectory(open_storage(str(base / "runs")), "tiny")
    return [line.step for line in run.read_metrics().lines if line.kind == "train"]


def test_values_are_logged_and_kept_with_all_that_is_needed_to_compute_them(images: Path) -> None:
    watcher = Watcher()
    document = gan(images)
    result = train(images, document, observer=watcher)
    assert list(watcher.evaluations) == [2, 4, 6]
    assert {"frechet", "recall", "score", "kernel"} <= set(watcher.evaluations[2])
    assert result.metrics == watcher.evaluations[6]
    for step, values in watcher.evaluations.items():
        assert kept(images, step)["values"] == values
    last = kept(images, 6)
    assert last["request"]["count"] == 70
    assert last["extractor"]["sha256"] == document["spec"]["evaluation"]["generation"]["extractor"]["sha256"]
    assert last["reference"]["split"] == "Train"
    assert last["reference"]["images"] == 54
    assert kept(images, 4)["intervals"] == {}
    interval = last["intervals"]["frechet"]
    assert interval["low"] < last["values"]["frechet"] < interval["high"]
    assert len(interval["without"]) == 10


def test_a_run_that_was_stopped_and_one_that_was_killed_give_the_same_digits(
    images: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = gan(images)
    whole = Watcher()
    train(images, document, observer=whole)
    other = tmp_path_factory.mktemp("other")
    for name in ("images.parquet", "tiny.safetensors"):
        (other / name).write_bytes((images / name).read_bytes())
    with pytest.raises(Killed):
        train(other, document, observer=killed_at(3))
    second, third = Watcher(), Watcher()
    assert train(other, document, observer=second, control=Control(stop_at=5)).state == "Stopped"
    assert train(other, document, observer=third).state == "Succeeded"
    assert second.evaluations[4] == whole.evaluations[4]
    assert third.evaluations[6] == whole.evaluations[6]
    for step in (2, 4, 6):
        assert kept(other, step) == kept(images, step)
    assert losses(other) == losses(images)


def test_the_checkpoint_with_the_least_distance_is_kept(images: Path) -> None:
    watcher = Watcher()
    changes = {"checkpoint": {"everySteps": 2, "keep": 2, "keepBest": {"metric": "frechet"}}}
    result = train(images, gan(images, **changes), observer=watcher)
    values = {step: found["frechet"] for step, found in watcher.evaluations.items()}
    best = min(values, key=lambda step: values[step])
    assert result.best["frechet"] == values[best]
    storage = open_storage(str(images / "runs" / "tiny" / "checkpoints"))
    assert {one.step for one in survey(storage)} == {best, 4, 6}


def test_validation_images_may_be_the_reference(images: Path) -> None:
    metrics = [{"name": "loss", "type": "ValidationLoss"}, FRECHET]
    generation = gan(images)["spec"]["evaluation"]["generation"] | {"reference": "Validation"}
    document = image_job_document(
        "VAE",
        training__duration={"steps": 2},
        evaluation={"metrics": metrics, "generation": generation},
    )
    result = train(images, document)
    assert set(result.metrics) == {"loss", "frechet"}
    reference = kept(images, 2)["reference"]
    assert (reference["split"], reference["images"]) == ("Validation", 6)


def test_texts_are_measured_in_a_transformer(base: Path) -> None:
    metrics = [{"name": kind, "type": kind} for kind in ("DistinctNgrams", "RepeatedNgrams", "SelfBLEU")]
    changes = {
        "training__duration": {"steps": 4},
        "evaluation": {
            "metrics": [{"name": "loss", "type": "ValidationLoss"}, *metrics],
            "generation": {"samples": 20, "maxTokens": 12, "prompts": ["the "]},
        },
    }
    result = train(base, job_document(**changes))
    assert set(result.metrics) == {"loss", "DistinctNgrams", "RepeatedNgrams", "SelfBLEU"}
    assert all(0 <= result.metrics[one["name"]] <= 1 for one in metrics)
    document = kept(base, 4)
    assert "extractor" not in document
    assert set(document["intervals"]) == {one["name"] for one in metrics}
    assert document["request"]["prompts"] == ["the "]


def test_texts_too_short_for_a_metric_are_left_out_with_a_notice(base: Path) -> None:
    watcher = Watcher()
    evaluation = {
        "metrics": [{"name": "repeated", "type": "RepeatedNgrams"}],
        "generation": {"samples": 2, "maxTokens": 1},
    }
    document = job_document(training__duration={"steps": 2}, evaluation=evaluation)
    assert train(base, document, observer=watcher).metrics == {}
    assert any("repeated is nan" in notice for notice in watcher.notices)
    assert kept(base, 2)["values"] == {}


def test_intervals_are_left_out_where_a_part_of_the_samples_is_too_small(images: Path) -> None:
    metrics = [{"name": "recall", "type": "Recall", "neighbours": 19}, FRECHET]
    generation = gan(images)["spec"]["evaluation"]["generation"] | {"samples": 20}
    result = train(images, gan(images, evaluation__metrics=metrics, evaluation__generation=generation))
    assert result.state == "Succeeded"
    assert set(kept(images, 6)["values"]) == {"recall", "frechet"}
    assert "recall" not in kept(images, 6)["intervals"]


@pytest.mark.parametrize(("samples", "images_of_the_job"), [(3, 60), (70, 3)])
def test_too_few_images_are_told_before_the_first_step(
    images: Path, samples: int, images_of_the_job: int
) -> None:
    write_images(images / "images.parquet", images_of_the_job)
    document = gan(images, data__validation=None, evaluation__everySteps=None)
    document["spec"]["evaluation"]["generation"]["samples"] = samples
    watcher = Watcher()
    with pytest.raises(InputError, match=r"recall needs at least 4 real images .* given 3") as caught:
        train(images, document, observer=watcher)
    assert "spec.evaluation.generation.samples" in caught.value.remedy
    assert trained_steps(images) == []


def test_another_file_in_place_of_the_extractor_is_refused(images: Path) -> None:
    document = gan(images)
    document["spec"]["evaluation"]["generation"]["extractor"]["sha256"] = "0" * 64
    for dry_run in (True, False):
        with pytest.raises(InputError, match="SHA-256"):
            train(images, document, dry_run=dry_run)
    assert train(images, gan(images), dry_run=True).state == "DryRun"


def test_a_stop_before_the_first_step_stops_the_run_and_fails_nothing(images: Path) -> None:
    control = Control()

    class Stopping(Watcher):
        def started(self, start: Any) -> None:
            control.stop("SIGTERM")

    document = gan(images)
    assert train(images, document, observer=Stopping(), control=control).state == "Stopped"
    assert train(images, document).state == "Succeeded"
    assert set(kept(images, 2)["values"]) >= {"frechet"}


def test_a_stop_while_it_generates_leaves_the_evaluation_to_the_next_attempt(images: Path) -> None:
    control = Control()

    class Stopping(Watcher):
        def progressed(self, progress: Progress) -> None:
            if progress.step == 4:
                control.stop("SIGTERM")

    document, first, second = gan(images), Stopping(), Watcher()
    stopped = train(images, document, observer=first, control=control)
    assert (stopped.state, stopped.step, list(first.evaluations)) == ("Stopped", 4, [2])
    assert train(images, document, observer=second).state == "Succeeded"
    assert list(second.evaluations) == [4, 6]
    train(images, document, observer=(whole := Watcher()), run="whole")
    assert whole.evaluations == first.evaluations | second.evaluations


@pytest.mark.parametrize(
    ("gate", "value", "passes"),
    [
        ({"atMost": 2}, 2.0, True),
        ({"atMost": 2}, 2.0000001, False),
        ({"atMost": 2}, -5.0, True),
        ({"atLeast": 0}, 0.0, True),
        ({"atLeast": 0}, -1e-9, False),
        ({"atLeast": 0}, 7.0, True),
        ({"atLeast": 0}, None, False),
    ],
)
def test_bounds_of_gates_pass_themselves(gate: dict[str, Any], value: float | None, passes: bool) -> None:
    job = gated({"metric": "loss", **gate})
    values = {} if value is None else {"loss": value}
    if passes:
        check_gates(job, values, 20)
        return
    with pytest.raises(GateFailedError, match="trained to step 20, but loss") as caught:
        check_gates(job, values, 20)
    assert (caught.value.exit_code, reason_of(caught.value)) == (4, "GateFailed")
    assert caught.value.where == "spec.evaluation.gates"


def gated(*gates: dict[str, Any]) -> TrainingJob:
    return parse(job_document(evaluation__gates=list(gates)))


def test_all_failed_gates_are_named_with_value_and_bound() -> None:
    job = gated({"metric": "loss", "atMost": 1}, {"metric": "loss", "atLeast": 9})
    with pytest.raises(
        GateFailedError, match=r"loss is 2\.5, which must be at most 1; loss is 2\.5, .* at least 9"
    ):
        check_gates(job, {"loss": 2.5}, 1)
    with pytest.raises(GateFailedError, match="no finite value"):
        check_gates(job, {"loss_standard_error": math.pi}, 1)


def test_a_failed_gate_keeps_all_and_another_one_lets_the_run_succeed(base: Path) -> None:
    failing = job_document(evaluation__gates=[{"metric": "loss", "atMost": 0.001}])
    with pytest.raises(GateFailedError):
        train(base, failing)
    said = outcome(base)
    assert (said["state"], said["reason"], said["step"], said["steps"]) == ("Failed", "GateFailed", 20, 20)
    assert "loss is" in said["message"]
    assert "start the run again" in said["remedy"]
    assert set(said["metrics"]) == {"loss"}
    before = trained_steps(base)
    watcher = Watcher()
    with pytest.raises(GateFailedError):
        train(base, failing, observer=watcher)
    assert watcher.progress == []
    passing = job_document(evaluation__gates=[{"metric": "loss", "atMost": 100}])
    result = train(base, passing, observer=watcher)
    assert (result.state, result.step) == ("Succeeded", 20)
    assert result.metrics == said["metrics"]
    assert watcher.progress == []
    assert watcher.evaluations == {}
    assert trained_steps(base) == before
    assert outcome(base)["state"] == "Succeeded"


def test_a_run_that_stops_early_has_to_pass_its_gates_too(base: Path) -> None:
    early = {"metric": "loss", "patience": 1, "minDelta": 100}
    gates = [{"metric": "loss", "atMost": 0.001}]
    document = job_document(evaluation__everySteps=2, training__earlyStopping=early, evaluation__gates=gates)
    with pytest.raises(GateFailedError, match="trained to step 4,"):
        train(base, document)
    before = trained_steps(base)
    document["spec"]["evaluation"]["gates"][0]["atMost"] = 100
    result = train(base, document)
    assert (result.state, result.reason, result.step) == ("Succeeded", "EarlyStopped", 4)
    assert trained_steps(base) == before


def test_a_run_that_is_stopped_has_no_gate_to_pass(base: Path) -> None:
    document = job_document(evaluation__gates=[{"metric": "loss", "atMost": 0.001}])
    assert train(base, document, control=Control(stop_at=15)).state == "Stopped"
