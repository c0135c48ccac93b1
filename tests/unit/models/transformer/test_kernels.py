"""The layers by which a processor trains, against PyTorch's own operations in Float64."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from raygen.models.transformer import kernels
from raygen.models.transformer.network import Decoder
from raygen.spec.families.transformer import ResolvedTransformer as Architecture
from tests.budget import examples
from tests.unit.models.transformer.models import (
    VOCABULARY,
    architecture,
    architectures,
    decoder_of,
    tokens_of,
)


def differentiated(decoder: Decoder, tokens_BT: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean loss of the next tokens, and its gradients by name."""
    logits = decoder(tokens_BT)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens_BT.roll(-1, 1).flatten())
    names, parameters = zip(*decoder.named_parameters(), strict=True)
    return loss.detach(), dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def assert_like_float64(a: Architecture, tokens_BT: Tensor) -> None:
    loss, gradients = differentiated(decoder_of(a), tokens_BT)
    exact_loss, exact = differentiated(decoder_of(a, kind=torch.float64), tokens_BT)

    torch.testing.assert_close(loss.double(), exact_loss, rtol=1e-4, atol=1e-5)
    largest = max(float(gradient.norm()) for gradient in exact.values())
    for name, gradient in gradients.items():
        assert gradient.is_contiguous(), name
        # Some are sums that cancel out, such as a norm's scale before a single token.
        assert float((gradient - exact[name]).norm()) < 1e-4 * float(exact[name].norm()) + 1e-5 * largest, (
            name
        )


@examples(60)
@given(a=architectures(), data=st.data())
def test_loss_and_gradients_are_those_of_float64(a: Architecture, data: st.DataObject) -> None:
    tokens = tokens_of(data.draw(st.integers(1, 3)), data.draw(st.integers(1, a.context_length)))

    assert_like_float64(a, tokens)


@examples(20)
@given(a=architectures())
def test_a_pytorch_without_onednn_trains_the_same(a: Architecture) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_by_onednn", None)
        assert_like_float64(a, tokens_of(2, a.context_length))


@examples(20)
@given(a=architectures())
def test_training_and_evaluation_agree(a: Architecture) -> None:
    decoder, tokens = decoder_of(a), tokens_of(2, a.context_length)

    trained = decoder(tokens).detach()

    with torch.inference_mode():
        torch.testing.assert_close(trained, decoder(tokens), rtol=1e-4, atol=1e-4)


def test_equal_work_gives_equal_bits_wherever_memory_lies() -> None:
    a, tokens = architecture(hidden_size=64, heads=4, context_length=24, qk_norm=True), tokens_of(5, 24)
    _, first = differentiated(decoder_of(a), tokens)
    for size in (1, 3, 1000):
        held = torch.empty(size)
        _, again = differentiated(decoder_of(a), tokens)
        assert all(torch.equal(first[name], again[name]) for name in first)
        del held


def test_parameters_that_are_not_trained_get_no_gradient() -> None:
    decoder = decoder_of(architecture(qk_norm=True))
    frozen = [p for name, p in decoder.named_parameters() if "blocks.0" in name]
    for parameter in frozen:
        parameter.requires_grad_(requires_grad=False)

    decoder(tokens_of(2, 12)).sum().backward()

    assert all(p.grad is None for p in frozen)
    assert decoder.layers[1].attention.qkv.weight.grad is not None


def test_other_types_and_evaluation_are_left_to_pytorch() -> None:
    x = torch.zeros(2, 3)

    assert kernels.serves(x)
    assert not kernels.serves(x.bfloat16())
    assert not kernels.serves(x.double())
    assert not kernels.serves(x.to("meta"))
    with torch.no_grad():
        assert not kernels.serves(x)


def test_a_step_imports_no_compiler() -> None:
    step = f"""
import sys, torch
from raygen.models.transformer.network import Decoder
from raygen.spec import Transformer
architecture = Transformer(layers=1, heads=1, hidden_size=8, context_length=4).resolved()
decoder = Decoder(architecture, {VOCABULARY}, torch.float32)
decoder(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", step], check=False).returncode == 0
