from __future__ import annotations

import math

import pytest
import torch

from raygen.models.gan.losses import LOSSES, between, squared_gradients


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


EXPECTED = {
    "NonSaturating": (lambda r, f: -log_sigmoid(r) - log_sigmoid(-f), lambda r, f: -log_sigmoid(f)),
    "Hinge": (lambda r, f: max(0, 1 - r) + max(0, 1 + f), lambda r, f: -f),
    "Wasserstein": (lambda r, f: f - r, lambda r, f: -f),
    "Relativistic": (lambda r, f: -log_sigmoid(r - f), lambda r, f: -log_sigmoid(f - r)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_the_papers(name: str) -> None:
    real, fake = torch.tensor([0.3, -2.0, 1.5, 0.0]), torch.tensor([-0.7, 1.0, 0.2, -3.0])
    for loss, expected in zip(
        (LOSSES[name].discriminator(real, fake), LOSSES[name].generator(real, fake)),
        EXPECTED[name],
        strict=True,
    ):
        wanted = [expected(r, f) for r, f in zip(real.tolist(), fake.tolist(), strict=True)]
        assert loss.tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_networks_pull_in_opposite_directions(name: str) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    LOSSES[name].discriminator(real, fake).sum().backward()  # type: ignore[no-untyped-call]
    assert real.grad is not None
    assert fake.grad is not None
    assert bool((real.grad < 0).all())
    assert bool((fake.grad > 0).all())
    fake.grad = None
    LOSSES[name].generator(real.detach(), fake).sum().backward()  # type: ignore[no-untyped-call]
    assert bool((fake.grad < 0).all())


def test_squared_gradients_are_those_of_each_image() -> None:
    images = torch.randn(3, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, dtype=torch.float64)
    scores = (images.flatten(1).square() * weights).sum(dim=1)
    expected = (2 * images.detach().flatten(1) * weights).square().sum(dim=1)
    found = squared_gradients(scores, images)
    torch.testing.assert_close(found.detach().double(), expected, rtol=1e-5, atol=1e-5)
    assert found.requires_grad


def test_images_between_lie_on_the_line() -> None:
    real, fake = torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    assert between(real, fake, torch.tensor([0.25, 1.0])).mean(dim=(1, 2, 3)).tolist() == [0.25, 1.0]
