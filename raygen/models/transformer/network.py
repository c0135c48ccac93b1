"""The decoder: pre-norm blocks with RMSNorm, rotary positions, grouped-query attention, SwiGLU or GELU.

Shapes: B samples, T tokens, S tokens with cached keys, D hidden channels, H query heads, K key-value
heads, C channels per head, F feed-forward channels, V vocabulary.

Sources: Vaswani et al. 2017 (attention); Xiong et al. 2020 (pre-norm); Zhang & Sennrich 2019 (RMSNorm);
Su et al. 2021 (rotary positions); Shazeer 2020 (SwiGLU); Ainslie et al. 2023 (grouped queries);
Henry et al. 2020 (normalised queries and keys); Press & Wolf 2017 (tied embeddings).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygen.models.transformer import kernels
from raygen.spec.families.transformer import ResolvedTransformer as Architecture

INITIAL_STD = 0.02

Rotary = tuple[Tensor, Tensor] | kernels.Turns
"""Cosines and signed sines of the positions at hand, (T, 1, C) each; in training on a processor, what its kernels take."""


class Cache:
    """Keys and values of the tokens seen so far, for sampling.

    Attributes:
        keys, values: (layers, B, K, S, C) with room for S tokens.
        length: Tokens stored.
    """

    def __init__(self, architecture: Architecture, batch: int, room: int, like: Tensor) -> None:
        heads = architecture.kv_heads
        channels = architecture.hidden_size // architecture.heads
        shape = (architecture.layers, batch, heads, room, channels)
        self.keys = like.new_empty(shape)
        self.values = like.new_empty(shape)
        self.length = 0

    def extend(self, layer: int, keys_BKTC: Tensor, values_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        """Stores a layer's new keys and values; returns all of that layer's so far, (B, K, S, C) each."""
        end = self.length + keys_BKTC.shape[2]
        self.keys[layer, :, :, self.length : end] = keys_BKTC
        self.values[layer, :, :, self.length : end] = values_BKTC
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


def rotary_table(architecture: Architecture) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines of the rotary angles, (T, 1, C) each, as `rotate` needs them."""
    channels = architecture.hidden_size // architecture.heads
    frequencies = architecture.rope_theta ** -(torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    angles = torch.outer(torch.arange(architecture.context_length, dtype=torch.float64), frequencies)
    cos = torch.cat((angles.cos(), angles.cos()), dim=-1)
    sin = torch.cat((-angles.sin(), angles.sin()), dim=-1)
    return cos.float().unsqueeze(1), sin.float().unsqueeze(1)


def rotate(x_BTHC: Tensor, cos_T1C: Tensor, sin_T1C: Tensor) -> Tensor:
    """Turns each pair of channels (c, c + C/2) by its position's angle (Su et al. 2021, eq. 34).

    The sine of the first half carries the minus sign, which saves a pass over the channels.
    """
    swapped = x_BTHC.roll(x_BTHC.shape[-1] // 2, dims=-1)
    return torch.addcmul(x_BTHC * cos_T1C, swapped, sin_T1C)


def attend(q_BHTC: Tensor, k_BKSC: Tensor, v_BKSC: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Scaled dot-product attention, causal without a mask; (B, H, T, C) in the type of the queries."""
    kind = q_BHTC.dtype
    if q_BHTC.device.type == "cpu" and kind != torch.float32:
        # PyTorch's CPU kernel takes eight times as long backwards in BFloat16 as in Float32 (4.0 against
        # 0.5 ms for 12 x 64 tokens of 128 channels, PyTorch 2.13), which no faster product makes up for.
        q_BHTC, k_BKSC, v_BKSC = q_BHTC.float(), k_BKSC.float(), v_BKSC.float()
    groups = q_BHTC.shape[1] // k_BKSC.shape[1]
    if groups > 1 and mask is not None and q_BHTC.device.type == "cuda":
        # The kernels that take a mask know no groups, and what is left has all scores in memory.
        k_BKSC, v_BKSC = (x.repeat_interleave(groups, dim=1) for x in (k_BKSC, v_BKSC))
    y_BHTC = F.scaled_dot_product_attention(
        q_BHTC,
        k_BKSC,
        v_BKSC,
        attn_mask=mask,
        is_causal=mask is None,
        dropout_p=dropout,
        enable_gqa=k_BKSC.shape[1] != q_BHTC.shape[1],
    )
    return y_BHTC.to(kind)


def document_mask(documents_BT: Tensor) -> Tensor:
    """Which keys each query sees, (B, 1, T, T): those of its own document up to itself.

    Rotary positions need not begin anew with each document: scores depend on the distances of positions alone, and those of
    different documents never meet.
    """
    return (documents_BT[:, None, :, None] == documents_BT[:, None, None, :]).tril()


def multiply(x: Tensor, weight_OX: Tensor) -> Tensor:
    """(..., X) -> (..., O): products with the rows of a Float32 weight, in the type of x."""
    if kernels.serves(x):
        return kernels.linear(x, weight_OX)
    return F.linear(x, weight_OX.to(x.dtype))


class Linear(nn.Linear):
    """A linear layer without bias whose Float32 weight is used in the type of its input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """X (..., inputs) -> (..., outputs)."""
        return multiply(x, self.weight)


class RMSNorm(nn.Module):
    """Divides by the root mean square of the channels; a learned scale, no bias."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """X (..., channels) -> the same shape and type."""
        if kernels.serves(x):
            return kernels.rms_norm(x, self.weight, self.epsilon)
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.epsilon)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, a: Architecture, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = a.heads, a.kv_heads
        self.channels = a.hidden_size // a.heads
        self.layer = layer
        self.dropout = a.dropout
        self.qkv = Linear(a.hidden_size, (self.heads + 2 * self.kv_heads) * self.channels)
        self.output = Linear(a.hidden_size, a.hidden_size)
        self.query_norm = RMSNorm(self.channels, a.norm_epsilon) if a.qk_norm else None
        self.key_norm = RMSNorm(self.channels, a.norm_epsilon) if a.qk_norm else None

    def forward(
        self, norm: RMSNorm, x_BTD: Tensor, rotary: Rotary, cache: Cache | None, mask: Tensor | None
    ) -> Tensor:
        """X (B, T, D), before its norm -> (B, T, D). There is a cache or a mask of documents, not both."""
        if isinstance(rotary, kernels.Turns):
            return self._mix(*self._fused_heads(norm, x_BTD, rotary), mask)
        x_BTD = norm(x_BTD)
        B, T, _ = x_BTD.shape
        H, K = self.heads, self.kv_heads
        # Split rather than sliced: backwards, a split is one copy, and each slice is a tensor of zeros to add.
        qk, v_BTKC = torch.split(self.qkv(x_BTD).view(B, T, H + 2 * K, self.channels), [H + K, K], dim=2)
        if self.query_norm is not None and self.key_norm is not None:
            q_BTHC, k_BTKC = torch.split(qk, [H, K], dim=2)
            qk = torch.cat((self.query_norm(q_BTHC), self.key_norm(k_BTKC)), dim=2)
        q_BHTC, k_BKTC = torch.split(rotate(qk, *rotary).transpose(1, 2), [H, K], dim=1)
        v_BKTC = v_BTKC.transpose(1, 2)
        if cache is not None:
            seen = cache.length
            k_BKTC, v_BKTC = cache.extend(self.layer, k_BKTC, v_BKTC)
            if seen:
                mask = torch.ones(T, seen + T, dtype=torch.bool, device=x_BTD.device).tril(seen)
        return self._mix(q_BHTC, k_BKTC, v_BKTC, mask)

    def _fused_heads(
        self, norm: RMSNorm, x_BTD: Tensor, turns: kernels.Turns
    ) -> tuple[Tensor, Tensor, Tensor]:
        head_norms: tuple[Tensor, Tensor] | tuple[()] = ()
        if self.query_norm is not None and self.key_norm is not None:
            head_norms = (self.query_norm.weight, self.key_norm.weight)
        return kernels.normed_heads(x_BTD, norm.weight, norm.epsilon, self.qkv.weight, turns, head_norms)

    def _mix(self, q_BHTC: Tensor, k_BKSC: Tensor, v_BKSC: Tensor, mask: Tensor | None) -> Tensor:
        y_BHTC = attend(q_BHTC, k_BKSC, v_BKSC, mask, self.dropout if self.training else 0.0)
        return self.output(y_BHTC.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU, down(silu(gate(x)) * up(x)), or GELU, down(gelu(up(x)))."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.feed_forward_size
        self.gated = a.activation == "SwiGLU"
        self.up = Linear(a.hidden_size, 2 * width if self.gated else width)
        self.down = Linear(width, a.hidden_size)

    def forward(self, norm: RMSNorm, x_BTD: Tensor) -> Tensor:
        """X (B, T, D), before its norm -> (B, T, D)."""
        if self.gated and kernels.serves(x_BTD):
            return kernels.normed_swiglu(x_BTD, norm.weight, norm.epsilon, self.up.weight, self.down.weight)
        x_BTD = norm(x_BTD)
        if self.gated:
            gate_BTF, up_BTF = self.up(x_BTD).chunk(2, dim=-1)
            return self.down(F.silu(gate_BTF) * up_BTF)  # type: ignore[no-any-return]
        return self.down(F.gelu(self.up(x_BTD), approximate="tanh"))  # type: ignore[no-any-return]


def dropping(share: float) -> nn.Module:
    """A layer that drops this share of activations in training."""
    return nn.Dropout(share) if share else nn.Identity()


class Block(nn.Module):
    """Attention and feed-forward, each normalised before and added to the residual stream."""

    def __init__(self, a: Architecture, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(a.hidden_size, a.norm_epsilon)
        self.attention = Attention(a, layer)
        self.feed_forward_norm = RMSNorm(a.hidden_size, a.norm_epsilon)
        self.feed_forward = FeedForward(a)
        self.dropout = dropping(a.dropout)

    def forward(self, x_BTD: Tensor, rotary: Rotary, cache: Cache | None, mask: Tensor | None) -> Tensor:
        """X (B, T, D) -> (B, T, D)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.attention_norm, x_BTD, rotary, cache, mask))
        return x_BTD + self.dropout(self.feed_forward(self.feed_forward_norm, x_BTD))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Tokens in, logits out."""

    rotary_cos: Tensor
    rotary_sin: Tensor

    def __init__(self, architecture: Architecture, vocabulary: int, compute_type: torch.dtype) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.compute_type = compute_type
        self.embedding = nn.Embedding(vocabulary, a.hidden_size)
        self.dropout = dropping(a.dropout)
        self.layers = [Block(a, layer) for layer in range(a.layers)]
        self.blocks = nn.ModuleList(self.layers)
        self.norm = RMSNorm(a.hidden_size, a.norm_epsilon)
        self.output = None if a.tie_embeddings else nn.Embedding(vocabulary, a.hidden_size)
        cos, sin = rotary_table(a)
        self.register_buffer("rotary_cos", cos.to(compute_type), persistent=False)
        self.register_buffer("rotary_sin", sin.to(compute_type), persistent=False)

    def initialize(self, generator: torch.Generator) -> None:
        """Draws the weights: normal with std 0.02, layers that end in the residual stream divided by
        sqrt(2 x layers) (Radford et al. 2019, section 2.3).
        """
        residual = INITIAL_STD / math.sqrt(2 * self.architecture.layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 1:
                nn.init.ones_(parameter)
                continue
            into_residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
            std = residual if into_residual else INITIAL_STD
            nn.init.normal_(parameter, std=std, generator=generator)

    def set_dropout(self, share: float) -> None:
        """Drops another share of activations from now on."""
        self.dropout = dropping(share)
        for block in self.layers:
            block.dropout, block.attention.dropout = dropping(share), share

    def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Tokens (B, T) -> logits (B, T, V) in the compute type. With a cache, tokens follow those in it."""
        return self.logits(self.embedding(tokens_BT), cache)

    def logits(
        self, embedded_BTD: Tensor, cache: Cache | None = None, documents_BT: Tensor | None = None
    ) -> Tensor:
        """What `forward` gives, from the tokens' embeddings (B, T, D).

        Args:
            embedded_BTD: The embeddings.
            cache: Of the tokens before them, when sampling.
            documents_BT: Number of the document of each token, where attention keeps to a document.
        """
        T = embedded_BTD.shape[1]
        start = cache.length if cache is not None else 0
        table = (self.rotary_cos[start : start + T], self.rotary_sin[start : start + T])
        rotary: Rotary = table
        mask = None if documents_BT is None else document_mask(documents_BT)
        x_BTD = self.dropout(embedded_BTD.to(self.compute_type))
        if cache is None and kernels.serves(x_BTD):
            rotary = kernels.Turns.new(table, self.architecture.heads, self.architecture.kv_heads)
        for block in self.layers:
            x_BTD = block(x_BTD, rotary, cache, mask)
        if cache is not None:
            cache.length += T
        head = self.embedding if self.output is None else self.output
        return multiply(self.norm(x_BTD), head.weight)
