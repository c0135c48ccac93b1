from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.models.draws import Draws
from tests.budget import examples

CPU = torch.device("cpu")


@examples(40)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 3))
def test_a_sample_draws_the_same_however_the_step_is_cut(sizes: list[int], seed: int, step: int) -> None:
    whole = Draws((seed, step), range(sum(sizes)), CPU)
    start, parts = 0, []
    for size in sizes:
        parts.append(Draws((seed, step), range(start, start + size), CPU))
        start += size
    for draw in (
        lambda d: d.normal("latent", 3),
        lambda d: d.uniform("noise", 2, 2),
        lambda d: d.integers("label", 7),
    ):
        assert torch.equal(torch.cat([draw(part) for part in parts]), draw(whole))


def test_names_steps_and_seeds_are_independent() -> None:
    def drawn(seed: int, step: int, name: str) -> torch.Tensor:
        return Draws((seed, step), range(2000), CPU).normal(name)

    others = [drawn(0, 0, "b"), drawn(0, 1, "a"), drawn(1, 0, "a")]
    for other in others:
        correlation = torch.corrcoef(torch.stack([drawn(0, 0, "a"), other]))[0, 1]
        assert abs(float(correlation)) < 0.1


def test_numbers_have_the_distribution_that_they_claim() -> None:
    draws = Draws((5,), range(20_000), CPU)
    normal, uniform = draws.normal("n"), draws.uniform("u")
    assert abs(float(normal.mean())) < 0.03
    assert abs(float(normal.std()) - 1) < 0.03
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 0.01
    assert draws.integers("i", 5).bincount().min() > 3500
