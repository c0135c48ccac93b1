"""Which training images a sample might be a copy of: a cheap search over all of them.

Shapes: M samples, N training images, D features, K candidates.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from raygen.evaluation.images.pairs import parts
from raygen.evaluation.memorisation.pixels import as_pixels, blurred, content, standard_pose, units, warped

COARSE = 14
"""Side of the images that are searched, in pixels."""

SAMPLES, TRAINING = 1024, 4096
"""Samples and training images whose similarities are in memory at the same time: 16 MiB of them."""


def coarse(pixels: Tensor) -> Tensor:
    """Images (B, C, S, S) without their fine detail, (B, C, 14, 14) or as small as they are."""
    side = min(COARSE, pixels.shape[-1])
    return F.interpolate(blurred(pixels, pixels.shape[-1] / 28), size=(side, side), mode="area")


@dataclass(frozen=True)
class Index:
    """What training images are searched by, 1.6 kB of an image with one channel.

    Attributes:
        views: Unit vectors of the images as they are and in the standard pose, (N, D) each.
        features: Of an extractor, of length 1, (N, D); None if there are none.
    """

    views: tuple[Tensor, Tensor]
    features: Tensor | None

    @classmethod
    def of(cls, training: Tensor, features: Tensor | None = None) -> Index:
        """Of images uint8 (N, C, H, W), which an extractor may have features (N, D) of."""
        plain, standard = _views(training)
        return cls(
            (units(plain), units(standard)), None if features is None else F.normalize(features.float())
        )

    def candidates(
        self, samples: Tensor, count: int, own: Tensor | None = None, features: Tensor | None = None
    ) -> Tensor:
        """The training images that look most like each sample, (M, K); some may come twice, found in two ways.

        Images are compared as they are and with their content moved to the middle and to the same size, each also mirrored. What is
        cropped or moved is found by the second; what has no clear content, by the first.

        Args:
            samples: uint8 (M, C, H, W).
            count: Candidates by looks; half as many more come by features.
            own: For samples that are training images: which (M,). They are no candidates of their own.
            features: Of the samples, (M, D), where those of the training images are there.
        """
        queries = [(units(view), units(view.flip(-1))) for view in _views(samples)]
        found = _nearest(queries, self.views, count, own)
        if self.features is None or features is None:
            return found
        more = _nearest([(F.normalize(features.float()),)], (self.features,), max(count // 2, 1), own)
        return torch.cat([found, more], dim=1)


def _views(images: Tensor) -> tuple[Tensor, Tensor]:
    """Coarse images as they are, and in the standard pose, (B, C, 14, 14) each."""
    plain, standard = [], []
    for rows in parts(len(images), size=SAMPLES):
        pixels = as_pixels(images[rows])
        plain.append(coarse(pixels))
        standard.append(coarse(warped(pixels, standard_pose(content(pixels)))))
    return torch.cat(plain), torch.cat(standard)


def _nearest(
    queries: Sequence[tuple[Tensor, ...]], views: tuple[Tensor, ...], count: int, own: Tensor | None
) -> Tensor:
    """Numbers of the training images with the largest products in any view, (M, count), the best first."""
    samples, known = len(queries[0][0]), len(views[0])
    best = torch.full((samples, count), -torch.inf)
    who = torch.zeros(samples, count, dtype=torch.int64)
    for rows in parts(samples, size=SAMPLES):
        for columns in parts(known, size=TRAINING):
            products = [
                query[rows] @ view[columns].T
                for kind, view in zip(queries, views, strict=True)
                for query in kind
            ]
            alike = functools.reduce(torch.maximum, products)
            if own is not None:
                place = own[rows] - columns.start
                inside = ((place >= 0) & (place < alike.shape[1])).nonzero()[:, 0]
                alike[inside, place[inside]] = -torch.inf
            value, number = alike.topk(min(count, alike.shape[1]), dim=1)
            values = torch.cat([best[rows], value], dim=1)
            numbers = torch.cat([who[rows], number + columns.start], dim=1)
            best[rows], order = values.topk(count, dim=1)
            who[rows] = numbers.gather(1, order)
    return who
