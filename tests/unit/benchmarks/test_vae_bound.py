"""The benchmark's own bounds, against models whose likelihood is known."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("vae_bound")


def encoder(mean: float, log_variance: float) -> object:
    return lambda images: torch.tensor([[mean, log_variance]]).expand(len(images), 2)


def fair(latents: Tensor) -> Tensor:
    """A decoder that knows nothing: each of the four pixels is white with probability 1/2."""
    return torch.zeros(len(latents), 1, 2, 2)


def two_sided(latents: Tensor) -> Tensor:
    """All four pixels are almost surely white for positive latents, and almost surely black for negative ones."""
    return 20 * latents.sign()[:, :, None, None].expand(-1, 1, 2, 2)


def test_elbo_of_a_constant_decoder_is_its_entropy_and_the_divergence(bound: ModuleType) -> None:
    images = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2).expand(30, 1, 2, 2)
    mean, log_variance = 0.7, -0.4
    divergence = 0.5 * (math.exp(log_variance) + mean**2 - 1 - log_variance)
    found = bound.negative_elbo(encoder(mean, log_variance), fair, images, 0)
    assert found == pytest.approx(4 * math.log(2) + divergence, rel=1e-5)


def test_likelihood_of_a_constant_decoder_whatever_the_posterior(bound: ModuleType) -> None:
    images = torch.ones(5, 1, 2, 2)
    found, error = bound.negative_log_likelihood(encoder(0.3, 0.5), fair, images, 20_000, 0)
    assert found == pytest.approx(4 * math.log(2), abs=0.02)
    assert error < 0.02


def test_likelihood_of_a_mixture(bound: ModuleType) -> None:
    # Half of the prior makes this image; the ELBO under this posterior is looser.
    images = torch.ones(4, 1, 2, 2)
    encode = encoder(1.0, 0.0)
    found, _ = bound.negative_log_likelihood(encode, two_sided, images, 20_000, 0)
    assert found == pytest.approx(math.log(2), abs=0.03)
    assert bound.negative_elbo(encode, two_sided, images, 0) > found


def test_standard_error_is_that_over_the_images(bound: ModuleType) -> None:
    # White is four times log 4/3, black four times log 4, up to the draws.
    def decode(latents: Tensor) -> Tensor:
        return torch.full((len(latents), 1, 2, 2), math.log(3))

    images = torch.cat([torch.ones(8, 1, 2, 2), torch.zeros(8, 1, 2, 2)])
    found, error = bound.negative_log_likelihood(encoder(0.0, 0.0), decode, images, 50, 0)
    white, black = 4 * math.log(4 / 3), 4 * math.log(4)
    assert found == pytest.approx((white + black) / 2, rel=1e-4)
    assert error == pytest.approx(abs(black - white) / 2 * math.sqrt(16 / 15) / 4, rel=1e-4)


def test_binarised_images_have_the_levels_as_their_means(bound: ModuleType) -> None:
    levels = torch.tensor([0, 64, 191, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)
    drawn = bound.binarised(levels.expand(20_000, 1, 2, 2), 3)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(dim=0)[0], levels[0, 0] / 255, atol=0.015, rtol=0)
    torch.testing.assert_close(drawn, bound.binarised(levels.expand(20_000, 1, 2, 2), 3))
