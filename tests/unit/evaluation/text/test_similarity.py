"""Embeddings and the similarity of texts."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from raygen.errors import DataError
from raygen.evaluation.text import embeddings
from raygen.evaluation.text.embeddings import Encoder
from raygen.evaluation.text.similarity import cosines, similarity
from tests.unit.evaluation.judge.offline.tiny import INNER, LAYERS, WIDTH, tiny_encoder

TEXTS = ["the bridge of lisbon", "a tower", "It was built in 1937, and it is long.", "日本", "x " * 400]


def test_equal_texts_have_the_greatest_similarity() -> None:
    encoder = tiny_encoder()
    assert similarity(TEXTS, TEXTS, encoder=encoder) == pytest.approx([5] * len(TEXTS), abs=1e-5)
    found = cosines(TEXTS, TEXTS[::-1], encoder=encoder)
    assert found == cosines(TEXTS[::-1], TEXTS, encoder=encoder)
    assert all(-1 <= one <= 1 for one in found)
    scores = similarity(TEXTS, TEXTS[::-1], encoder=encoder)
    assert scores == [1 + 4 * max(one, 0.0) for one in found]


def test_a_pair_has_the_same_bits_whatever_the_others_are() -> None:
    encoder = tiny_encoder()
    whole = dict(zip(TEXTS, cosines(TEXTS, TEXTS[::-1], encoder=encoder), strict=True))
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    random.Random(0).shuffle(pairs)
    for one, other in pairs:
        assert cosines([one], [other], encoder=encoder) == [whole[one]]


def test_the_network_is_bert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "ARITHMETIC", torch.float32)
    encoder = tiny_encoder()
    config = BertConfig(
        vocab_size=encoder.vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        intermediate_size=INNER,
    )
    model = BertModel(config, add_pooling_layer=False).train(mode=False)
    missing, unexpected = model.load_state_dict(encoder.tensors, strict=False)
    assert not unexpected
    assert all("position_ids" in name for name in missing)
    for text in TEXTS[:3]:
        ids = torch.tensor([[2, *encoder.ids(text).tolist(), 3]])
        with torch.no_grad():
            states = model(ids).last_hidden_state[0]
        (found,) = encoder.encode([text])
        mean = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
        assert np.allclose(found.vector, mean.numpy(), atol=1e-5)
        inner = torch.nn.functional.normalize(states[1:-1], dim=1)
        assert np.allclose(found.states, inner.numpy(), atol=1e-5)


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(DataError, match="2 texts and 1"):
        similarity(["a", "b"], ["a"], encoder=tiny_encoder())
    with pytest.raises(DataError, match="pair 1: a text is empty"):
        similarity(["a", "b"], ["a", " "], encoder=tiny_encoder())
    assert similarity([], [], encoder=tiny_encoder()) == []


def test_other_weights_than_those_that_are_known_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(embeddings.PACKAGE)
    monkeypatch.setattr(embeddings, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="not those that are known"):
        Encoder.packaged()
