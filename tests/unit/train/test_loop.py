"""What the loop gives to a family."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from raygen.data.readers import open_data
from raygen.models.protocol import SHOWN, Alone, Workers
from raygen.models.registry import build_family
from raygen.spec import parse, resolve
from raygen.train.loop import micro_batches, validation_batches
from tests.jobs import image_job_document, job_document

CPU = torch.device("cpu")


def worker(rank: int, count: int) -> Workers:
    one: Any = SimpleNamespace(rank=rank, count=count)
    return one


@pytest.mark.parametrize(
    ("whole", "micro", "workers"), [(4, None, 1), (4, 1, 1), (100, 3, 1), (12, None, 5), (12, 12, 5)]
)
def test_validation_takes_no_more_samples_at_once_than_training(
    base: Path, whole: int, micro: int | None, workers: int
) -> None:
    document = job_document(training__globalBatchSize=whole, training__microBatchSize=micro)
    job = resolve(parse(document))
    data = open_data(job, base, {})
    split = np.concatenate([arrays["inputs"] for arrays in data.validation_batches(64)])
    places: dict[int, Any] = {}
    for rank in range(workers):
        trained = [
            len(part.draws.samples) for part in micro_batches(job, data, CPU, 1, worker(rank, workers))
        ]
        for batch, draws in validation_batches(job, data, CPU, worker(rank, workers)):
            assert len(batch["inputs"]) == len(draws.samples) <= max(trained)
            assert not places.keys() & set(draws.samples)
            places.update(zip(draws.samples, batch["inputs"].numpy(), strict=True))
    assert sorted(places) == list(range(len(split)))
    assert all((places[place] == split[place]).all() for place in places)


@pytest.mark.parametrize("micro", [None, 1, 3])
def test_pictures_show_as_many_images_whatever_the_micro_batch(image_base: Path, micro: int | None) -> None:
    changes = {"training__globalBatchSize": 32, "data__validation__fraction": 0.2}
    job = resolve(parse(image_job_document("VAE", training__microBatchSize=micro, **changes)))
    data = open_data(job, image_base, {})
    family: Any = build_family(job, data.domain, CPU)
    first = next(iter(data.validation_batches(SHOWN)))["images"]
    for _ in range(2):
        with torch.inference_mode():
            for batch, draws in validation_batches(job, data, CPU, Alone()):
                family.evaluate(batch, draws)
        assert family.shown.numpy().tolist() == first.tolist()
