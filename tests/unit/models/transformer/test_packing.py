"""Documents that share a sample are learned as if each were alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.models.protocol import MicroBatch
from raygen.models.transformer.family import TransformerFamily
from raygen.spec.families.transformer import ResolvedTransformer as Architecture
from tests.budget import examples
from tests.unit.models.transformer.models import (
    architecture,
    architectures,
    batch_of,
    decoder_of,
    draws_of,
    family_of,
    tokens_of,
)

IGNORED = -1


def alone(tokens: Tensor) -> dict[str, Tensor]:
    """A document as a sample of its own."""
    targets = tokens[1:]
    return {"inputs": tokens[None, :-1], "targets": targets[None], "bytes": torch.tensor([len(targets)])}


def packed(documents: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Documents one after the other, as one sample."""
    lengths = [document["inputs"].shape[1] for document in documents]
    numbers = [torch.full((1, length), place) for place, length in enumerate(lengths)]
    batch = {
        name: torch.cat([document[name] for document in documents], dim=1) for name in ("inputs", "targets")
    }
    return batch | {"documents": torch.cat(numbers, dim=1), "bytes": torch.tensor([sum(lengths)])}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Architecture, list[dict[str, Tensor]]]:
    a = draw(architectures())
    documents, left = [], a.context_length
    while left:
        length = draw(st.integers(1, left))
        documents.append(alone(tokens_of(length + 1, seed=draw(st.integers(0, 99)))))
        left -= length
    return a, documents


def gradients(family: TransformerFamily, loss: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(family.decoder.parameters()))


@examples(40)
@given(case=cases(), weighted=st.booleans(), smoothing=st.sampled_from([0.0, 0.1]))
def test_the_loss_is_that_of_the_documents_alone(
    case: tuple[Architecture, list[dict[str, Tensor]]], weighted: bool, smoothing: float
) -> None:
    a, documents = case
    family = family_of(a, label_smoothing=smoothing)
    batch = packed(documents)
    weights = torch.tensor([float(a.context_length)]) if weighted else None
    micro = MicroBatch(batch, 1.0, draws_of(batch), weights)
    lengths = [document["inputs"].shape[1] for document in documents]

    loss = family.weighted_loss(micro)

    parts = [family.loss(document) * n for document, n in zip(documents, lengths, strict=True)]
    expected = torch.stack(parts).sum() / sum(lengths)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for found, right in zip(gradients(family, loss), gradients(family, expected), strict=True):
        assert float((found - right).norm()) < 1e-4 * float(right.norm()) + 1e-5


@examples(20)
@given(case=cases())
@torch.inference_mode()
def test_evaluation_is_that_of_the_documents_alone(
    case: tuple[Architecture, list[dict[str, Tensor]]],
) -> None:
    a, documents = case
    family = family_of(a)
    batch = packed(documents)

    sums = family.evaluate(batch, draws_of(batch))
    weighted = family.evaluate(batch, draws_of(batch), torch.tensor([float(a.context_length)]))

    own = [family.evaluate(document, draws_of(document)) for document in documents]
    for name, value in sums.items():
        expected = torch.stack([part[name] for part in own]).sum()
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(weighted[name], expected.float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
@torch.no_grad()
def test_other_types_keep_documents_apart_too(kind: torch.dtype) -> None:
    decoder = decoder_of(architecture(kv_heads=1), kind=kind)
    tokens = tokens_of(1, 12)
    documents = torch.tensor([[0] * 5 + [1] * 4 + [2] * 3])
    changed = tokens.clone()
    changed[:, 6] = (changed[:, 6] + 1) % 10

    before, after = (decoder.logits(decoder.embedding(t), None, documents) for t in (tokens, changed))

    differ = (before != after).any(dim=-1)[0]
    assert differ.tolist() == [False] * 6 + [True] * 3 + [False] * 3


def test_one_document_is_learned_as_without_numbers() -> None:
    family = family_of(architecture(qk_norm=True))
    batch = batch_of(3, 12)

    plain = family.loss(batch)
    numbered = family.loss(batch | {"documents": torch.zeros_like(batch["inputs"])})

    torch.testing.assert_close(numbered, plain, rtol=1e-6, atol=1e-6)
