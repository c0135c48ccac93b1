"""Trains an extractor on the labelled images of a job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from raygen.compute.device import limited_threads
from raygen.compute.scale import available_cores
from raygen.data.readers import open_data
from raygen.errors import DataError
from raygen.evaluation.extractors import Trained, train_extractor
from raygen.spec import ResolvedJob


def extractor_of_data(
    job: ResolvedJob,
    base: Path,
    *,
    name: str,
    seed: int,
    steps: int,
    progress: Callable[[int, float], None],
) -> Trained:
    """Trains an extractor on a job's training split, as it is before augmentation.

    Args:
        job: The job.
        base: Folder that relative paths start from.
        name: What metrics call the extractor.
        seed: Of `train_extractor`.
        steps: Likewise.
        progress: Called now and then with the step and the loss.

    Raises:
        DataError: the data holds no labelled images, or cannot be read.
        InputError: the name cannot be used.
    """
    with limited_threads(available_cores()), closing(open_data(job, base, {})) as data:
        arrays = data.train_batch(range(data.samples_per_epoch)).arrays
        classes = getattr(data.domain, "classes", ())
        if "labels" not in arrays or not classes:
            raise DataError(
                "the data holds no labelled images to learn from",
                where="spec.data.train.sources",
                remedy="Give images with labels: a column or file of them, or a subfolder for each class.",
            )
        return train_extractor(
            torch.from_numpy(arrays["images"]),
            torch.from_numpy(arrays["labels"]),
            classes,
            name=name,
            seed=seed,
            steps=steps,
            progress=progress,
        )
