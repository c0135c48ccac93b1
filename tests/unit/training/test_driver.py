"""Whole runs of a small model through `raygen.train`."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from raygen.checkpoint import steps as checkpoint_steps
from raygen.errors import (
    CheckpointError,
    FencedError,
    GuardError,
    InputError,
    OutputError,
)
from raygen.inference.run import Run
from raygen.models.protocol import SampleRequest
from raygen.models.transformer.family import TransformerFamily
from raygen.run.directory import RunDirectory
from raygen.spec.families.table import FAMILIES
from raygen.storage import LocalStorage, open_storage
from raygen.training.observers.events import Observer, Progress, Started
from tests.jobs import image_job_document, job_document
from tests.unit.training.runs import Killed, Watcher, killed_at, losses, train


def test_a_run_learns_and_leaves_everything_behind(base: Path) -> None:
    watcher = Watcher()
    result = train(base, observer=watcher)
    run = base / "runs" / "tiny"
    assert (result.state, result.reason, result.step, result.attempt) == ("Succeeded", "Completed", 20, 1)
    assert result.exit_code == 0
    course = losses(base)
    assert list(course) == list(range(1, 21))
    assert course[20] < course[1] - 0.3
    assert list(watcher.evaluations) == [10, 20]
    assert result.metrics == watcher.evaluations[20]
    newest = watcher.progress[-1]
    assert 0 < newest.waited < newest.trained
    assert newest.saving > 0
    assert list(watcher.samples) == [10, 20]
    assert watcher.samples[20][0].prompt == "the "
    assert len(watcher.samples[20][0].text or "") == 8
    assert watcher.checkpoints == [5, 10, 15, 20]
    assert sorted(p.name for p in run.iterdir() if p.name != "tensorboard") == [
        "attempts", "checkpoints", "data", "job.json", "metrics", "outcome.json", "report.html", "samples",
    ]  # fmt: skip
    document = json.loads((run / "job.json").read_text())
    assert document["job"]["spec"]["model"]["transformer"]["feedForwardSize"] == 48
    assert document["job"]["spec"]["training"]["optimizer"]["betas"] == [0.9, 0.95]
    assert len(document["data"]["fingerprint"]) == 64
    assert document["parameters"] == watcher.plans[0].parameters
    assert json.loads((run / "outcome.json").read_text())["state"] == "Succeeded"


def test_the_same_job_and_seed_give_the_same_losses(base: Path) -> None:
    train(base, run="a")
    train(base, run="b")
    assert losses(base, "a") == losses(base, "b")
    train(base, job_document(training__seed=2), run="c")
    assert losses(base, "a") != losses(base, "c")


HARD = {
    "model__transformer__dropout": 0.1,
    "training__microBatchSize": 3,
    "training__ema": {"decay": 0.9},
    "training__schedule": {"type": "Cosine", "warmupSteps": 4},
    "training__gradientClipNorm": 0.5,
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "AdaGrad", "Muon"])
def test_an_interrupted_run_continues_bit_for_bit(base: Path, optimizer: str) -> None:
    kind = {"type": optimizer, "learningRate": 1e-2, **({"momentum": 0.9} if optimizer == "SGD" else {})}
    document = job_document(**HARD, training__optimizer=kind)
    whole = train(base, document, run="whole")
    for step in (5, 15):
        with pytest.raises(Killed):
            train(base, document, run="cut", observer=killed_at(step))
    watcher = Watcher()
    resumed = train(base, document, run="cut", observer=watcher)
    assert watcher.plans[0].first_step > 1
    assert resumed.attempt == 3
    assert losses(base, "cut") == losses(base, "whole")
    assert resumed.metrics == whole.metrics


def test_weights_are_equal_after_an_interruption_across_an_epoch(base: Path) -> None:
    document = job_document(training__duration={"epochs": 1.3}, training__globalBatchSize=64)
    train(base, document, run="whole")
    with pytest.raises(Killed):
        train(base, document, run="cut", observer=killed_at(5))
    train(base, document, run="cut")
    whole, cut = (Run.open(base / "runs" / name).checkpoint() for name in ("whole", "cut"))
    assert whole.step == cut.step
    assert all(torch.equal(whole.tensors[name], cut.tensors[name]) for name in whole.tensors)


def test_a_start_that_died_before_its_tokenizer_was_kept_is_mended(base: Path) -> None:
    with pytest.raises(Killed):
        train(base, observer=killed_at(5))
    shutil.rmtree(base / "runs" / "tiny" / "data")
    train(base)
    assert Run.open(base / "runs" / "tiny").sample(SampleRequest(max_tokens=3))[0].text


def test_a_request_to_stop_leaves_a_checkpoint_and_is_resumable(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    train(base, run="whole")
    watcher = Watcher(lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == 10 else None)
    stopped = train(base, run="cut", observer=watcher)
    assert (stopped.state, stopped.reason, stopped.exit_code) == ("Stopped", "SIGTERM", 3)
    assert stopped.step == 10
    assert train(base, run="cut").state == "Succeeded"
    assert losses(base, "cut") == losses(base, "whole")


def test_a_complete_run_does_nothing_and_a_longer_duration_continues(base: Path) -> None:
    first = train(base)
    again = train(base)
    assert (again.reason, again.attempt, again.metrics) == ("AlreadyComplete", 1, first.metrics)
    longer = train(base, job_document(training__duration={"steps": 30}))
    assert (longer.step, longer.attempt) == (30, 2)
    assert list(losses(base)) == list(range(1, 31))
    document = json.loads((base / "runs" / "tiny" / "job.json").read_text())
    assert document["job"]["spec"]["training"]["duration"]["steps"] == 30
    assert len(document["environment"]) > 5


def test_another_job_is_refused_with_the_differences(base: Path) -> None:
    train(base)
    before = (base / "runs" / "tiny" / "job.json").read_bytes()
    with pytest.raises(OutputError) as caught:
        train(base, job_document(training__seed=7, model__transformer__layers=3))
    assert "spec.training.seed: 1 in the run, 7 now" in str(caught.value)
    assert "spec.model.transformer.layers: 2 in the run, 3 now" in str(caught.value)
    assert (base / "runs" / "tiny" / "job.json").read_bytes() == before


def test_other_data_under_the_same_run_is_refused(base: Path) -> None:
    train(base)
    with (base / "text.txt").open("a") as text:
        text.write("the end\n")
    with pytest.raises(OutputError, match="not the data that this run began with"):
        train(base, job_document(training__duration={"steps": 30}))


def test_a_child_starts_from_its_parents_weights(base: Path) -> None:
    train(base)
    parent = base / "runs" / "tiny"
    watcher = Watcher()
    document = job_document(training__optimizer={"type": "SGD", "learningRate": 1e-6})
    child = train(base, document, run="child", parent=str(parent), observer=watcher)
    assert child.metrics["loss"] == pytest.approx(train(base).metrics["loss"], abs=1e-3)
    assert json.loads((base / "runs" / "child" / "job.json").read_text())["parent"]["step"] == 20
    shutil.rmtree(parent)
    assert train(base, document, run="child", parent=str(parent)).reason == "AlreadyComplete"
    with pytest.raises(OutputError, match="did not start from"):
        train(base, document, run="child", parent=str(base / "runs" / "child"))


def test_a_child_that_died_early_starts_from_its_parent_again(base: Path) -> None:
    train(base)
    parent = str(base / "runs" / "tiny")
    document = job_document(training__seed=9)
    train(base, document, run="whole", parent=parent)

    def die(start: Started) -> None:
        raise Killed

    watcher = Watcher()
    watcher.started = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        train(base, document, run="cut", parent=parent, observer=watcher)
    train(base, document, run="cut")
    assert losses(base, "cut") == losses(base, "whole")


def test_a_child_that_does_not_fit_leaves_nothing_behind(base: Path) -> None:
    train(base)
    parent = str(base / "runs" / "tiny")
    with pytest.raises(InputError, match=r"do not fit this job's model: .* differ") as caught:
        train(base, job_document(model__transformer__hiddenSize=32), run="wide", parent=parent)
    assert caught.value.where == f"--from {parent}, step 20"
    with pytest.raises(InputError, match="tokenizer is Character"):
        train(base, job_document(data__tokenizer={"type": "Byte"}), run="bytes", parent=parent)
    assert not [path for path in base.glob("runs/*/**/*") if path.is_file() and "tiny" not in path.parts]


def test_early_stopping_counts_evaluations_without_a_gain(base: Path) -> None:
    document = job_document(
        training__duration={"steps": 100},
        training__optimizer={"type": "SGD", "learningRate": 1e-9},
        training__earlyStopping={"metric": "loss", "patience": 2, "minDelta": 0.01},
        evaluation__samples=None,
    )
    result = train(base, document)
    assert (result.reason, result.step) == ("EarlyStopped", 30)
    assert train(base, document).reason == "AlreadyComplete"


def test_a_run_that_was_killed_after_its_last_step_ends_there(base: Path) -> None:
    document = job_document(
        training__duration={"steps": 100},
        training__optimizer={"type": "SGD", "learningRate": 1e-9},
        training__earlyStopping={"metric": "loss", "patience": 2, "minDelta": 0.01},
        evaluation__samples=None,
    )
    train(base, document)
    run = base / "runs" / "tiny"
    (run / "outcome.json").unlink()
    result = train(base, document)
    assert (result.reason, result.step, result.attempt) == ("EarlyStopped", 30, 2)
    assert checkpoint_steps(LocalStorage(run / "checkpoints"))[-1] == 30


@pytest.mark.parametrize("cores", [0, -1, 1.5])
def test_cores_that_there_cannot_be_are_refused(base: Path, cores: Any) -> None:
    with pytest.raises(InputError, match="cannot use"):
        train(base, cores=cores)


def test_the_best_checkpoint_is_kept_and_used(base: Path) -> None:
    document = job_document(
        training__duration={"steps": 60},
        training__optimizer={"type": "AdamW", "learningRate": 1e-2},
        training__schedule={"type": "Constant", "warmupSteps": 0},
        checkpoint={"everySteps": 10, "keep": 2, "keepBest": {"metric": "loss"}},
    )
    watcher = Watcher()
    train(base, document, observer=watcher)
    best = min(watcher.evaluations, key=lambda step: watcher.evaluations[step]["loss"])
    run = Run.open(base / "runs" / "tiny")
    assert best in checkpoint_steps(run.directory.checkpoints)
    assert run.checkpoint().step == best


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TransformerFamily.loss
    calls = itertools.count(1)
    monkeypatch.setattr(
        TransformerFamily,
        "loss",
        lambda self, batch: real(self, batch) * (math.nan if next(calls) == 8 else 1),
    )
    with pytest.raises(GuardError, match="at step 8"):
        train(base)
    assert checkpoint_steps(RunDirectory(open_storage(str(base / "runs")), "tiny").checkpoints) == [5]
    outcome = json.loads((base / "runs" / "tiny" / "outcome.json").read_text())
    assert (outcome["state"], outcome["reason"]) == ("Failed", "NonFiniteLoss")
    assert "learningRate" in outcome["remedy"]
    assert "Failed" in (base / "runs" / "tiny" / "report.html").read_text()


def test_a_newer_attempt_fences_the_older_one(base: Path) -> None:
    class TakesOver(Observer):
        def progressed(self, progress: Progress) -> None:
            # It is told of a step before the checkpoint of that step is written.
            if progress.step == 5:
                RunDirectory(open_storage(str(base / "runs")), "tiny").claim()

    with pytest.raises(FencedError, match="attempt 2 has taken over"):
        train(base, observer=TakesOver())
    assert not (base / "runs" / "tiny" / "outcome.json").exists()
    assert checkpoint_steps(RunDirectory(open_storage(str(base / "runs")), "tiny").checkpoints) == []


def test_a_damaged_checkpoint_is_passed_over_and_said(base: Path) -> None:
    with pytest.raises(Killed):
        train(base, run="cut", observer=killed_at(15))
    newest = base / "runs" / "cut" / "checkpoints" / "step-00000010"
    shard = next(newest.glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    shutil.rmtree(base / "runs" / "cut" / "checkpoints" / "step-00000015", ignore_errors=True)
    watcher = Watcher()
    train(base, run="cut", observer=watcher)
    assert any("step 10" in notice for notice in watcher.notices)
    assert watcher.plans[0].first_step == 6
    train(base, run="whole")
    assert losses(base, "cut") == losses(base, "whole")


def test_only_damaged_checkpoints_are_an_error_and_nothing_is_lost(base: Path) -> None:
    train(base)
    for shard in (base / "runs" / "tiny" / "checkpoints").rglob("*.safetensors"):
        shard.write_bytes(b"\x80\x04\x95not tensors")
    with pytest.raises(CheckpointError):
        train(base, job_document(training__duration={"steps": 30}))
    assert (base / "runs" / "tiny" / "outcome.json").exists()


def test_more_workers_are_fitted_to_this_machine_or_refused(base: Path) -> None:
    document = job_document(scale={"workers": 2, "gpusPerWorker": 1})
    watcher = Watcher()
    train(base, document, observer=watcher, cores=1)
    assert any("scale.workers: 2 -> 1" in notice for notice in watcher.notices)
    train(base, run="one")
    assert losses(base) == losses(base, "one")
    with pytest.raises(InputError, match="does not fit this machine"):
        train(base, document, run="strict", strict=True)


def test_a_dry_run_leaves_no_file(base: Path) -> None:
    result = train(base, dry_run=True)
    assert (result.state, result.exit_code, result.steps) == ("DryRun", 0, 20)
    assert not [path for path in base.rglob("runs/**/*") if path.is_file()]


def test_what_was_skipped_of_the_data_is_told_and_kept(base: Path) -> None:
    lines = [json.dumps({"text": text}) for text in ("the quick brown fox. " * 40, None)]
    (base / "text.jsonl").write_text("\n".join(lines))
    source = {"uri": "text.jsonl", "format": "JsonLines"}
    document = job_document(data__train={"sources": [source]}, training__duration={"steps": 1})
    watcher = Watcher()

    dry = train(base, document, dry_run=True)
    result = train(base, document, observer=watcher)

    place = f"{base}/text.jsonl:2"
    assert watcher.notices == [f"1 line skipped: its text is null ({place})"]
    (remark,) = result.remarks
    assert remark == {
        "action": "Skipped",
        "unit": "line",
        "count": 1,
        "reason": "its text is null",
        "examples": (place,),
    }
    assert dry.remarks == result.remarks
    document = json.loads((base / "runs/tiny/job.json").read_text())
    assert document["data"]["remarks"] == [remark | {"examples": [place]}]
    again = train(base, job_document(data__train={"sources": [source]}, training__duration={"steps": 1}))
    assert again.reason == "AlreadyComplete"


def test_a_dry_run_finds_what_only_the_model_and_its_data_together_show(image_base: Path) -> None:
    table = pq.read_table(image_base / "images.parquet").drop_columns(["label"])
    pq.write_table(table, image_base / "images.parquet")
    with pytest.raises(InputError, match="conditional, and the images have no labels"):
        train(image_base, image_job_document("GAN", model__gan__conditional=True), dry_run=True)


def test_epochs_and_tokens_become_steps(base: Path) -> None:
    samples = train(base, dry_run=True, document=job_document(training__duration={"epochs": 1.0})).steps * 4
    tokens = train(base, dry_run=True, document=job_document(training__duration={"tokens": 6401})).steps
    text = len((base / "text.txt").read_text())
    assert samples // 16 <= text // 16
    assert math.isclose(samples * 16, 0.9 * text, rel_tol=0.02)
    assert tokens == 101


def test_bfloat16_and_label_smoothing_train(base: Path) -> None:
    train(base, run="full")
    train(base, job_document(training__precision="BFloat16"), run="half")
    full, half = losses(base, "full"), losses(base, "half")
    assert half[20] == pytest.approx(full[20], abs=0.1)
    assert half != full
    train(base, job_document(training__labelSmoothing=0.2), run="smooth")
    assert losses(base, "smooth")[20] > full[20]


def test_a_user_hears_that_bfloat16_has_no_hardware(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.compute.arithmetic._processor_features", lambda: {"architecture": "x86_64"})
    watcher = Watcher()
    train(base, job_document(training__precision="BFloat16"), dry_run=True, observer=watcher)
    assert any("BFloat16 has no hardware" in notice for notice in watcher.notices)


def test_the_loop_trains_a_family_that_it_has_never_heard_of(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bigram = replace(FAMILIES["Transformer"], module="tests.unit.training.bigram")
    monkeypatch.setitem(FAMILIES, "Transformer", bigram)
    document = job_document(
        training__optimizer={"type": "SGD", "learningRate": 3.0}, evaluation__samples=None
    )
    train(base, document)
    course = losses(base)
    assert course[20] < course[1] - 0.2
