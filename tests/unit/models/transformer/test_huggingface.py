from __future__ import annotations

import json

import pytest
import torch

from raygen.errors import ExportError
from raygen.models.transformer.huggingface import to_huggingface
from tests.unit.models.transformer.models import VOCABULARY, architecture, decoder_of, family_of


@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_goes_along_once(tied: bool) -> None:
    decoder = decoder_of(architecture(kv_heads=1, qk_norm=True, tie_embeddings=tied))

    model = to_huggingface(decoder, None)

    assert sum(t.numel() for t in model.tensors.values()) == sum(p.numel() for p in decoder.parameters())
    assert ("lm_head.weight" in model.tensors) == (not tied)
    assert model.config["tie_word_embeddings"] == tied
    for tensor in model.tensors.values():
        assert tensor.is_contiguous()
        assert not tensor.requires_grad
        assert tensor.dtype == torch.float32


@pytest.mark.parametrize(("qk_norm", "name"), [(False, "Llama"), (True, "Qwen3")])
def test_the_configuration_tells_the_architecture(qk_norm: bool, name: str) -> None:
    a = architecture(
        heads=4, kv_heads=2, feed_forward_size=40, qk_norm=qk_norm, rope_theta=500.0, norm_epsilon=1e-6
    )

    config = json.loads(json.dumps(to_huggingface(decoder_of(a), VOCABULARY - 1).config))

    assert config["architectures"] == [f"{name}ForCausalLM"]
    expected = {
        "hidden_size": 16,
        "intermediate_size": 40,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": 12,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500.0,
        "vocab_size": VOCABULARY,
        "eos_token_id": VOCABULARY - 1,
    }
    assert {key: config[key] for key in expected} == expected


def test_gelu_is_refused_with_a_reason() -> None:
    with pytest.raises(ExportError, match="no Hugging Face architecture") as caught:
        family_of(architecture(activation="GELU")).huggingface()

    assert caught.value.where == "spec.model.transformer.activation"
    assert "SwiGLU" in caught.value.remedy
