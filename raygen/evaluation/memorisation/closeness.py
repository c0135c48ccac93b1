"""How much nearer a sample is to one training image than to all others that look like it.

Shapes: M samples, K candidates of each, C channels, sides of S pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.evaluation.images.pairs import parts
from raygen.evaluation.memorisation.candidates import coarse
from raygen.evaluation.memorisation.pixels import (
    LARGEST,
    SMALLEST,
    as_pixels,
    blurred,
    content,
    pose_between,
    units,
    warped,
)

BATCH = 256
"""Samples that are compared at the same time."""

KEPT = 12
"""Candidates that are compared in full: the nearest one and 11 others."""

OTHERS = 10
"""Others of the nearest one that a sample's place is told by."""

SOFT = 1.0
"""Blur of both images before they are compared, in pixels of 28: noise goes, what a digit looks like stays."""

MORE = (0.0, 1.0, 1.6, 2.2)
"""Further blur of the training image, of which that is taken under which the nearest one agrees best: samples may be blurred copies."""


@dataclass(frozen=True)
class Closeness:
    """Statistics of samples; small ones are suspicious.

    Attributes:
        nearest: Number of the training image that is nearest in its best pose, (M,) int64.
        distance: To it, between unit vectors, from 0 to 2; (M,) float64.
        ratio: Logarithm of that distance over the one to the fifth candidate, (M,) float64; 0 without contrast.
        place: How far a sample lies on its way from the nearest image (0) to that of the others towards which it lies furthest (1),
            (M,) float64.
    """

    nearest: Tensor
    distance: Tensor
    ratio: Tensor
    place: Tensor


def closeness(samples: Tensor, training: Tensor, who: Tensor) -> Closeness:
    """Compares samples, uint8 (M, C, H, W), with their candidates (M, K) among training images, uint8 (N, C, H, W)."""
    found = [_compared(as_pixels(samples[rows]), training, who[rows]) for rows in parts(len(who), size=BATCH)]
    columns = (torch.cat(column) for column in zip(*found, strict=True))
    nearest, distance, ratio, place = columns
    return Closeness(nearest, distance.double(), ratio.double(), place.double())


def _compared(shown: Tensor, training: Tensor, who: Tensor) -> tuple[Tensor, ...]:
    rows = torch.arange(len(who))
    whole = as_pixels(training[who.flatten()])
    small, known = coarse(shown), coarse(whole)
    poses, agreement = _begun(small, known, content(shown), content(whole))
    for step in (1.0, 0.5):
        poses, agreement = _refined(small, known, poses, agreement, step)
    # One that was found in two ways counts once.
    again = (who[:, :, None] == who[:, None, :]).tril(-1).any(dim=2)
    count = min(KEPT, who.shape[1])
    order = agreement.view(who.shape).masked_fill(again, -2.0).topk(count, dim=1).indices
    who, again = who.gather(1, order), again.gather(1, order)
    chosen = (order + rows[:, None] * (len(poses) // len(rows))).flatten()
    whole, poses = whole[chosen], poses[chosen]
    soft = SOFT * shown.shape[-1] / 28
    fine, known = blurred(shown, soft), blurred(whole, soft)
    agreement = _agreement(fine, known, poses)
    for step in (0.5, 0.25):
        poses, agreement = _refined(fine, known, poses, agreement, step)
    return _statistics(units(fine), warped(whole, poses), who, again, soft)


def _begun(small: Tensor, known: Tensor, own: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """The best of four poses of each candidate: as it is, and content upon content, each mirrored or not."""
    times = len(known) // len(small)
    own = own.repeat_interleave(times, dim=0)
    plain = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(len(known), 4)
    begun = [plain, plain * torch.tensor([1.0, 1.0, 1.0, -1.0])]
    begun += [pose_between(own, theirs, mirror) for mirror in (1.0, -1.0)]
    scores = torch.stack([_agreement(small, known, poses) for poses in begun])
    best, which = scores.max(dim=0)
    return torch.stack(begun)[which, torch.arange(len(known))], best


def _agreement(shown: Tensor, whole: Tensor, poses: Tensor) -> Tensor:
    """Correlation of each sample (B, C, S, S) with its candidates (B K, C, S, S) in their poses, (B K,)."""
    seen = units(warped(whole, poses)).view(len(shown), -1, shown[0].numel())
    return torch.einsum("bkd,bd->bk", seen, units(shown)).flatten()


def _refined(
    shown: Tensor, whole: Tensor, poses: Tensor, agreement: Tensor, step: float
) -> tuple[Tensor, Tensor]:
    """Poses after a step of so many pixels of 28 in whichever direction helps: size, down, right."""
    for axis in (0, 1, 2):
        for sign in (-1, 1):
            moved = poses.clone()
            moved[:, axis] += sign * step * 2 / 28
            moved[:, 0].clamp_(SMALLEST, LARGEST)
            found = _agreement(shown, whole, moved)
            better = found > agreement
            agreement = torch.where(better, found, agreement)
            poses = torch.where(better[:, None], moved, poses)
    return poses, agreement


def _statistics(shown: Tensor, whole: Tensor, who: Tensor, again: Tensor, soft: float) -> tuple[Tensor, ...]:
    """Of unit vectors (B, D) and candidates (B K, C, S, S) in their poses."""
    rows, (size, count) = torch.arange(len(who)), who.shape
    best = torch.full((size,), -3.0)
    alike, between = torch.zeros(size, count), torch.zeros(size, count, count)
    for more in MORE:
        sigma = (soft**2 + (more * soft / SOFT) ** 2) ** 0.5
        seen = units(blurred(whole, sigma)).view(size, count, -1)
        found = torch.einsum("bkd,bd->bk", seen, shown).masked_fill(again, -1.0)
        top = found.amax(dim=1)
        better = top > best
        best = torch.where(better, top, best)
        alike[better] = found[better]
        between[better] = torch.bmm(seen[better], seen[better].mT)
    alike, order = alike.sort(dim=1, descending=True)
    nearest = order[:, 0]
    distances = (2 - 2 * alike).clamp(min=1e-4).sqrt()
    theirs = between[rows, nearest].gather(1, order)[:, 1 : OTHERS + 1]
    # What is left of the sample when its contrast is that of the nearest image: noise is orthogonal to the way to others, and drops out.
    toward = alike[:, 1 : OTHERS + 1] / alike[:, :1].clamp(min=1e-3) - theirs
    apart = 1 - theirs
    # Near duplicates of the nearest image are no way to measure by.
    apart = torch.maximum(apart, apart.median(dim=1, keepdim=True).values / 4).clamp(min=1e-4)
    place = (toward / (2 * apart)).amax(dim=1)
    ratio = (distances[:, 0] / distances[:, min(4, count - 1)]).log()
    empty = shown.abs().amax(dim=1) == 0
    place = torch.where(empty, 1.0, place)
    return who[rows, nearest], distances[:, 0], ratio, place
