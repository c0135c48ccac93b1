"""Augmented steps: the same samples and the same bits on any number of workers, and nothing of it in validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.data.protocol import Dataset
from raygen.data.readers import open_data
from raygen.parallel.choice import make_strategy
from raygen.parallel.lanes import Batches, parts_of, validation_batches
from raygen.spec import ResolvedJob, parse, resolve
from tests.budget import examples
from tests.jobs import image_job_document, job_document, write_images, write_text
from tests.workers import Crowd

CPU = torch.device("cpu")
IMAGES: dict[str, Any] = {
    "crop": {"type": "Padded", "padding": 2, "border": "Edge"},
    "flip": {},
    "affine": {"degrees": 20, "scale": [0.8, 1.2]},
    "colourJitter": {"brightness": 0.3, "contrast": 0.3},
    "noise": {"sigma": 0.02},
    "erasing": {},
}
MIXED = IMAGES | {"mixing": {"type": "CutMix"}}
TEXT: dict[str, Any] = {"tokenDropout": {"share": 0.3}, "spanMasking": {}}
SIZE = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_text(made / "text.txt")
    write_images(made / "images.parquet")
    return made


def job_of(augmentation: dict[str, Any] | None, micro: int | None = None) -> ResolvedJob:
    changes = {
        "training__globalBatchSize": SIZE,
        "training__microBatchSize": micro,
        "data__augmentation": augmentation,
    }
    is_text = augmentation is TEXT
    return resolve(parse(job_document(**changes) if is_text else image_job_document("Custom", **changes)))


def step_of(job: ResolvedJob, data: Dataset, step: int, workers: int = 1) -> dict[str, Tensor]:
    """All tensors of a step, those of each worker after those of the one before."""
    parts = [part for rank in range(workers) for part in parts_of(job, data, CPU, step, rank, workers)]
    return {name: torch.cat([part.batch[name] for part in parts]) for name in parts[0].batch}


@examples(12)
@given(
    augmentation=st.sampled_from([IMAGES, MIXED, TEXT]),
    workers=st.sampled_from([1, 2, 3, 5]),
    micro=st.sampled_from([None, 1, 2, 5]),
    step=st.integers(1, 30),
)
def test_workers_and_micro_batches_change_no_bit(
    folder: Path, augmentation: dict[str, Any], workers: int, micro: int | None, step: int
) -> None:
    alone = job_of(augmentation)
    wanted = step_of(alone, open_data(alone, folder, {}), step)
    cut = job_of(augmentation, micro)
    # Opened again, as an attempt does that goes on at this step.
    found = step_of(cut, open_data(cut, folder, {}), step, workers)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("augmentation", [IMAGES, TEXT])
def test_training_is_changed_and_validation_is_not(folder: Path, augmentation: dict[str, Any]) -> None:
    job = job_of(augmentation)
    plain = job.model_copy(
        update={
            "spec": job.spec.model_copy(
                update={"data": job.spec.data.model_copy(update={"augmentation": None})}
            )
        }
    )
    data = open_data(job, folder, {})
    name = "inputs" if augmentation is TEXT else "images"
    assert not torch.equal(step_of(job, data, 1)[name], step_of(plain, data, 1)[name])
    strategy = make_strategy(Crowd(1).workers[0])
    for (found, _, _), (wanted, _, _) in zip(
        validation_batches(job, data, CPU, strategy),
        validation_batches(plain, data, CPU, strategy),
        strict=True,
    ):
        assert torch.equal(found[name], wanted[name])


def test_a_sample_that_comes_again_is_changed_otherwise(folder: Path) -> None:
    job = job_of({"noise": {"sigma": 0.1}})
    data = open_data(job, folder, {})
    steps = range(1, 2 * data.samples_per_epoch // SIZE)
    images = torch.cat([step_of(job, data, step)["images"] for step in steps])
    assert len(images.flatten(1).unique(dim=0)) == len(images)


@pytest.mark.parametrize("micro", [None, 2, 5])
def test_mixing_reads_each_batch_once_and_never_goes_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, micro: int | None
) -> None:
    job, alone = job_of(MIXED, micro), job_of(MIXED)
    data = open_data(job, folder, {})
    wanted = [step_of(alone, data, step)["images"] for step in range(3, 9)]
    read = list[range]()
    take = data.train_batch

    def noted(positions: range) -> Any:
        read.append(positions)
        return take(positions)

    monkeypatch.setattr(data, "train_batch", noted)
    batches = Batches(data)
    for step, images in zip(range(3, 9), wanted, strict=True):
        parts = parts_of(job, data, CPU, step, 0, 1, batches=batches)
        assert torch.equal(torch.cat([part.batch["images"] for part in parts]), images)
    # Up to the partners of the last step.
    assert [position for positions in read for position in positions] == list(range(2 * SIZE, 9 * SIZE))


def test_an_image_is_mixed_with_the_one_that_its_lane_has_next(folder: Path) -> None:
    job = job_of({"mixing": {"type": "MixUp"}})
    data = open_data(job, folder, {})
    mixed = step_of(job, data, 4)
    plain = job_of(None)
    now, after = (step_of(plain, data, step) for step in (4, 5))
    assert torch.equal(mixed["labels"], now["labels"])
    assert torch.equal(mixed["mixed_labels"], after["labels"])
    shares = mixed["label_shares"][:, None, None, None]
    wanted = shares * now["images"] + (1 - shares) * after["images"]
    assert float((mixed["images"] - wanted).abs().max()) <= 0.501
