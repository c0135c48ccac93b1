"""What every extractor has, and the one way in which all of them go through images.

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from raygen.errors import DamagedError, InputError
from raygen.evaluation.extractors.inputs import Inputs, check_channels, check_images, prepared
from raygen.evaluation.threads import one_thread

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = ("inception", "fid")
"""Beginnings of names by which numbers would look like published ones."""

KNOWN = {"6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": "Inception"}
"""Names of published weights, by SHA-256: pt_inception-2015-12-05, with whose features FID and the Inception score are defined."""


@dataclass(frozen=True)
class Embedded:
    """What an extractor says of images.

    Attributes:
        features: (N, D) float32 on the CPU.
        probabilities: Of each class, (N, K) float32 on the CPU; None where the extractor is not a classifier.
    """

    features: Tensor
    probabilities: Tensor | None


class Extractor(Protocol):
    """Features of images by one network with one set of weights."""

    @property
    def name(self) -> str:
        """What metrics print in brackets."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file of its weights, as 64 hexadecimal digits. Numbers of another one do not compare."""
        ...

    @property
    def dimensions(self) -> int:
        """D."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the K classes; empty where it is not a classifier."""
        ...

    def embed(self, images: Tensor) -> Embedded:
        """Features of images, each of which is as if it came alone.

        Args:
            images: (N, C, H, W) uint8, with 1 or 3 channels; of other sizes than the network's they are resized (`inputs.prepared`).

        Raises:
            ValueError: they have another type or shape.
            InputError: they have colours, which the extractor cannot see.
        """
        ...


class Model(Protocol):
    """What is behind an extractor."""

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (D,) and probabilities (K,) or None, float32, of one image (1, C, H, W) float32 that is prepared."""
        ...


class ImageExtractor:
    """An extractor that puts images through a model one by one, with one thread.

    In a batch a sum may be added up in another order than alone: of the features of a small convolutional network in float32, half
    come out with another last digit in a batch of 7. So each image goes alone, and the same bits come out for batches of any size and
    order, and for any number of cores, on one kind of processor and one version of the libraries. A small network takes a third
    longer for that; a large one has enough to do with one image.

    Raises:
        DamagedError: the model gives no features, or not as many probabilities as it has classes.
    """

    def __init__(
        self, name: str, sha256: str, classes: tuple[str, ...], inputs: Inputs, model: Model, where: str
    ) -> None:
        self.name, self.sha256, self.classes, self.inputs = name, sha256, classes, inputs
        self._model = model
        black = torch.zeros((1, inputs.channels, inputs.height, inputs.width), dtype=torch.uint8)
        with _alone():
            features, probabilities = self._one(black)
        self.dimensions = len(features)
        if features.isfinite().logical_not().any() or self.dimensions == 0:
            raise DamagedError("the model gives no features of a black image, or NaN", where=where)
        found = 0 if probabilities is None else len(probabilities)
        if found != len(classes):
            raise DamagedError(
                f"the model gives {found} probabilities, and the names of its classes are {len(classes)}",
                where=where,
            )

    def embed(self, images: Tensor) -> Embedded:
        """As `Extractor.embed`."""
        check_images(images)
        check_channels(images, self.inputs)
        features = torch.empty((len(images), self.dimensions), dtype=torch.float32)
        probabilities = torch.empty((len(images), len(self.classes)), dtype=torch.float32)
        with _alone():
            for number, image in enumerate(images.cpu()):
                features[number], of_classes = self._one(image[None])
                if of_classes is not None:
                    probabilities[number] = of_classes
        return Embedded(features, probabilities if self.classes else None)

    def _one(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        # A tensor of its own: kernels may choose their way by where in memory an image begins.
        return self._model(prepared(image.clone(), self.inputs).contiguous())


@contextmanager
def _alone() -> Iterator[None]:
    """Without gradients, without what a caller has switched on for its own network, and with one thread, since how many there are may
    decide the order of sums.
    """
    with torch.inference_mode(), torch.autocast("cpu", enabled=False), one_thread():
        yield


def probabilities_of(logits: Tensor) -> Tensor:
    """Softmax of logits (..., K), in float64 and rounded to float32 once."""
    return logits.double().softmax(dim=-1).float()


def checked_name(name: str, sha256: str, where: str) -> str:
    """What metrics may call an extractor with these weights.

    Raises:
        InputError: the name would look like that of published weights which these are not, or has other characters than
            letters, digits, dots, hyphens and underscores.
    """
    if sha256 in KNOWN:
        return KNOWN[sha256]
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an extractor",
            where=where,
            remedy="Give a name of at most 64 letters, digits, dots, hyphens and underscores.",
        )
    if name.lower().startswith(RESERVED):
        raise InputError(
            f"{name!r} would look like the network of FID, whose weights have another SHA-256 ({next(iter(KNOWN))[:12]})"
            f" than these ({sha256[:12]})",
            where=where,
            remedy="Give another name.",
        )
    return name
