"""The decoder as a Hugging Face model: Llama, or Qwen3 where queries and keys are normalised.

Both have this decoder's arithmetic (RMSNorm before each layer, rotary positions on halves, SwiGLU, grouped
queries), so only names change: the one matrix for queries, keys and values becomes three, and the one for
gate and up becomes two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raygen.errors import ExportError
from raygen.models.protocol import HuggingFaceModel
from raygen.models.transformer.network import Attention, Decoder, FeedForward


def to_huggingface(decoder: Decoder, end_of_text: int | None) -> HuggingFaceModel:
    """The decoder's configuration and tensors under Hugging Face's names.

    Raises:
        ExportError: no Hugging Face architecture computes the same.
    """
    a = decoder.architecture
    if a.activation != "SwiGLU":
        raise ExportError(
            "no Hugging Face architecture has a feed-forward layer of plain GELU with RMSNorm and rotary positions",
            where="spec.model.transformer.activation",
            remedy="Train with activation: SwiGLU to export; `raygen sample` works with any.",
        )
    tensors = {
        "model.embed_tokens.weight": decoder.embedding.weight,
        "model.norm.weight": decoder.norm.weight,
    }
    if decoder.output is not None:
        tensors["lm_head.weight"] = decoder.output.weight
    for number, block in enumerate(decoder.layers):
        prefix = f"model.layers.{number}."
        tensors[prefix + "input_layernorm.weight"] = block.attention_norm.weight
        tensors[prefix + "post_attention_layernorm.weight"] = block.feed_forward_norm.weight
        tensors |= {prefix + "self_attn." + k: v for k, v in _attention(block.attention).items()}
        tensors |= {prefix + "mlp." + k: v for k, v in _feed_forward(block.feed_forward).items()}
    copied = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in tensors.items()}
    return HuggingFaceModel(_config(decoder, end_of_text), copied)


def _attention(attention: Attention) -> dict[str, Tensor]:
    channels = attention.channels
    sizes = [n * channels for n in (attention.heads, attention.kv_heads, attention.kv_heads)]
    q, k, v = torch.split(attention.qkv.weight, sizes)
    names = {"q_proj": q, "k_proj": k, "v_proj": v, "o_proj": attention.output.weight}
    if attention.query_norm is not None and attention.key_norm is not None:
        names |= {"q_norm": attention.query_norm.weight, "k_norm": attention.key_norm.weight}
    return {f"{name}.weight": tensor for name, tensor in names.items()}


def _feed_forward(layer: FeedForward) -> dict[str, Tensor]:
    gate, up = layer.up.weight.chunk(2)
    return {"gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": layer.down.weight}


def _config(decoder: Decoder, end_of_text: int | None) -> dict[str, Any]:
    a = decoder.architecture
    kind = "Qwen3" if a.qk_norm else "Llama"
    return {
        "architectures": [f"{kind}ForCausalLM"],
        "model_type": kind.lower(),
        "attention_bias": False,
        "attention_dropout": a.dropout,
        "bos_token_id": end_of_text,
        "dtype": "float32",
        "eos_token_id": end_of_text,
        "head_dim": a.hidden_size // a.heads,
        "hidden_act": "silu",
        "hidden_size": a.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": decoder.layers[0].feed_forward.down.in_features,
        "max_position_embeddings": a.context_length,
        "num_attention_heads": a.heads,
        "num_hidden_layers": a.layers,
        "num_key_value_heads": a.kv_heads,
        "rms_norm_eps": a.norm_epsilon,
        # Newer releases of transformers read the first, older ones the second.
        "rope_parameters": {"rope_type": "default", "rope_theta": a.rope_theta},
        "rope_theta": a.rope_theta,
        "tie_word_embeddings": a.tie_embeddings,
        "use_cache": True,
        "vocab_size": decoder.embedding.num_embeddings,
    }
