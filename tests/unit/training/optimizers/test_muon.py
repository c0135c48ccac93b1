"""Our Muon beside torch.optim.Muon, which is right and slow where BFloat16 has no units."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from raygen.checkpoint import load_optimizer_state, optimizer_state
from raygen.training.optimizers.muon import Muon, orthogonalise, product_type
from tests.budget import examples

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
OPTIONS = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-4, 0.1),
        "weight_decay": st.floats(0.0, 0.5),
        "momentum": st.floats(0.0, 0.99),
        "nesterov": st.booleans(),
    }
)


def drawn(shape: tuple[int, int], seed: int, rank: int | None = None, scale: float = 1.0) -> Tensor:
    """A matrix whose singular values beyond `rank` are a ten-thousandth of the others."""
    generator = torch.Generator().manual_seed(seed)
    full = torch.randn(shape, generator=generator)
    if rank is None:
        return full * scale
    rows, columns = shape
    low = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
    return (low + 1e-4 * full) * scale


def trained(optimizer: torch.optim.Optimizer, weights: nn.Parameter, seed: int, steps: int = 3) -> Tensor:
    for step in range(steps):
        weights.grad = drawn(tuple(weights.shape), seed + step, rank=2 if step else None)
        optimizer.step()
    return weights.detach()


@contextmanager
def torch_in_float64() -> Iterator[None]:
    """torch.optim.Muon's iteration, which always says `bfloat16()`, in Float64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "bfloat16", Tensor.double)
        yield


@examples(30)
@given(SHAPES, OPTIONS, st.integers(0, 2**32))
def test_in_bfloat16_it_is_torch_muon_bit_for_bit(
    shape: tuple[int, int], options: dict[str, Any], seed: int
) -> None:
    ours, theirs = (nn.Parameter(drawn(shape, seed)) for _ in range(2))
    expected = trained(torch.optim.Muon([theirs], **options), theirs, seed)
    assert torch.equal(trained(Muon([ours], kind=torch.bfloat16, **options), ours, seed), expected)


@examples(30)
@given(SHAPES, OPTIONS, st.integers(0, 2**32))
def test_in_float32_it_is_torch_muon_but_for_rounding(
    shape: tuple[int, int], options: dict[str, Any], seed: int
) -> None:
    ours, theirs = (nn.Parameter(drawn(shape, seed)) for _ in range(2))
    with torch_in_float64():
        expected = trained(torch.optim.Muon([theirs], **options), theirs, seed)
    actual = trained(Muon([ours], kind=torch.float32, **options), ours, seed)
    moved = options["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-3 * moved)


@examples(30)
@given(SHAPES, st.integers(0, 2**32), st.none() | st.integers(1, 4), st.floats(1e-4, 1e4))
def test_float32_loses_a_thousandth_at_most(
    shape: tuple[int, int], seed: int, rank: int | None, scale: float
) -> None:
    matrix = drawn(shape, seed, rank, scale)
    with torch_in_float64():
        expected = torch.optim._muon._zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert (orthogonalise(matrix[None], torch.float32)[0] - expected).norm() <= 1e-3 * expected.norm()


@pytest.mark.parametrize("shape", [(4, 4), (4, 16), (16, 4)])
def test_no_gradient_gives_no_direction(shape: tuple[int, int]) -> None:
    assert not orthogonalise(torch.zeros(1, *shape), torch.float32).any()


def test_no_gradient_at_all_leaves_a_matrix_as_it_is() -> None:
    weights = nn.Parameter(torch.ones(3, 3))
    Muon([weights], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weights, torch.ones(3, 3))


def test_a_processor_computes_in_float32_whatever_it_is() -> None:
    assert product_type(torch.device("cpu")) == torch.float32


class Rows:
    """Two workers, threads here, hold half of each matrix's rows."""

    def __init__(self, rank: int, meeting: threading.Barrier, parts: list[Tensor]) -> None:
        self.rank, self.meeting, self.parts = rank, meeting, parts

    def shape(self, part: Tensor) -> torch.Size:
        return torch.Size((2 * part.shape[0], part.shape[1]))

    def whole(self, part: Tensor) -> Tensor:
        self.parts[self.rank] = part
        self.meeting.wait(10)
        matrix = torch.cat(self.parts)
        self.meeting.wait(10)
        return matrix

    def part(self, matrix: Tensor, like: Tensor) -> Tensor:
        return matrix.chunk(2)[self.rank].view_as(like)


def test_workers_that_hold_halves_make_the_update_of_the_whole() -> None:
    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
    whole = nn.Parameter(drawn((12, 6), 0))
    halves = [nn.Parameter(half.clone()) for half in whole.detach().chunk(2)]
    gradients = [drawn((12, 6), seed) for seed in range(1, 4)]
    optimizer = Muon([whole], **options)
    for gradient in gradients:
        whole.grad = gradient
        optimizer.step()
    meeting, parts = threading.Barrier(2), [torch.empty(0)] * 2

    def work(rank: int) -> None:
        mine = Muon([halves[rank]], layout=Rows(rank, meeting, parts), **options)
        for gradient in gradients:
            halves[rank].grad = gradient.chunk(2)[rank]
            mine.step()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.cat([half.detach() for half in halves]), whole.detach())


@pytest.mark.parametrize("old", [torch.optim.Muon, Muon])
@pytest.mark.parametrize("new", [torch.optim.Muon, Muon])
def test_each_reads_the_checkpoint_of_the_other(old: Any, new: Any) -> None:
    layer = nn.Linear(5, 3, bias=False)
    before, after = old(layer.parameters(), lr=0.1), new(layer.parameters(), lr=0.1)
    trained(before, layer.weight, 0)
    tensors, values = optimizer_state(layer.named_parameters(), before)
    load_optimizer_state(layer.named_parameters(), after, tensors, values)
    assert torch.equal(
        after.state[layer.weight]["momentum_buffer"], before.state[layer.weight]["momentum_buffer"]
    )
