"""What training asks of a data set, whatever it holds and wherever that comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raygen.data.progress import Notice
from raygen.data.remarks import Remark
from raygen.spec import ResolvedJob
from raygen.spec.contents import Domain

Arrays = Mapping[str, NDArray[Any]]
"""Named arrays whose first dimension is the sample; `raygen.spec.contents` has their names and shapes."""


@dataclass(frozen=True)
class Samples:
    """Some samples of a data set.

    Attributes:
        arrays: What they hold.
        weights: How much each counts in a step's mean loss, or in the metrics of the validation split: (samples,), finite and
            not negative; None where all count alike. Of text of which only a part is to be learned, it is the number of
            targets that count.
    """

    arrays: Arrays
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


class Dataset(Protocol):
    """The data of a job.

    A position counts samples since the start of training (`raygen.data.order`); equal positions give equal samples, on any
    number of workers and after any interruption. Training reads on a thread of its own, beside the validation split.
    """

    @property
    def unit(self) -> str:
        """What throughput counts: tokens, images."""

    @property
    def units_per_sample(self) -> int:
        """How many units a sample has."""

    @property
    def samples_per_epoch(self) -> int:
        """Samples in one pass over the training split."""

    @property
    def domain(self) -> Domain:
        """What a model must know of the data."""

    @property
    def weighted(self) -> bool:
        """Whether samples of the training split have weights; if so, all of its batches have, and otherwise none."""

    @property
    def remarks(self) -> Sequence[Remark]:
        """What was skipped or converted while reading."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal data: a digest of everything that training reads."""

    def files(self) -> Mapping[str, bytes]:
        """What a run must keep to use its model later, by file name."""

    def train_batch(self, positions: range) -> Samples:
        """The samples at these positions."""

    def validation_batches(self, size: int) -> Iterator[Samples]:
        """The whole validation split in order, `size` samples at a time; all batches have weights, or none has."""

    def order(self, positions: range) -> NDArray[np.int64]:
        """Which samples of the training split stand at these positions, by number: (positions,)."""

    def close(self) -> None:
        """Lets go of what the data set holds: files, connections, threads. It is not used afterwards."""


class Reader(Protocol):
    """A module that reads one kind of contents."""

    def open_data(
        self, job: ResolvedJob, base: Path, files: Mapping[str, bytes], notice: Notice | None = None
    ) -> Dataset:
        """Opens the data set of a resolved job; see `raygen.data.readers.open_data`."""

    def open_domain(self, files: Mapping[str, bytes]) -> Domain:
        """What a model must know of the data, from what the data set gave to keep."""
