"""Images in memory, as batches of bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raygen.data.image_files import Label, Labelled, Pixels, read_images
from raygen.data.order import Order
from raygen.errors import DataError
from raygen.spec import TrainingJob

Arrays = dict[str, NDArray[Any]]
Labels = NDArray[np.int64]

DOMAIN_FILE = "images.json"
MAX_CLASSES = 10_000
_FLIPS = 2
"""Key of the random numbers that choose which images are mirrored; apart from the permutation's."""


@dataclass(frozen=True)
class ImageShape:
    """What a model must know of images.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        height: In pixels.
        width: In pixels.
        classes: Their names, in the order of their labels; empty for images without labels.
    """

    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()


class ImageData:
    """The images of a job, decoded, in memory.

    Attributes:
        unit: What throughput counts.
        units_per_sample: A sample is one image.
        domain: Size and classes.
        samples_per_epoch: Images in the training split.
        fingerprint: SHA-256 over both splits' pixels and labels, and the classes.
    """

    unit = "images"
    units_per_sample = 1

    def __init__(self, job: TrainingJob, base: Path) -> None:
        """Reads and decodes.

        Args:
            job: The job.
            base: Folder that relative source paths start from.

        Raises:
            DataError: the data cannot be used; says where and why.
        """
        spec = job.spec.data
        train = read_images(spec.train.sources, base, spec.images)
        where = ", ".join(source.uri for source in spec.train.sources)
        classes = _classes(train.labels, where)
        labels = _numbered(train.labels, classes, where)
        self._validation, self._validation_labels = train.pixels[:0], labels[:0]
        self._train, self._labels = train.pixels, labels
        if spec.validation is not None and spec.validation.sources is not None:
            held = read_images(spec.validation.sources, base, spec.images)
            _check_alike(train, held)
            self._validation = held.pixels
            self._validation_labels = _numbered(held.labels, classes, "spec.data.validation")
        elif spec.validation is not None:
            held_out = every_nth(len(train.pixels), spec.validation.fraction or 0.0)
            self._validation, self._validation_labels = (
                train.pixels[held_out],
                labels[held_out[: len(labels)]],
            )
            self._train, self._labels = train.pixels[~held_out], labels[~held_out[: len(labels)]]
        _check_counts(job, len(self._train), len(self._validation))
        channels, height, width = train.pixels.shape[1:]
        self.domain = ImageShape(channels, height, width, classes)
        self.samples_per_epoch = len(self._train)
        self._flip = spec.images is not None and spec.images.horizontal_flip
        self._order = Order(job.spec.training.seed, self.samples_per_epoch)
        self.fingerprint = self._fingerprint()

    def files(self) -> dict[str, bytes]:
        """What a run must keep to use its model later, by file name."""
        return {DOMAIN_FILE: json.dumps(asdict(self.domain)).encode()}

    def train_batch(self, positions: range) -> Arrays:
        """The images at these positions.

        Returns:
            `images` (positions, channels, height, width), uint8, and with classes `labels` (positions,).
        """
        indices = self._order.indices(positions)
        images = self._train[indices]
        if self._flip:
            images = np.where(
                self._flipped(positions, indices)[:, None, None, None], images[..., ::-1], images
            )
        return self._batch(images, self._labels[indices] if self.domain.classes else None)

    def validation_batches(self, size: int) -> Iterator[Arrays]:
        """The whole validation split in order, `size` images at a time, as `train_batch` gives them."""
        for start in range(0, len(self._validation), size):
            chosen = slice(start, start + size)
            labels = self._validation_labels[chosen] if self.domain.classes else None
            yield self._batch(self._validation[chosen], labels)

    def _batch(self, images: Pixels, labels: Labels | None) -> Arrays:
        return {"images": images} if labels is None else {"images": images, "labels": labels}

    def _flipped(self, positions: range, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        epochs = np.arange(positions.start, positions.stop) // self.samples_per_epoch
        flips = np.empty(len(indices), dtype=bool)
        for epoch in np.unique(epochs):
            mirrored = self._order.generator(int(epoch), _FLIPS).random(self.samples_per_epoch) < 0.5
            flips[epochs == epoch] = mirrored[indices[epochs == epoch]]
        return flips

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(asdict(self.domain)).encode())
        for pixels, labels in ((self._train, self._labels), (self._validation, self._validation_labels)):
            digest.update(len(pixels).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(pixels).data)
            digest.update(labels.astype("<i8").tobytes())
        return digest.hexdigest()


def every_nth(count: int, share: float) -> NDArray[np.bool_]:
    """Chooses this share of `count` samples, evenly spread."""
    steps = np.floor(np.arange(count + 1) * share)
    chosen: NDArray[np.bool_] = np.diff(steps) > 0
    return chosen


def open_data(job: TrainingJob, base: Path, files: Mapping[str, bytes]) -> ImageData:
    """The images of a job.

    Args:
        job: A resolved job.
        base: Folder that relative source paths start from.
        files: What `ImageData.files` gave when the run began; the data's fingerprint covers it.
    """
    del files
    return ImageData(job, base)


def open_domain(files: Mapping[str, bytes]) -> ImageShape:
    """Size and classes of a run's images, from what `ImageData.files` gave.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        values = json.loads(files[DOMAIN_FILE])
        names = tuple(str(name) for name in values["classes"])
        return ImageShape(int(values["channels"]), int(values["height"]), int(values["width"]), names)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            "what the run knows of its images is missing or damaged",
            where=DOMAIN_FILE,
            remedy="Restore it, or start a new run.",
        ) from error


def _classes(labels: Sequence[Label] | None, where: str) -> tuple[str, ...]:
    if labels is None:
        return ()
    texts = {label for label in labels if isinstance(label, str)}
    if texts:
        names = tuple(sorted(texts))
        if len(names) > MAX_CLASSES:
            raise DataError(
                f"there are {len(names):,} classes",
                where=where,
                remedy=f"At most {MAX_CLASSES:,} are allowed.",
            )
        return names
    numbers = {int(label) for label in labels}
    if min(numbers) < 0 or max(numbers) >= MAX_CLASSES:
        raise DataError(
            f"the labels go from {min(numbers)} to {max(numbers)}",
            where=where,
            remedy=f"Labels are whole numbers from 0 to {MAX_CLASSES - 1:,}, one number for each class.",
        )
    absent = sorted(set(range(max(numbers) + 1)) - numbers)
    if absent:
        listed = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise DataError(
            f"of {max(numbers) + 1} classes these have no image: {listed}",
            where=where,
            remedy="Add images of every class, or number the labels 0, 1, 2 and so on without a gap.",
        )
    return tuple(str(number) for number in sorted(numbers))


def _numbered(labels: Sequence[Label] | None, classes: tuple[str, ...], where: str) -> Labels:
    numbers = {name: number for number, name in enumerate(classes)}
    try:
        return np.array([numbers[str(label)] for label in labels or ()], dtype=np.int64)
    except KeyError as error:
        raise DataError(
            f"the label {error.args[0]!r} is not one of the training split's {len(classes)} classes",
            where=where,
            remedy="Correct the label, or add images of this class to the training split.",
        ) from error


def _check_alike(train: Labelled, validation: Labelled) -> None:
    ours, theirs = train.pixels.shape[1:], validation.pixels.shape[1:]
    if ours != theirs:
        raise DataError(
            f"its images are {theirs} (channels, height, width), and those of the training split {ours}",
            where="spec.data.validation",
            remedy="Give spec.data.images.size and mode, so that all become the same.",
        )
    if (train.labels is None) != (validation.labels is None):
        raise DataError(
            "one split has labels, and the other has none",
            where="spec.data.validation",
            remedy="Give labels for both splits, or for none.",
        )


def _check_counts(job: TrainingJob, train: int, validation: int) -> None:
    if train < 2:
        raise DataError(
            f"the training split has {train} image{'s' * (train != 1)}",
            where=", ".join(source.uri for source in job.spec.data.train.sources),
            remedy="Give at least two images; hundreds are needed to learn something.",
        )
    if job.spec.data.validation is not None and validation < 1:
        raise DataError(
            "the validation split has no image",
            where="spec.data.validation",
            remedy="Give a larger fraction.",
        )
