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

from raygen.data.images.files import Labelled, Pixels, read_images
from raygen.data.order import Indices, Order
from raygen.data.progress import Notice, Progress
from raygen.data.protocol import Samples
from raygen.data.remarks import Remarks, printable
from raygen.errors import DataError
from raygen.spec import ResolvedJob

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
        weighted: All images count alike.
        units_per_sample: A sample is one image.
        domain: Size and classes.
        samples_per_epoch: Images in the training split.
        remarks: What was skipped or converted while reading.
        fingerprint: SHA-256 over both splits' pixels and labels, and the classes.
    """

    unit = "images"
    weighted = False
    units_per_sample = 1

    def __init__(self, job: ResolvedJob, base: Path, progress: Progress | None = None) -> None:
        """Reads and decodes.

        Args:
            job: The job.
            base: Folder that relative source paths start from.
            progress: Told of, where it takes long.

        Raises:
            DataError: the data cannot be used; says where and why.
        """
        spec = job.spec.data
        remarks = Remarks()
        train = read_images(spec.train.sources, base, spec.images, remarks, progress)
        held = None
        if spec.validation is not None and spec.validation.sources is not None:
            held = read_images(spec.validation.sources, base, spec.images, remarks, progress)
            _check_shapes(train, held)
        classes, labels, held_labels = _labels(job, train, held, remarks)
        if held is not None:
            self._train, self._labels = train.pixels, labels
            self._validation, self._validation_labels = held.pixels, held_labels
        elif spec.validation is not None:
            held_out = every_nth(len(train.pixels), spec.validation.fraction or 0.0)
            self._train, self._labels = train.pixels[~held_out], labels[~held_out[: len(labels)]]
            self._validation = train.pixels[held_out]
            self._validation_labels = labels[held_out[: len(labels)]]
        else:
            self._train, self._labels = train.pixels, labels
            self._validation, self._validation_labels = train.pixels[:0], labels[:0]
        _check_counts(job, len(self._train), len(self._validation))
        channels, height, width = train.pixels.shape[1:]
        self.domain = ImageShape(channels, height, width, classes)
        self.samples_per_epoch = len(self._train)
        self._flip = spec.images is not None and spec.images.horizontal_flip
        self._order = Order(job.spec.training.seed, self.samples_per_epoch)
        self.remarks = remarks.all()
        self.fingerprint = self._fingerprint()

    def files(self) -> dict[str, bytes]:
        """What a run must keep to use its model later, by file name."""
        return {DOMAIN_FILE: json.dumps(asdict(self.domain)).encode()}

    def train_batch(self, positions: range) -> Samples:
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

    def validation_batches(self, size: int) -> Iterator[Samples]:
        """The whole validation split in order, `size` images at a time, as `train_batch` gives them."""
        for start in range(0, len(self._validation), size):
            chosen = slice(start, start + size)
            labels = self._validation_labels[chosen] if self.domain.classes else None
            yield self._batch(self._validation[chosen], labels)

    def order(self, positions: range) -> Indices:
        """Which samples of the training split stand at these positions, by number: (positions,)."""
        return self._order.indices(positions)

    def close(self) -> None:
        """Does nothing: all is in memory."""

    def _batch(self, images: Pixels, labels: Labels | None) -> Samples:
        return Samples({"images": images} if labels is None else {"images": images, "labels": labels})

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


def open_data(
    job: ResolvedJob, base: Path, files: Mapping[str, bytes], notice: Notice | None = None
) -> ImageData:
    """The images of a job.

    Args:
        job: A resolved job.
        base: Folder that relative source paths start from.
        files: What `ImageData.files` gave when the run began; the data's fingerprint covers it.
        notice: Takes a sentence now and then, where it takes long.
    """
    del files
    return ImageData(job, base, Progress(notice))


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


def _labels(
    job: ResolvedJob, train: Labelled, held: Labelled | None, remarks: Remarks
) -> tuple[tuple[str, ...], Labels, Labels]:
    """Names of the classes, and their numbers for the images of both splits; all empty without labels.

    Raises:
        DataError: Labels cannot be used, and the model may need them.
    """
    where = ", ".join(source.uri for source in job.spec.data.train.sources)
    try:
        classes = class_names(train.labels, where)
        labels = _numbered(train.labels, classes, where)
        if held is not None:
            _check_both_have_labels(train, held)
        held_labels = _numbered(held.labels if held else None, classes, "spec.data.validation")
    except DataError as error:
        if _uses_labels(job):
            raise
        count = len(train.labels or ()) + len((held and held.labels) or ())
        reason = f"the model needs none, and {error.what} (in {printable(error.where)})"
        remarks.skipped("label", reason, count=count)
        nothing = np.empty(0, dtype=np.int64)
        return (), nothing, nothing
    return classes, labels, held_labels


def _uses_labels(job: ResolvedJob) -> bool:
    """Whether the model may be told the classes."""
    return job.spec.model.block.takes_classes


def class_names(labels: Sequence[Any] | None, where: str) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers: texts sorted, or numbers from 0 without a gap."""
    if labels is None:
        return ()
    _check_types(labels, where)
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


def _check_types(labels: Sequence[Any], where: str) -> None:
    missing = sum(label is None for label in labels)
    if missing:
        raise DataError(
            f"{missing:,} of {len(labels):,} images have no label",
            where=where,
            remedy="Give every image a label: a whole number from 0 or a text.",
        )
    other = next((label for label in labels if not isinstance(label, int | str)), None)
    if other is not None:
        raise DataError(
            f"there are labels of the type {type(other).__name__}, such as {str(other)[:40]!r}",
            where=where,
            remedy="Labels are whole numbers from 0 or texts, one for every image.",
        )


def _numbered(labels: Sequence[Any] | None, classes: tuple[str, ...], where: str) -> Labels:
    numbers = {name: number for number, name in enumerate(classes)}
    _check_types(labels or (), where)
    # Truth values are numbers: false is class 0, true class 1.
    names = [str(int(label) if isinstance(label, bool) else label) for label in labels or ()]
    try:
        return np.array([numbers[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise DataError(
            f"the label {error.args[0]!r} is not one of the training split's {len(classes)} classes",
            where=where,
            remedy="Correct the label, or add images of this class to the training split.",
        ) from error


def _check_both_have_labels(train: Labelled, validation: Labelled) -> None:
    if (train.labels is None) != (validation.labels is None):
        raise DataError(
            "one split has labels, and the other has none",
            where="spec.data.validation",
            remedy="Give labels for both splits, or for none.",
        )


def _check_shapes(train: Labelled, validation: Labelled) -> None:
    ours, theirs = train.pixels.shape[1:], validation.pixels.shape[1:]
    if ours != theirs:
        raise DataError(
            f"its images are {theirs} (channels, height, width), and those of the training split {ours}",
            where="spec.data.validation",
            remedy="Give spec.data.images.size and mode, so that all become the same.",
        )


def _check_counts(job: ResolvedJob, train: int, validation: int) -> None:
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
