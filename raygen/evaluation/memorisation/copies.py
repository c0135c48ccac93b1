"""Finds generated images that are copies of training images.

Shapes: M generated images, N training images, L held-out real ones, C channels of H x W pixels, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked
from raygen.evaluation.memorisation.calibration import Scales, alarm_p_value, interval, p_values
from raygen.evaluation.memorisation.candidates import Index
from raygen.evaluation.memorisation.closeness import Closeness, closeness

CANDIDATES = 24
"""Training images that are compared with each sample."""

REFERENCE = 500
"""Training images that tell what is usual of a training image beside the others."""

LEAST_TRAINING = CANDIDATES + 2
LEAST_HELD_OUT = 100

ALARM_SHARE = 0.1
"""The alarm looks at samples that are this much rarer than those that are flagged: copies are, and models that fail in other ways are not."""

TOLERANCE = 2
"""How many times as often as held-out images a model's honest samples may be that near: its samples have another distribution."""

ALARM = 0.01
"""p-value of the alarm from which on it is raised."""


@dataclass(frozen=True)
class Features:
    """What an extractor says of all images; a further search for candidates goes by it.

    Attributes:
        generated: (M, D), floating.
        training: (N, D).
        held_out: (L, D).
    """

    generated: Tensor
    training: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class Copies:
    """What was found, sample by sample and of all of them.

    Attributes:
        nearest: Number of the training image that each sample is nearest to, (M,) int64.
        distance: To it, in the pose in which both agree best, between images of contrast 1: 0 for the same, 1.41 for nothing in common;
            (M,) float64.
        p_value: The probability that a real image lies as near to one training image, compared with others, (M,) float64.
        flagged: Whether that is at most the rate, (M,) bool.
        rate: Share of real images that would be flagged.
        share: Share of samples that are flagged. In a model that copies nothing, it is about the rate.
        low: Lower end of the share's 95 % interval.
        high: Upper end.
        suspects: Training images that samples which even one in ten of flagged real images is not as near to are nearest to; each
            counts once, so that a model with few images does not count by how often each comes.
        seen: Training images that any samples are nearest to.
        alarm_p_value: The probability of as many suspects, if each real image were twice as likely one.
        alarm: Whether that is at most 0.01.
    """

    nearest: Tensor
    distance: Tensor
    p_value: Tensor
    flagged: Tensor
    rate: float
    share: float
    low: float
    high: float
    suspects: int
    seen: int
    alarm_p_value: float
    alarm: bool

    def most_suspicious(self, count: int) -> Tensor:
        """Numbers of the samples with the least p-values, and of equal ones with the least distances, (count,)."""
        by_distance = self.distance.argsort(stable=True)
        return by_distance[self.p_value[by_distance].argsort(stable=True)][:count]


def find_copies(
    generated: Tensor,
    training: Tensor,
    held_out: Tensor,
    *,
    rate: float = 0.01,
    features: Features | None = None,
    seed: int = 0,
) -> Copies:
    """Finds copies of training images among generated ones, also cropped, mirrored, blurred, noisy, or of other brightness.

    Each sample is compared with the training images that look most like it, in the pose in which they agree best. What counts is how much nearer
    it is to one of them than to the others, and how often held-out images are as near: a model whose samples are too typical, blurred,
    or of a few classes only is near to many training images, and not to one.

    Memory beyond the images does not grow with M x N; time does.

    Args:
        generated: uint8 (M, C, H, W).
        training: uint8 (N, C, H, W): all images that the model has seen, at least 26.
        held_out: uint8 (L, C, H, W): real images of the same kind that it has not seen, at least 100, and 1 / rate.
        rate: Share of real images that may be flagged.
        features: What an extractor says of all of them, for a further search.
        seed: Of the choice of training images that tell what is usual.

    Raises:
        ValueError: images have other types or shapes, or there are too few of them.
    """
    # Before what takes minutes.
    _check(generated, "generated", 1)
    _same(generated, training, "generated")
    if features is None:
        return CopyFinder(training, held_out, rate=rate, seed=seed).find(generated)
    known, theirs = features.training, features.held_out
    finder = CopyFinder(training, held_out, rate=rate, features=known, held_out_features=theirs, seed=seed)
    return finder.find(generated, features.generated)


class CopyFinder:
    """`find_copies` for several sets of samples: what is known of the real images is worked out once.

    Args:
        training: As of `find_copies`.
        held_out: Likewise.
        rate: Likewise.
        features: Of the training images (N, D), for a further search.
        held_out_features: (L, D), with `features`.
        seed: As of `find_copies`.

    Raises:
        ValueError: as from `find_copies`.
    """

    def __init__(
        self,
        training: Tensor,
        held_out: Tensor,
        *,
        rate: float = 0.01,
        features: Tensor | None = None,
        held_out_features: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        for images, what, least in (
            (training, "training", LEAST_TRAINING),
            (held_out, "held-out", LEAST_HELD_OUT),
        ):
            _check(images, what, least)
        _same(held_out, training, "held-out")
        if not 1 / (len(held_out) + 1) <= rate < 0.5:
            raise ValueError(
                f"a rate of {rate:g} cannot be told by {len(held_out)} held-out images; it needs at least {1 / rate if rate > 0 else 0:.0f}"
            )
        known = _checked_features(features, training)
        self.training, self.rate, self._index = training, rate, Index.of(training, known)
        pick = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed))[:REFERENCE]
        known = None if known is None else known[pick]
        self._scales = Scales.of(self._closeness(training[pick], known, pick))
        self._held_out = self._scales.scores(self._closeness(held_out, held_out_features))

    def find(self, generated: Tensor, features: Tensor | None = None) -> Copies:
        """Copies among generated images, uint8 (M, C, H, W), which an extractor may have features (M, D) of.

        Raises:
            ValueError: images have another type or shape, or there are none.
        """
        _check(generated, "generated", 1)
        _same(generated, self.training, "generated")
        found = self._closeness(generated, features)
        p_value = p_values(self._scales.scores(found), self._held_out)
        return verdict(found.nearest, found.distance, p_value, len(self._held_out), self.rate)

    def _closeness(self, samples: Tensor, features: Tensor | None, own: Tensor | None = None) -> Closeness:
        if (features is None) != (self._index.features is None):
            raise ValueError("either all images have features, or none")
        theirs = _checked_features(features, samples)
        return closeness(samples, self.training, self._index.candidates(samples, CANDIDATES, own, theirs))


def verdict(nearest: Tensor, distance: Tensor, p_value: Tensor, held_out: int, rate: float = 0.01) -> Copies:
    """What p-values say of all samples together.

    Args:
        nearest: As of `Copies`.
        distance: Likewise.
        p_value: Likewise.
        held_out: How many held-out images the p-values come from.
        rate: Share of real images that may be flagged.
    """
    flagged = p_value <= rate
    low, high = interval(int(flagged.sum()), len(flagged))
    rank = max(1, int(ALARM_SHARE * rate * (held_out + 1)))
    # One sample stands for all that are nearest to the same image: the first, which is as good as any. Many of one mode, or copies of one
    # image, would count as if each had been drawn by itself.
    images, group = torch.unique(nearest, return_inverse=True)
    first = torch.full((len(images),), len(nearest)).scatter_reduce(
        0, group, torch.arange(len(nearest)), "amin"
    )
    suspects = int((p_value[first] <= rank / (held_out + 1) + 1e-12).sum())
    chance = alarm_p_value(suspects, len(images), min(TOLERANCE * rank, held_out), held_out)
    return Copies(
        nearest=nearest,
        distance=distance,
        p_value=p_value,
        flagged=flagged,
        rate=rate,
        share=float(flagged.double().mean()),
        low=low,
        high=high,
        suspects=suspects,
        seen=len(images),
        alarm_p_value=chance,
        alarm=chance <= ALARM,
    )


def _check(images: Tensor, what: str, least: int) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            f"{what} images are {images.dtype} of the shape {tuple(images.shape)}, and not uint8 (images, channels, height, width)"
        )
    if len(images) < least:
        raise ValueError(f"at least {least} {what} images are needed, not {len(images)}")


def _same(images: Tensor, training: Tensor, what: str) -> None:
    if images.shape[1:] != training.shape[1:]:
        raise ValueError(
            f"{what} images of {tuple(images.shape[1:])} cannot be compared with training images of {tuple(training.shape[1:])}"
        )


def _checked_features(features: Tensor | None, images: Tensor) -> Tensor | None:
    if features is None:
        return None
    if len(features) != len(images):
        raise ValueError(f"there are features of {len(features)} images, and {len(images)} images")
    return checked(features, what="features")
