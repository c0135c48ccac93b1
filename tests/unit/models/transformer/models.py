"""Builds small decoders, and strategies for their architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from raygen.models.draws import Draws
from raygen.models.protocol import MicroBatch
from raygen.models.transformer.family import TransformerFamily
from raygen.models.transformer.network import Decoder
from raygen.spec import Transformer
from raygen.spec.families.transformer import ResolvedTransformer as Architecture

VOCABULARY = 11


class Letters:
    """A vocabulary of the first letters; token 10 is the end of text."""

    size = VOCABULARY
    end_of_text: int | None = VOCABULARY - 1

    def encode(self, text: str) -> Sequence[int]:
        return ["abcdefghij".index(letter) for letter in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join("abcdefghij."[token] for token in tokens)


def architecture(**changes: Any) -> Architecture:
    small = {"layers": 2, "heads": 2, "hidden_size": 16, "context_length": 12}
    return Transformer.model_validate(small | changes).resolved()


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    kv_heads = draw(st.integers(1, 3))
    heads = kv_heads * draw(st.integers(1, 3))
    return architecture(
        layers=draw(st.integers(1, 3)),
        heads=heads,
        kv_heads=draw(st.sampled_from([kv_heads, heads, None])),
        hidden_size=heads * 2 * draw(st.integers(1, 4)),
        feed_forward_size=draw(st.none() | st.integers(1, 40)),
        context_length=draw(st.integers(1, 12)),
        activation=draw(st.sampled_from(["SwiGLU", "GELU"])),
        qk_norm=draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        rope_theta=draw(st.sampled_from([10.0, 10_000.0])),
        norm_epsilon=draw(st.sampled_from([1e-6, 1e-5, 1e-2])),
    )


def decoder_of(
    a: Architecture, *, std: float = 0.3, seed: int = 0, kind: torch.dtype = torch.float32
) -> Decoder:
    """A decoder in evaluation mode, with weights far from the start of training, so that errors show."""
    decoder = Decoder(a, VOCABULARY, kind)
    generator = torch.Generator().manual_seed(seed)
    for parameter in decoder.parameters():
        around = 1.0 if parameter.ndim == 1 else 0.0
        nn.init.normal_(parameter, mean=around, std=std, generator=generator)
    return decoder.eval()


def family_of(a: Architecture, *, label_smoothing: float = 0.0, **options: Any) -> TransformerFamily:
    return TransformerFamily(decoder_of(a, **options), Letters(), label_smoothing)


def tokens_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def batch_of(*shape: int, seed: int = 0) -> dict[str, Tensor]:
    tokens = tokens_of(shape[0], shape[1] + 1, seed=seed)
    return {"inputs": tokens[:, :-1], "targets": tokens[:, 1:]}


def in_parts(batch: dict[str, Tensor], *sizes: int) -> list[MicroBatch]:
    """A batch as micro-batches of these sizes."""
    total = sum(sizes)
    parts = {name: torch.split(tensor, list(sizes)) for name, tensor in batch.items()}
    return [
        MicroBatch(
            {name: parts[name][number] for name in batch}, size / total, draws_of(parts["inputs"][number])
        )
        for number, size in enumerate(sizes)
    ]


def draws_of(batch: Mapping[str, Tensor] | Tensor) -> Draws:
    """Random numbers for a batch's samples."""
    tensor = batch if isinstance(batch, Tensor) else next(iter(batch.values()))
    return Draws((0,), range(len(tensor)), tensor.device)


class Recorder:
    """An update that keeps gradients as they are at each step."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.gradients: list[dict[str, Tensor]] = []

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        torch.autograd.backward(loss)

    def step(self) -> Tensor:
        gradients = {name: p.grad for name, p in self.network.named_parameters() if p.grad is not None}
        self.gradients.append(gradients)
        self.network.zero_grad(set_to_none=True)
        return nn.utils.get_total_norm(list(gradients.values()))
