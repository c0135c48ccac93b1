from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from raygen.models.protocol import sort_parameters
from raygen.parallel.whole import SingleWorker
from raygen.spec import Ema
from raygen.spec.job.training import ResolvedTraining
from raygen.training.optimizers.updates import NetworkUpdate

TYPES = ("SGD", "Adam", "AdamW", "AdaGrad", "Muon")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, 4)
        self.hidden = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.norm(self.hidden(self.embedding(tokens))) @ self.embedding.weight.T


def training(optimizer: dict[str, Any], **fields: Any) -> ResolvedTraining:
    return ResolvedTraining.model_validate(
        {
            "duration": {"steps": 100},
            "global_batch_size": 4,
            "optimizer": {"learning_rate": 0.05, **optimizer},
            "schedule": {"type": "Constant"},
            "guards": (),
            **fields,
        }
    )


def make(spec: ResolvedTraining) -> tuple[Network, NetworkUpdate]:
    network = Network()
    optimizer = spec.optimizer_of("network")
    return network, NetworkUpdate(network, sort_parameters(network), spec, optimizer, 100, SingleWorker())


def run(network: Network, update: NetworkUpdate, steps: int) -> list[float]:
    tokens = torch.arange(5)
    losses = []
    for step in range(1, steps + 1):
        update.schedule(step)
        loss = nn.functional.cross_entropy(network(tokens), tokens.roll(1))
        update.backward(loss)
        update.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", TYPES)
def test_every_optimizer_learns(kind: str) -> None:
    losses = run(*make(training({"type": kind})), 60)
    assert losses[-1] < losses[0] * 0.8


@pytest.mark.parametrize("kind", ["AdamW", "Muon"])
def test_decay_shrinks_matrices_only(kind: str) -> None:
    network, update = make(training({"type": kind, "weight_decay": 0.5}))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    update.schedule(1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    update.step()
    shrunk = {name for name, p in network.named_parameters() if p.norm() < before[name].norm() - 1e-6}
    assert shrunk == {"hidden.weight"}


def test_clipping_bounds_the_update_and_reports_the_norm_before() -> None:
    network, update = make(training({"type": "SGD"}, gradient_clip_norm=1.0))
    before = torch.cat([p.detach().flatten().clone() for p in network.parameters()])
    update.schedule(1)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    norm = update.step()
    after = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert norm.item() == pytest.approx(before.numel() ** 0.5)
    assert (after - before).norm().item() == pytest.approx(0.05, rel=1e-4)


def test_the_average_follows_its_formula_and_is_only_lent() -> None:
    spec = training({"type": "SGD"}, ema=Ema(decay=0.9))
    network, update = make(spec)
    expected = {name: p.detach().clone() for name, p in network.named_parameters()}
    tokens = torch.arange(5)
    for step in range(1, 4):
        update.schedule(step)
        update.backward(nn.functional.cross_entropy(network(tokens), tokens.roll(1)))
        update.step()
        decay = min(0.9, (1 + step) / (10 + step))
        for name, p in network.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
    own = {name: p.detach().clone() for name, p in network.named_parameters()}
    with update.averaged():
        for name, p in network.named_parameters():
            torch.testing.assert_close(p.detach(), expected[name])
    assert all(torch.equal(p, own[name]) for name, p in network.named_parameters())


def test_the_average_is_lent_without_a_copy_and_given_back_after_an_error() -> None:
    network, update = make(training({"type": "SGD"}, ema=Ema(decay=0.9)))
    run(network, update, 2)
    weights = {name: (p.data_ptr(), p.detach().clone()) for name, p in network.named_parameters()}
    averages = {name: (p.data_ptr(), p.clone()) for name, p in update.average.items()}

    def evaluate() -> None:
        with update.averaged():
            places = {name: p.data_ptr() for name, p in network.named_parameters()}
            assert places == {name: place for name, (place, _) in averages.items()}
            raise KeyError

    with pytest.raises(KeyError):
        evaluate()
    for held, found in ((weights, dict(network.named_parameters())), (averages, update.average)):
        assert all(found[name].data_ptr() == place for name, (place, _) in held.items())
        assert all(torch.equal(found[name], values) for name, (_, values) in held.items())


def test_muon_has_the_hidden_matrices_and_adamw_the_rest() -> None:
    network, update = make(training({"type": "Muon", "matrix_learning_rate": 0.3}))
    held = {
        name: {id(p) for group in o.param_groups for p in group["params"]}
        for name, o in update.optimizers.items()
    }
    assert held["matrices"] == {id(network.hidden.weight)}
    assert id(network.embedding.weight) in held["rest"]
    assert len(held["matrices"] | held["rest"]) == len(list(network.parameters()))
    update.schedule(1)
    assert update.optimizers["matrices"].param_groups[0]["lr"] == 0.3
    assert update.optimizers["rest"].param_groups[0]["lr"] == 0.05


class Types(TorchDispatchMode):
    """The types of all tensors that come up."""

    def __init__(self) -> None:
        super().__init__()
        self.found = set[torch.dtype]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.found |= {result.dtype} if isinstance(result, torch.Tensor) else set()
        return result


def test_muon_needs_no_bfloat16_of_a_processor() -> None:
    network, update = make(training({"type": "Muon"}))
    with Types() as types:
        run(network, update, 1)
    assert types.found & {torch.float32, torch.bfloat16} == {torch.float32}


def test_muon_leaves_kernels_of_convolutions_to_adamw_with_their_decay() -> None:
    spec = training({"type": "Muon", "weight_decay": 0.2})
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    update = NetworkUpdate(
        network, sort_parameters(network), spec, spec.optimizer_of("network"), 100, SingleWorker()
    )
    (kernels, vectors) = update.optimizers["rest"].param_groups
    assert ([p.ndim for p in kernels["params"]], kernels["weight_decay"]) == ([4], 0.2)
    assert ([p.ndim for p in vectors["params"]], vectors["weight_decay"]) == ([1, 1], 0.0)
    update.schedule(1)
    update.backward(network(torch.ones(2, 1, 4, 4)).square().mean())
    assert update.step() > 0
