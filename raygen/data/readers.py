"""The readers of data by what the data holds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from raygen.data.progress import Notice
from raygen.spec import Data, TrainingJob

READERS: dict[str, str] = {
    "text": "raygen.data.text.windows",
    "images": "raygen.data.images.pixels",
}
"""Kind -> module that has `open_data` and `open_domain`."""


def open_data(job: TrainingJob, base: Path, files: Mapping[str, bytes], notice: Notice | None = None) -> Any:
    """The data set of a job.

    Args:
        job: A resolved job.
        base: Folder that relative source paths start from.
        files: What the data set gave to keep when the run began; empty for a new run.
        notice: Takes a sentence now and then, where it takes long.

    Raises:
        DataError: the data cannot be used; says where and why.
    """
    return import_module(READERS[job.spec.data.kind]).open_data(job, base, files, notice)


def open_domain(data: Data, files: Mapping[str, bytes]) -> Any:
    """What a model must know of its data, from what the data set gave to keep.

    Raises:
        DataError: a file is missing or damaged.
    """
    return import_module(READERS[data.kind]).open_domain(files)
