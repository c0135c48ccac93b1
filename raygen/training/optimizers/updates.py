"""Optimizers as the job describes them: parameter groups, clipping, and a moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from raygen.models.protocol import Family, ParameterGroups
from raygen.parallel.strategy import Strategy
from raygen.spec.job.training import ResolvedOptimizer, ResolvedTraining
from raygen.training.optimizers.eager import show_optimizers, take_step
from raygen.training.optimizers.muon import Muon
from raygen.training.optimizers.schedule import rate_share

Groups = list[dict[str, Any]]


class NetworkUpdate:
    """One network's optimizer; a family's `Update`.

    Args:
        network: The network, on its device.
        groups: Its parameters by treatment.
        training: The job's settings.
        optimizer: The job's optimizer for it.
        steps: Last step.
        strategy: How it is spread over workers.
        rate_factor: Multiplies all learning rates.
        leading: The optimizer that the schedule's last rate belongs to; by default this one.

    Attributes:
        parameters: The network's parameters by name.
        optimizers: One, or `matrices` and `rest` under Muon.
        spread: How the network is spread over workers.
        average: Moving average of the parameters by name; empty without one.
    """

    def __init__(
        self,
        network: nn.Module,
        groups: ParameterGroups,
        training: ResolvedTraining,
        optimizer: ResolvedOptimizer,
        steps: int,
        strategy: Strategy,
        rate_factor: float = 1.0,
        leading: ResolvedOptimizer | None = None,
    ) -> None:
        self._groups = groups
        self._steps = steps
        self.spread = strategy.attach(network)
        self.parameters = dict(network.named_parameters())
        self.optimizers = make_optimizers(groups, optimizer)
        self._factor = rate_factor
        self._set(training, optimizer, leading or optimizer)
        self.average = (
            {name: p.detach().clone() for name, p in self.parameters.items()} if training.ema else {}
        )

    def _set(
        self, training: ResolvedTraining, optimizer: ResolvedOptimizer, leading: ResolvedOptimizer
    ) -> None:
        self._training, self._optimizer, self._leading = training, optimizer, leading
        self._clip = training.gradient_clip_norm
        self._peaks = [
            [group["lr"] * self._factor for group in one.param_groups] for one in self.optimizers.values()
        ]

    def change(
        self, training: ResolvedTraining, optimizer: ResolvedOptimizer, leading: ResolvedOptimizer
    ) -> None:
        """Goes on with other numbers; what optimizers keep of each weight stays.

        Args:
            training: The job's settings from now on, with optimizers of the same types.
            optimizer: Of this network.
            leading: The optimizer that the schedule's last rate belongs to.
        """
        made = make_optimizers(self._groups, optimizer)
        for name, known in self.optimizers.items():
            for group, other in zip(known.param_groups, made[name].param_groups, strict=True):
                group.update({key: value for key, value in other.items() if key != "params"})
        self._set(training, optimizer, leading)

    def schedule(self, step: int) -> float:
        """Sets the learning rates of a step, from 1. Returns the one that `learningRate` is the peak of."""
        self._step = step
        share = rate_share(self._training.schedule, self._leading, step, self._steps)
        for optimizer, peaks in zip(self.optimizers.values(), self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * share
        return self._optimizer.learning_rate * share * self._factor

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds the gradients of a loss, the last one of a step or not."""
        self.spread.backward(loss, last=last)

    def step(self) -> Tensor:
        """Has the gradients of all workers added up, clips, updates the weights and their average, clears the gradients.

        Returns:
            The norm before clipping.
        """
        parameters = list(self.parameters.values())
        norm = self.spread.norm(self.spread.reduce())
        if self._clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self._clip, norm)
        for optimizer in self.optimizers.values():
            take_step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        if self._training.ema is not None:
            decay = min(self._training.ema.decay, (1 + self._step) / (10 + self._step))
            torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in parameters], 1 - decay)
        return norm

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network has its averaged weights inside this context, if the job asks for an average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        """Weights and averages change places; only pointers move."""
        for name, average in self.average.items():
            parameter = self.parameters[name]
            parameter.data, average.data = average.data, parameter.data


def make_updates(
    family: Family, training: ResolvedTraining, steps: int, strategy: Strategy, rate_factor: float = 1.0
) -> dict[str, NetworkUpdate]:
    """One update for each of the family's networks, of which the first is the leading one; `rate_factor` multiplies all
    learning rates.
    """
    leading = training.optimizer_of(next(iter(family.networks)))
    return {
        name: NetworkUpdate(
            network,
            family.parameter_groups(name),
            training,
            training.optimizer_of(name),
            steps,
            strategy,
            rate_factor,
            leading,
        )
        for name, network in family.networks.items()
    }


def make_optimizers(groups: ParameterGroups, spec: ResolvedOptimizer) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of one network.

    Weight decay acts on matrices (kernels of convolutions too) only. Under Muon (Jordan et al. 2024) the matrices of
    hidden layers have it, and AdamW all others, kernels among them, for which its orthogonalisation is not defined.
    """
    show_optimizers()
    others: Groups = [
        {"params": list(groups.embeddings.values()), "weight_decay": 0.0},
        {"params": list(groups.vectors.values()), "weight_decay": 0.0},
    ]
    matrices: Groups = [{"params": list(groups.matrices.values()), "weight_decay": spec.weight_decay}]
    if spec.type != "Muon":
        return {"main": _plain(spec, [g for g in (*matrices, *others) if g["params"]])}
    optimizers: dict[str, torch.optim.Optimizer] = {}
    flat = [p for p in groups.matrices.values() if p.ndim == 2]
    kernels = {
        "params": [p for p in groups.matrices.values() if p.ndim != 2],
        "weight_decay": spec.weight_decay,
    }
    if flat:
        optimizers["matrices"] = Muon(
            flat,
            lr=spec.matrix_learning_rate,
            weight_decay=spec.weight_decay,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
        )
    rest = [g for g in (kernels, *others) if g["params"]]
    if rest:
        optimizers["rest"] = _plain(spec, rest)
    return optimizers


def _plain(spec: ResolvedOptimizer, groups: Groups) -> torch.optim.Optimizer:
    rate = spec.learning_rate
    if spec.type == "SGD":
        return torch.optim.SGD(groups, lr=rate, momentum=spec.momentum, nesterov=spec.nesterov, fused=True)
    if spec.type == "AdaGrad":
        return torch.optim.Adagrad(groups, lr=rate, eps=spec.epsilon, foreach=True)
    if spec.type == "Adam":
        return torch.optim.Adam(groups, lr=rate, betas=spec.betas, eps=spec.epsilon, fused=True)
    # AdamW, or what Muon leaves to it.
    return torch.optim.AdamW(groups, lr=rate, betas=spec.betas, eps=spec.epsilon, fused=True)
