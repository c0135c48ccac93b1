from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from raygen.models.draws import Draws
from raygen.models.gan.augmentation import (
    adaptive_augment,
    cut_out,
    diff_augment,
    sample_bilinear,
    translate,
    warp,
)

CPU = torch.device("cpu")


def images(channels: int = 3) -> Tensor:
    return torch.rand(6, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def draws() -> Draws:
    return Draws((1, 2), range(6), CPU)


def ones(count: int = 1) -> Tensor:
    return torch.ones(count)


def test_adaptive_augmentation_at_zero_is_the_identity() -> None:
    torch.testing.assert_close(
        adaptive_augment(images(), draws(), "x", torch.tensor(0.0)), images(), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_is_keyed_and_differentiable(channels: int) -> None:
    for act in (
        lambda i, name: adaptive_augment(i, draws(), name, torch.tensor(0.8)),
        lambda i, name: diff_augment(i, draws(), name),
    ):
        given = images(channels).requires_grad_()
        first = act(given, "x")
        assert first.shape == given.shape
        assert torch.equal(first, act(given, "x"))
        assert not torch.equal(first, act(given, "y"))
        assert bool((first - given).abs().flatten(1).amax(dim=1).gt(0.01).any())
        first.sum().backward()
        assert given.grad is not None
        assert bool(given.grad.isfinite().all())
        assert bool(given.grad.abs().sum() > 0)


def test_translation_moves_whole_pixels_and_fills_with_black() -> None:
    given = images()
    moved = translate(given, torch.tensor([[2 / 16, -1 / 16]]).expand(6, 2))
    assert torch.equal(moved[:, :, 2:, :-1], given[:, :, :-2, 1:])
    assert bool((moved[:, :, :2] == -1).all())
    assert bool((moved[:, :, :, -1] == -1).all())


def test_cutout_covers_a_quarter_in_the_middle() -> None:
    cut = cut_out(torch.ones(1, 1, 16, 16), torch.tensor([[0.5, 0.5]]))
    assert int((cut == 0).sum()) == 15 * 15 or int((cut == 0).sum()) in range(49, 82)
    assert float(cut[0, 0, 8, 8]) == 0
    assert float(cut[0, 0, 0, 0]) == 1


def test_warps_are_what_they_say() -> None:
    given, still, none = images(), torch.zeros(6), torch.zeros(6, 2)
    mirrored = warp(given, -ones(6), still, ones(6), none)
    torch.testing.assert_close(mirrored, given.flip(3), rtol=0, atol=1e-4)
    turned = warp(given, ones(6), still + math.pi / 2, ones(6), none)
    quarter = [given.rot90(k, (2, 3)) for k in (1, 3)]
    assert any(torch.allclose(turned, one, atol=1e-3) for one in quarter)
    smaller = warp(torch.ones(1, 1, 16, 16), ones(), torch.zeros(1), ones() * 2, torch.zeros(1, 2))
    assert bool((smaller == 1).all())


def test_bilinear_sampling_is_pytorchs() -> None:
    places = torch.rand(6, 16, 16, 2, generator=torch.Generator().manual_seed(1)) * 3 - 1.5
    gradients = []
    results = []
    for act in (
        sample_bilinear,
        lambda i, p: F.grid_sample(i, p, padding_mode="border", align_corners=False),
    ):
        given = images().requires_grad_()
        result = act(given, places)
        (gradient,) = torch.autograd.grad(result.square().sum(), given)
        results.append(result.detach())
        gradients.append(gradient)
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)
