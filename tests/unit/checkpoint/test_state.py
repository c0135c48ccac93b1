from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Muon, Optimizer

from raygen.checkpoint import (
    Writer,
    load,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
)
from raygen.errors import CheckpointError
from raygen.storage import LocalStorage

Make = Callable[[list[nn.Parameter]], Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "SGD": lambda p: SGD(p, lr=0.1),
    "SGD with momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: AdamW(p, lr=0.01, weight_decay=0.1),
    "AdamW fused": lambda p: AdamW(p, lr=0.01, fused=True),
    "Adagrad": lambda p: Adagrad(p, lr=0.1),
    "Muon": lambda p: Muon(p, lr=0.1),
}


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6, bias=False), nn.Tanh(), nn.Linear(6, 3, bias=False))


def train(model: nn.Module, optimizer: Optimizer, steps: range) -> list[float]:
    losses = []
    for step in steps:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(storage: LocalStorage, name: str) -> None:
    model = network(1)
    optimizer = OPTIMIZERS[name](list(model.parameters()))
    train(model, optimizer, range(5))
    tensors, values = optimizer_state(model.named_parameters(), optimizer)
    with Writer(storage) as writer:
        writer.save(5, module_state(model) | tensors, {"optimizer": values})
    expected = train(model, optimizer, range(5, 10))

    loaded = load(storage, 5)
    again = network(2)
    other = OPTIMIZERS[name](list(again.parameters()))
    load_module_state(again, loaded.tensors)
    load_optimizer_state(again.named_parameters(), other, loaded.tensors, loaded.values["optimizer"])
    assert train(again, other, range(5, 10)) == expected
    for mine, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_state_is_keyed_by_name_and_not_by_grouping() -> None:
    model = network(1)
    first, second = model.parameters()
    optimizer = AdamW([first, second])
    train(model, optimizer, range(3))
    tensors, values = optimizer_state(model.named_parameters(), optimizer, "optimizer/all")
    assert set(tensors) == {
        f"optimizer/all/{s}/{n}.weight" for s in ("step", "exp_avg", "exp_avg_sq") for n in "02"
    }
    regrouped = AdamW([{"params": [second], "weight_decay": 0.5}, {"params": [first]}], lr=7.0)
    load_optimizer_state(model.named_parameters(), regrouped, tensors, values, "optimizer/all")
    for parameter in (first, second):
        for slot, value in optimizer.state[parameter].items():
            assert torch.equal(regrouped.state[parameter][slot], value)
            assert regrouped.state[parameter][slot].data_ptr() != value.data_ptr()
    assert [group["lr"] for group in regrouped.param_groups] == [7.0, 7.0]
    assert [group["weight_decay"] for group in regrouped.param_groups] == [0.5, 0.01]


def test_a_parameter_without_a_gradient_has_no_state() -> None:
    model = network(1)
    frozen, used = model.parameters()
    frozen.requires_grad_(False)
    optimizer = Adam([frozen, used])
    train(model, optimizer, range(2))
    tensors, values = optimizer_state(model.named_parameters(), optimizer)
    other = Adam([frozen, used])
    load_optimizer_state(model.named_parameters(), other, tensors, values)
    assert list(other.state) == [used]


def damaged(tensors: dict[str, torch.Tensor], change: str) -> dict[str, torch.Tensor]:
    tensors = dict(tensors)
    if change == "missing":
        del tensors["optimizer/exp_avg/0.weight"]
    elif change == "unexpected":
        tensors["optimizer/exp_avg/9.weight"] = torch.zeros(1)
    else:
        tensors["optimizer/exp_avg/0.weight"] = torch.zeros(4, 6)
    return tensors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"lacks exp_avg/0\.weight"),
        ("unexpected", r"has exp_avg/9\.weight"),
        ("shape", r"exp_avg/0\.weight \(float32 \[4, 6\] in the checkpoint, float32 \[6, 4\]"),
    ],
)
def test_optimizer_state_that_does_not_fit_is_refused(change: str, message: str) -> None:
    model = network(1)
    optimizer = Adam(model.parameters())
    train(model, optimizer, range(2))
    tensors, values = optimizer_state(model.named_parameters(), optimizer)
    before = {k: v.clone() for k, v in tensors.items()}
    with pytest.raises(CheckpointError, match=message):
        load_optimizer_state(model.named_parameters(), optimizer, damaged(tensors, change), values)
    after, _ = optimizer_state(model.named_parameters(), optimizer)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_another_optimizer_is_refused() -> None:
    model = network(1)
    tensors, values = optimizer_state(model.named_parameters(), Adam(model.parameters()))
    with pytest.raises(CheckpointError, match="state of Adam, not of SGD"):
        load_optimizer_state(model.named_parameters(), SGD(model.parameters()), tensors, values)


def test_another_model_is_refused_by_its_names() -> None:
    small, large = network(1), nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    tensors, values = optimizer_state(small.named_parameters(), Adam(small.parameters()))
    with pytest.raises(CheckpointError, match=r"lacks 0\.bias, 1\.bias, 1\.weight and 3 more") as caught:
        load_optimizer_state(large.named_parameters(), Adam(large.parameters()), tensors, values)
    assert caught.value.remedy


def test_an_unnamed_parameter_is_refused() -> None:
    with pytest.raises(CheckpointError, match="named"):
        optimizer_state([], SGD(network(1).parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model/0.weight": None}, r"lacks 0\.weight"),
        ({"model/new": torch.zeros(1)}, "has new, which the model does not have"),
        ({"model/0.weight": torch.zeros(6, 5)}, r"\[6, 5\] in the checkpoint, float32 \[6, 4\] in the model"),
        ({"model/0.weight": torch.zeros(6, 4, dtype=torch.float64)}, r"float64 \[6, 4\]"),
    ],
)
def test_module_state_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    model = network(1)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    altered = {n: t for n, t in (module_state(network(2)) | change).items() if t is not None}
    with pytest.raises(CheckpointError, match=message):
        load_module_state(model, altered)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_tied_weights_stay_tied() -> None:
    def tied() -> nn.ModuleDict:
        model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
        model["head"].weight = model["embed"].weight
        return model

    source, target = tied(), tied()
    load_module_state(target, module_state(source))
    assert target["head"].weight is target["embed"].weight
    assert torch.equal(target["head"].weight, source["embed"].weight)
