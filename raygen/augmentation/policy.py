"""All changes that a job makes to training samples, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from raygen.augmentation import colour, geometry, mixing, pixels, tokens
from raygen.augmentation.change import LEVELS, Change, apply
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, Domain, Vocabulary
from raygen.spec.data.augmentation import Augmentation, ResolvedAugmentation

Partners = Callable[[], tuple[Batch, Draws]]
"""Gives the samples that those of a batch may be mixed with, one for each, with random numbers for them."""


def augmented(spec: Augmentation, domain: Domain, batch: Batch, draws: Draws, partners: Partners) -> Batch:
    """A training batch with all changes made.

    A sample becomes the same whatever else is in its batch: on processors bit for bit, elsewhere but for the rounding of
    kernels that are chosen by the size of the batch.

    Args:
        spec: The changes; resolved.
        domain: What the batch holds.
        batch: As `raygen.spec.contents` says, on the device.
        draws: Random numbers for the samples, on their device; for nothing else.
        partners: Asked only where samples are mixed.

    Returns:
        The same, with uint8 images; with classes and mixing `mixed_labels` and `label_shares` too.
    """
    if not isinstance(spec, ResolvedAugmentation):
        raise TypeError("the augmentation is not resolved")
    if isinstance(domain, Vocabulary):
        return {**batch, "inputs": _text(spec, domain, batch["inputs"], draws)}
    images = _images(spec, batch["images"], draws)
    if spec.mixing is None:
        return {**batch, "images": _levels(images)}
    others, others_draws = partners()
    few = _on_cpu(draws)
    mixed = mixing.mixtures(spec.mixing, few, *images.shape[2:])
    images = mixed.of(images, _images(spec, others["images"], others_draws))
    classes = mixed.classes(batch["labels"], others["labels"]) if "labels" in batch else {}
    return {**batch, "images": _levels(images), **classes}


def changes_of(spec: ResolvedAugmentation, shape: torch.Size, draws: Draws) -> Iterator[Change]:
    """The changes to the images of a batch, in order, with what is drawn for each image.

    Args:
        spec: What to draw.
        shape: Of the batch, (N, C, H, W).
        draws: Random numbers for the images, on their device.
    """
    # The few numbers of a change are the same on every device, and known here without waiting for one.
    few = _on_cpu(draws)
    height, width = shape[2:]
    if spec.crop is not None:
        yield geometry.crops(spec.crop, few, height, width)
    if spec.flip is not None:
        yield from geometry.flips(spec.flip, few)
    if spec.rotate is not None:
        yield geometry.rotations(spec.rotate, few)
    if spec.affine is not None:
        yield geometry.affine_maps(spec.affine, few, height, width)
    if spec.colour_jitter is not None:
        yield from colour.jitter(spec.colour_jitter, few)
    if spec.blur is not None:
        yield pixels.blurs(spec.blur, few)
    if spec.noise is not None:
        yield pixels.noises(spec.noise, few, draws, shape[1:])
    if spec.erasing is not None:
        yield pixels.erasures(spec.erasing, few, height, width)


def _on_cpu(draws: Draws) -> Draws:
    return Draws(draws.key, draws.samples, torch.device("cpu"))


def _images(spec: ResolvedAugmentation, images: Tensor, draws: Draws) -> Tensor:
    for change in changes_of(spec, images.shape, draws):
        images = apply(change, images)
    return images


def _levels(images: Tensor) -> Tensor:
    """As bytes; rounded once, after the last change."""
    return images if images.dtype == torch.uint8 else images.round().clamp(0, LEVELS).to(torch.uint8)


def _text(spec: ResolvedAugmentation, vocabulary: Vocabulary, inputs: Tensor, draws: Draws) -> Tensor:
    places = torch.zeros_like(inputs, dtype=torch.bool)
    if spec.token_dropout is not None:
        places |= tokens.dropped(spec.token_dropout, inputs, draws)
    if spec.span_masking is not None:
        places |= tokens.masked(spec.span_masking, inputs, draws)
    return tokens.replaced(inputs, places, draws, vocabulary.end_of_text)
