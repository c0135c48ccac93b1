"""Trains a small extractor on any labelled images, so that there is one where no published weights can be had.

Shapes: N images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.errors import DataError
from raygen.evaluation.extractors.architectures import Classifier, Convolutions, ConvolutionsSettings
from raygen.evaluation.extractors.extractor import checked_name
from raygen.evaluation.extractors.inputs import Inputs, check_images, prepared, resized
from raygen.evaluation.extractors.network import Header, to_bytes

WIDTHS = (16, 32, 32)
FEATURES = 128
LARGEST = 64
"""Rows and columns that larger images are made smaller to, where nothing else is said: more would take minutes."""
BATCH = 128
RATE, DECAY = 4e-3, 1e-2
WARM = 0.2
"""Share of the steps in which the learning rate rises."""
CHUNK = 1024
"""Images that are resized or measured together."""


@dataclass(frozen=True)
class Trained:
    """An extractor that was trained.

    Attributes:
        content: The file, for `read_extractor`.
        sha256: Of it.
        accuracy: Share of the images that were held out whose class it tells.
        held_out: How many those were.
        seconds: That training took.
    """

    content: bytes
    sha256: str
    accuracy: float
    held_out: int
    seconds: float


def train_extractor(
    images: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    *,
    name: str = "classifier",
    seed: int = 0,
    steps: int = 600,
    validation: float = 0.1,
    size: int | None = None,
    widths: tuple[int, ...] = WIDTHS,
    features: int = FEATURES,
    progress: Callable[[int, float], None] | None = None,
) -> Trained:
    """Trains a small classifier, whose features before the last layer are those of the extractor.

    AdamW (Loshchilov & Hutter 2019) with a learning rate that rises, and then falls to 0 in a straight line, on batches of 128 with
    cross-entropy. The same arguments and number of threads give the same bytes on one kind of processor.

    Images that are equal are held out together, so that no image which the accuracy is measured on was trained on.

    Args:
        images: (N, C, H, W) uint8, grey or colour.
        labels: (N,) integers from 0.
        class_names: The K names, of which labels are the numbers.
        name: What metrics call the extractor.
        seed: Decides weights, order, and which images are held out.
        steps: Batches.
        validation: Share of the images that are held out.
        size: Rows and columns that images are resized to; by default the larger of their own, up to 64.
        widths: Channels of each convolution.
        features: How many there are: 64 to 256 say enough of small images.
        progress: Called every hundredth part of the steps, with the number of the step and the loss.

    Raises:
        ValueError: images or labels have another type or shape.
        DataError: a class has no image to train on, or there is nothing to hold out.
        InputError: the name cannot be used.
    """
    started = time.monotonic()
    called = checked_name(name, "", "")
    check_images(images)
    fit, held = _parts(images, labels, class_names, seed, validation)
    side = size or min(max(images.shape[2:]), LARGEST)
    pictures = _of_size(images, side)
    inputs = _inputs(pictures, fit, side)
    settings = ConvolutionsSettings(
        channels=inputs.channels, size=side, classes=len(class_names), widths=widths, features=features
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = Convolutions(settings)
        _fit(network, pictures, labels, fit, inputs, steps, progress)
    network.eval()
    accuracy = _accuracy(network, pictures[held], labels[held], inputs)
    header = Header(
        name=called,
        architecture=type(network).__name__,
        settings=settings.model_dump(mode="json"),
        inputs=inputs,
        classes=tuple(class_names),
        data=fingerprint(images, labels, class_names),
        accuracy=accuracy,
        held_out=len(held),
        recipe={"seed": seed, "steps": steps, "validation": validation, "trained_on": len(fit)},
    )
    content = to_bytes(network, header)
    digest = hashlib.sha256(content).hexdigest()
    return Trained(content, digest, accuracy, len(held), time.monotonic() - started)


def fingerprint(images: Tensor, labels: Tensor, class_names: Sequence[str]) -> str:
    """SHA-256 of labelled images in their order."""
    digest = hashlib.sha256(f"{tuple(images.shape)}\0{chr(0).join(class_names)}\0".encode())
    digest.update(images.contiguous().numpy().data)
    digest.update(labels.to(torch.int64).contiguous().numpy().data)
    return digest.hexdigest()


def _parts(
    images: Tensor, labels: Tensor, class_names: Sequence[str], seed: int, validation: float
) -> tuple[Tensor, Tensor]:
    """Numbers of the images to train on, and of those that are held out."""
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"{len(images)} images have labels {labels.dtype} of the shape {tuple(labels.shape)}"
        )
    if not 0 < validation < 1:
        raise ValueError(f"validation is {validation}, and not a share between 0 and 1")
    # By what is in an image: equal ones stand side by side, and the order of the data decides nothing.
    keys = [
        hashlib.sha256(f"{seed}\0".encode() + one.contiguous().numpy().tobytes()).digest() for one in images
    ]
    order = sorted(range(len(images)), key=lambda number: keys[number])
    count = max(round(len(images) * validation), 1)
    while count < len(order) and keys[order[count]] == keys[order[count - 1]]:
        count += 1
    held, fit = torch.tensor(order[:count], dtype=torch.int64), torch.tensor(order[count:], dtype=torch.int64)
    counts = torch.bincount(labels[fit].long(), minlength=len(class_names)).tolist() if len(fit) else []
    if len(counts) != len(class_names) or len(counts) < 2 or min(counts) == 0:
        empty = [class_names[number] for number, found in enumerate(counts[: len(class_names)]) if not found]
        raise DataError(
            f"{len(class_names)} classes are named, and of the {len(fit)} images to train on "
            + (f"none is of the class {empty[0]!r}" if empty else f"labels reach to {len(counts) - 1}"),
            remedy="Give at least two classes, several images of each, and labels that are their numbers from 0.",
        )
    return fit, held


def _of_size(images: Tensor, side: int) -> Tensor:
    """Images (N, C, side, side) uint8."""
    if images.shape[2:] == (side, side):
        return images
    chunks = (
        resized(part.float(), side, side, "bicubic").round().byte() for part in torch.split(images, CHUNK)
    )
    return torch.cat(list(chunks))


def _inputs(images: Tensor, fit: Tensor, side: int) -> Inputs:
    """What the network takes, normalised by the mean and deviation of the images that it is trained on."""
    channels = images.shape[1]
    sums = torch.zeros((2, channels), dtype=torch.float64)
    for part in torch.split(fit, CHUNK):
        values = images[part].double() / 255
        sums += torch.stack([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))])
    mean, square = sums / (len(fit) * side * side)
    # Where all pixels are equal there is nothing to divide by.
    std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)
    return Inputs(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        mean=tuple(round(value, 6) for value in mean.tolist()),
        std=tuple(round(value, 6) for value in std.tolist()),
    )


def _fit(
    network: Classifier,
    images: Tensor,
    labels: Tensor,
    fit: Tensor,
    inputs: Inputs,
    steps: int,
    progress: Callable[[int, float], None] | None,
) -> None:
    network.train()
    decayed = [one for one in network.parameters() if one.ndim > 1]
    others = [one for one in network.parameters() if one.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    batch = min(BATCH, len(fit))
    order = fit[:0]
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, fit[torch.randperm(len(fit))]])
        chosen, order = order[:batch], order[batch:]
        done = (step + 1) / (steps + 1)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(done / WARM, (1 - done) / (1 - WARM))
        _, logits = network(prepared(images[chosen], inputs))
        loss = torch.nn.functional.cross_entropy(logits, labels[chosen].long())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if progress is not None and step % math.ceil(steps / 100) == 0:
            progress(step, float(loss.detach()))


@torch.inference_mode()
def _accuracy(network: Classifier, images: Tensor, labels: Tensor, inputs: Inputs) -> float:
    right = 0
    for part, known in zip(torch.split(images, CHUNK), torch.split(labels, CHUNK), strict=True):
        _, logits = network(prepared(part, inputs))
        right += int((logits.argmax(dim=1) == known).sum())
    return right / len(images)
