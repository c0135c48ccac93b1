from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from raygen.models.transformer.network import Cache, Decoder, RMSNorm, rotary_table, rotate
from raygen.spec.families.transformer import ResolvedTransformer as Architecture
from tests.budget import examples
from tests.unit.models.transformer.models import (
    VOCABULARY,
    architecture,
    architectures,
    decoder_of,
    tokens_of,
)


def parameters_by_formula(a: Architecture) -> int:
    D, L, C = a.hidden_size, a.layers, a.hidden_size // a.heads
    kv = (a.kv_heads or a.heads) * C
    width = a.feed_forward_size or 4 * D
    attention = D * D + 2 * D * kv + D * D + (2 * C if a.qk_norm else 0)
    feed_forward = (3 if a.activation == "SwiGLU" else 2) * D * width
    embeddings = VOCABULARY * D * (1 if a.tie_embeddings else 2)
    return embeddings + L * (attention + feed_forward + 2 * D) + D


def reference_logits(decoder: Decoder, tokens_T: Tensor) -> Tensor:
    """The decoder as its sources' formulas say it, one token and one head at a time, in Float64."""
    a = decoder.architecture
    weights = {name: p.detach().double() for name, p in decoder.named_parameters()}
    C = a.hidden_size // a.heads
    K = a.kv_heads or a.heads

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean() + a.norm_epsilon).sqrt() * weights[name]

    def turned(x_C: Tensor, position: int) -> Tensor:
        first, second = x_C[: C // 2], x_C[C // 2 :]
        angles = position * a.rope_theta ** (-2 * torch.arange(C // 2, dtype=torch.float64) / C)
        pairs = torch.complex(first, second) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat((pairs.real, pairs.imag))

    x_T = [weights["embedding.weight"][token] for token in tokens_T]
    for layer in range(a.layers):
        at = f"blocks.{layer}."
        projected = [
            (weights[at + "attention.qkv.weight"] @ norm(x, at + "attention_norm.weight")).view(-1, C)
            for x in x_T
        ]
        queries, keys = [], []
        for position, heads in enumerate(projected):
            q, k = heads[: a.heads], heads[a.heads : a.heads + K]
            if a.qk_norm:
                q = torch.stack([norm(head, at + "attention.query_norm.weight") for head in q])
                k = torch.stack([norm(head, at + "attention.key_norm.weight") for head in k])
            queries.append([turned(head, position) for head in q])
            keys.append([turned(head, position) for head in k])
        for t in range(len(x_T)):
            mixed = []
            for head in range(a.heads):
                group = head * K // a.heads
                scores = torch.stack([queries[t][head] @ keys[s][group] for s in range(t + 1)]) / math.sqrt(C)
                values = torch.stack([projected[s][a.heads + K + group] for s in range(t + 1)])
                mixed.append(scores.softmax(0) @ values)
            x_T[t] = x_T[t] + weights[at + "attention.output.weight"] @ torch.cat(mixed)
            y = weights[at + "feed_forward.up.weight"] @ norm(x_T[t], at + "feed_forward_norm.weight")
            if a.activation == "SwiGLU":
                gate, up = y.chunk(2)
                y = gate / (1 + (-gate).exp()) * up
            else:
                y = y / 2 * (1 + (math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)).tanh())
            x_T[t] = x_T[t] + weights[at + "feed_forward.down.weight"] @ y
    output = weights["embedding.weight" if a.tie_embeddings else "output.weight"]
    return torch.stack([output @ norm(x, "norm.weight") for x in x_T])


@examples(40)
@given(a=architectures(), data=st.data())
@torch.no_grad()
def test_logits_are_those_of_the_formulas(a: Architecture, data: st.DataObject) -> None:
    tokens = tokens_of(1, data.draw(st.integers(1, a.context_length)))
    decoder = decoder_of(a)

    logits = decoder(tokens)[0]

    expected = reference_logits(decoder, tokens[0])
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-4)


@examples(60)
@given(a=architectures())
def test_the_number_of_parameters_follows_the_formula(a: Architecture) -> None:
    decoder = Decoder(a, VOCABULARY, torch.float32)

    assert sum(p.numel() for p in decoder.parameters()) == parameters_by_formula(a)
    assert set(decoder.state_dict()) == {name for name, _ in decoder.named_parameters()}


@examples(40)
@given(a=architectures(), data=st.data())
@torch.no_grad()
def test_no_token_changes_the_logits_before_it(a: Architecture, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, a.context_length - 1))
    tokens = tokens_of(2, a.context_length)
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % VOCABULARY
    decoder = decoder_of(a)

    before, after = decoder(tokens), decoder(changed)

    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.equal(before[:, place], after[:, place])


@examples(60)
@given(a=architectures(), data=st.data())
@torch.no_grad()
def test_the_cache_changes_no_logits(a: Architecture, data: st.DataObject) -> None:
    tokens = tokens_of(2, data.draw(st.integers(1, a.context_length)))
    decoder = decoder_of(a)
    cache = Cache(a, 2, tokens.shape[1], decoder.embedding.weight)
    parts = []
    while cache.length < tokens.shape[1]:
        size = data.draw(st.integers(1, tokens.shape[1] - cache.length), label="tokens at once")
        parts.append(decoder(tokens[:, cache.length : cache.length + size], cache))

    torch.testing.assert_close(torch.cat(parts, dim=1), decoder(tokens), rtol=1e-5, atol=1e-5)


@examples(60)
@given(
    half=st.integers(1, 16),
    theta=st.sampled_from([10.0, 1e4, 1e6]),
    left=st.integers(0, 40),
    right=st.integers(0, 40),
    shift=st.integers(0, 23),
)
def test_rotary_scores_depend_on_the_distance_alone(
    half: int, theta: float, left: int, right: int, shift: int
) -> None:
    a = architecture(heads=1, hidden_size=2 * half, context_length=64, rope_theta=theta)
    cos, sin = rotary_table(a)
    q, k = torch.randn(2, 1, 1, 1, 2 * half, generator=torch.Generator().manual_seed(half))

    def score(at_q: int, at_k: int) -> Tensor:
        turned = [rotate(x, cos[at : at + 1], sin[at : at + 1]) for x, at in ((q, at_q), (k, at_k))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(left, right), score(left + shift, right + shift), rtol=1e-4, atol=1e-4)


def test_rotary_positions_keep_lengths_and_position_zero() -> None:
    a = architecture(heads=1, hidden_size=8, context_length=64)
    x = torch.randn(2, 64, 3, 8, generator=torch.Generator().manual_seed(0))

    turned = rotate(x, *rotary_table(a))

    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, 0], x[:, 0])
    assert not torch.allclose(turned[:, 1], x[:, 1])


def test_rms_norm_follows_its_formula() -> None:
    norm = RMSNorm(6, 1e-2)
    torch.nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(2))

    expected = x / (x.square().mean(dim=-1, keepdim=True) + 1e-2).sqrt() * norm.weight

    torch.testing.assert_close(norm(x), expected)
    assert norm(x.bfloat16()).dtype == torch.bfloat16


@examples(20)
@given(a=architectures())
@torch.no_grad()
def test_bfloat16_is_close_to_float32(a: Architecture) -> None:
    tokens = tokens_of(2, a.context_length)
    exact = decoder_of(a, std=0.1)
    rounded = decoder_of(a, std=0.1, kind=torch.bfloat16)

    logits = rounded(tokens)

    assert logits.dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in rounded.parameters())
    difference = logits.float() - exact(tokens)
    assert difference.norm() < 0.05 * exact(tokens).norm()


def test_dropout_acts_in_training_alone() -> None:
    tokens = tokens_of(1, 12)
    decoder = decoder_of(architecture(dropout=0.5))

    assert torch.equal(decoder(tokens), decoder(tokens))
    decoder.train()
    assert not torch.equal(decoder(tokens), decoder(tokens))


def test_dropout_reaches_embedding_attention_and_feed_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    attend = F.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        shares.append(options["dropout_p"])
        return attend(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    decoder = decoder_of(architecture(dropout=0.25)).train()
    dropped: list[float] = []
    for module in decoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(lambda _, inputs, y: dropped.append(float((y == 0).float().mean())))

    decoder(tokens_of(64, 12))

    assert shares == [0.25, 0.25]
    assert len(dropped) == 1 + 2 * 2, "the embedding once, every block twice"
    assert all(abs(share - 0.25) < 0.03 for share in dropped)


@torch.no_grad()
def test_initial_weights_have_their_spread() -> None:
    a = architecture(layers=8, heads=4, hidden_size=64, tie_embeddings=False, qk_norm=True)
    decoder = Decoder(a, 500, torch.float32)
    decoder.initialize(torch.Generator().manual_seed(3))

    residual = 0.02 / math.sqrt(2 * 8)
    for name, parameter in decoder.named_parameters():
        if parameter.ndim == 1:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
            continue
        expected = (
            residual if name.endswith(("attention.output.weight", "feed_forward.down.weight")) else 0.02
        )
        assert float(parameter.std()) == pytest.approx(expected, rel=0.05), name


def test_initial_weights_follow_the_generator_alone() -> None:
    drawn = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        decoder = Decoder(architecture(), VOCABULARY, torch.float32)
        decoder.initialize(torch.Generator().manual_seed(5))
        drawn.append(decoder.state_dict())

    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


@torch.no_grad()
def test_a_new_model_gives_every_token_about_the_same_chance() -> None:
    decoder = Decoder(architecture(), VOCABULARY, torch.float32)
    decoder.initialize(torch.Generator().manual_seed(5))

    loss = F.cross_entropy(decoder(tokens_of(8, 12)).flatten(0, 1), tokens_of(8, 12, seed=1).flatten())

    assert float(loss) == pytest.approx(math.log(VOCABULARY), abs=0.05)
