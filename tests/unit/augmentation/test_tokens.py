"""Replaced tokens: as many as asked, in runs as long as asked, from what stands before, and the same however a step is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.augmentation.policy import augmented
from raygen.augmentation.tokens import masked
from raygen.models.draws import Draws
from raygen.models.protocol import Batch
from raygen.spec.data.augmentation import ResolvedAugmentation, SpanMasking
from tests.budget import examples

CPU = torch.device("cpu")


class Vocabulary:
    size = 1_000_000

    def __init__(self, end_of_text: int | None = None) -> None:
        self.end_of_text = end_of_text

    def encode(self, text: str) -> Sequence[int]:
        return [int(word) for word in text.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(map(str, tokens))


def numbered(count: int, context: int) -> Tensor:
    """Windows in which each token is its own number."""
    return torch.arange(count * context).reshape(count, context)


def make(inputs: Tensor, *, first: int = 0, end_of_text: int | None = None, **blocks: Any) -> Tensor:
    spec = ResolvedAugmentation.model_validate_json(json.dumps(blocks))
    batch: Batch = {"inputs": inputs, "targets": inputs + 1}
    draws = Draws((1, 2, 7), range(first, first + len(inputs)), CPU)
    found = augmented(spec, Vocabulary(end_of_text), batch, draws, lambda: (batch, draws))
    assert found["targets"] is batch["targets"]
    return found["inputs"]


def test_single_tokens_are_replaced_by_those_before_them() -> None:
    inputs = numbered(64, 200)
    found = make(inputs, tokenDropout={"share": 0.2})
    changed = found != inputs
    assert float(changed.float().mean()) == pytest.approx(0.2, abs=0.01)
    assert not bool(changed[:, 0].any())
    assert bool((found <= inputs).all())
    assert bool((found >= inputs[:, :1]).all())


@pytest.mark.parametrize(("share", "length"), [(0.15, 3.0), (0.5, 1.0), (0.3, 10.0)])
def test_runs_cover_their_share_from_the_first_place_on(share: float, length: float) -> None:
    spec = SpanMasking(share=share, mean_length=length)
    places = masked(spec, torch.zeros((2000, 60), dtype=torch.long), Draws((4,), range(2000), CPU))
    assert float(places.float().mean()) == pytest.approx(share, abs=0.01)
    assert float(places[:, 0].float().mean()) == pytest.approx(share, abs=0.035)
    starts = places[:, 1:] & ~places[:, :-1]
    mean = float(places[:, 1:].sum() / starts.sum())
    # Those that overlap or touch are one.
    assert length * 0.95 < mean < length / (1 - share) * 1.1


def test_ends_of_texts_neither_go_nor_come() -> None:
    inputs = numbered(16, 50) % 10 + 1
    found = make(inputs, end_of_text=5, tokenDropout={"share": 0.9})
    assert torch.equal(found == 5, inputs == 5)


@examples(15)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_a_window_becomes_the_same_however_a_step_is_cut(sizes: list[int]) -> None:
    blocks: dict[str, Any] = {"tokenDropout": {}, "spanMasking": {"meanLength": 2.5}}
    inputs = numbered(sum(sizes), 33)
    start, parts = 0, []
    for size in sizes:
        parts.append(make(inputs[start : start + size], first=start, **blocks))
        start += size
    assert torch.equal(torch.cat(parts), make(inputs, **blocks))
