"""What the training loop asks of a model family, and what it offers to one.

The loop knows only this file. A family owns its networks, its losses, the order of its updates, and
what a sample of it is; the loop owns steps, time, checkpoints and records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from raygen.models.draws import Draws
from raygen.models.sample import Sample as Sample
from raygen.models.sample import SampleRequest as SampleRequest
from raygen.spec.contents import Domain as Domain
from raygen.spec.contents import ImageDomain as ImageDomain
from raygen.spec.contents import Vocabulary as Vocabulary

if TYPE_CHECKING:
    from raygen.spec import ResolvedJob

Batch = Mapping[str, Tensor]
"""Named tensors of one micro-batch; the first dimension of each is the sample."""


@dataclass(frozen=True)
class MicroBatch:
    """A part of a step's samples.

    Attributes:
        batch: The tensors, on the device.
        share: Weight of its samples as a share of that of the step's samples over all workers; the shares of a step add
            to 1.
        draws: Random numbers for its samples.
        weights: How much each sample counts, (samples,), Float32; None where all count alike.
        step: The step that they belong to, from 1.
    """

    batch: Batch
    share: float
    draws: Draws
    weights: Tensor | None = None
    step: int = 1

    def mean(self, values: Tensor) -> Tensor:
        """The mean over samples by their weights.

        Args:
            values: (samples, ...).

        Returns:
            (...); a scalar of one value for each sample. 0 where all weights are 0.
        """
        if self.weights is None:
            return values.mean(dim=0) if values.ndim > 1 else values.mean()
        total = self.weights.sum().clamp(min=torch.finfo(self.weights.dtype).tiny)
        shares = (self.weights / total).reshape(-1, *(1,) * (values.ndim - 1))
        return (shares * values).sum(dim=0)


def weighted_sum(values: Tensor, weights: Tensor | None) -> Tensor:
    """The sum over samples, each times its weight where there are weights.

    Args:
        values: (samples, ...).
        weights: (samples,).

    Returns:
        (...).
    """
    if weights is not None:
        values = weights.reshape(-1, *(1,) * (values.ndim - 1)) * values
    return values.sum(dim=0) if values.ndim > 1 else values.sum()


class Pending(Protocol):
    """Something that goes on by itself."""

    def wait(self) -> object:
        """Returns when its result may be used; raises what went wrong in it."""


class Workers(Protocol):
    """All workers that train together, as one of them sees them. All of them call the same methods in the same
    order.

    Attributes:
        rank: This one's number, from 0.
        count: How many there are.
    """

    rank: int
    count: int

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The sums of these Float32 tensors over all workers, on the device, without gradients.

        The tensors of all workers have the same shapes. For one worker these are the tensors themselves.
        """

    def start_sum(self, tensor: Tensor) -> Pending:
        """Begins to replace a contiguous Float32 tensor, of the same shape on all workers, by its sum over them.

        Until the result's `wait` has returned, nothing else may use the tensor.
        """


class Alone:
    """The only worker."""

    rank = 0
    count = 1

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors themselves."""
        return tuple(tensor.detach() for tensor in tensors)

    def start_sum(self, tensor: Tensor) -> Pending:  # noqa: ARG002 (it is the sum already)
        """Nothing to wait for."""
        return _Done()


class _Done:
    """Was finished before it began."""

    def wait(self) -> None:
        """Returns at once."""


class Update(Protocol):
    """One network's optimizer, as a family sees it."""

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds the gradients of a loss to those that are there.

        Args:
            loss: A scalar, times the share of its samples (`MicroBatch.share`).
            last: Says that no other backward pass reaches this network before `step`. Workers then add up its gradients
                while the pass still computes others; without it they do so in `step`, with the same result.
        """

    def step(self) -> Tensor:
        """Applies the gradients and clears them. Returns their L2 norm before clipping, a scalar."""


class Family(Protocol):
    """A model with its way of training.

    Attributes:
        networks: What is trained, by name; each has an optimizer of the same name. They are those that the job's table of
            families names, in its order, if it names any.
    """

    networks: Mapping[str, nn.Module]

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """Trains on this worker's part of one step's samples.

        Losses are weighted by `MicroBatch.share`; `Update.step` adds up the gradients of all workers, so that
        the update is that of all samples together.

        Returns:
            Scalars on the device, `loss` among them, the same on every worker (`Workers.sum`); they are read
            later, so that the device need not wait. `loss` and `gradient_norm` are those of the first network. Of others that
            the table of families names they are `<network>_loss` and `<network>_gradient_norm`, and the guard
            NonFiniteLoss looks at all of these.
        """

    def compile(self, options: Mapping[str, Any]) -> None:
        """Has what `step` computes compiled by `torch.compile` with these options, as far as that can be done.

        What only `evaluate` and `sample` compute is best left as it is: it comes in many shapes, and each would have to
        be compiled.
        """

    def change(self, job: ResolvedJob) -> None:
        """Goes on with other numbers of `training.changes`, between two steps; weights and everything else that is kept stay.

        It depends on the job alone, not on what was in force before, and is called where the model's block or
        `training.labelSmoothing` differ from before. Which numbers of a family may change is in the table of
        `raygen.spec.job.value_changes`; a family that has none there is never called.

        Args:
            job: The job as it is in force at the next step.
        """

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Sums over a validation batch that metrics are made of, on the device; equal names have equal shapes.

        `loss` in nats and `count` are there for all; what else a metric needs stands in evaluation/formulas.py. Empty of a
        family that no metric of the validation split is defined for.

        Args:
            batch: Samples of the validation split.
            draws: Random numbers for them; `draws.samples` are their places in the split.
            weights: How much each counts, (samples,), Float32; None where all count alike. What a sample adds to the sums
                is scaled so that it adds its weight to `count`.
        """

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        """Generates for whoever computes with what the model makes, such as a metric.

        Args:
            request: How; its `count` says nothing here.
            samples: Numbers of the samples, from 0. A sample depends on the request and its number: however the numbers are
                split, among batches or workers, it is the same, but for the rounding of arithmetic.

        Returns:
            Tensors on the device, a sample for each number: `images`, uint8 (samples, channels, height, width), and `labels`
            (samples,) of a model that is told the class; or `tokens`, int64 (samples, request.max_tokens), those after the
            prompt, and IGNORED from where a text ends. Empty of a model that has nothing to generate from.
        """

    def sample(self, request: SampleRequest) -> list[Sample]:
        """Generates for people to look at. The same request and weights give the same samples."""

    def parameter_groups(self, network: str) -> ParameterGroups:
        """Sorts a network's parameters by the treatment that they need from an optimizer."""

    def huggingface(self) -> HuggingFaceModel:
        """The model under Hugging Face's names.

        Raises:
            ExportError: no Hugging Face architecture computes the same.
        """


@dataclass(frozen=True)
class ParameterGroups:
    """A network's parameters by treatment, each a mapping from name to parameter.

    Attributes:
        matrices: Weights of hidden layers: decayed, and Muon's to update.
        embeddings: Embeddings and output layers: not decayed.
        vectors: Norms and biases: not decayed.
    """

    matrices: dict[str, nn.Parameter]
    embeddings: dict[str, nn.Parameter]
    vectors: dict[str, nn.Parameter]


@dataclass(frozen=True)
class HuggingFaceModel:
    """What a Hugging Face folder holds.

    Attributes:
        config: config.json.
        tensors: Of model.safetensors, Float32 on the CPU.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Has a network compute as it does when it is used, without gradients, and leaves it as it was."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def sort_parameters(network: nn.Module) -> ParameterGroups:
    """The usual sorting: by the module that owns a parameter, then by its number of dimensions."""
    groups = ParameterGroups({}, {}, {})
    embedded = {id(p) for m in network.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    for name, parameter in network.named_parameters():
        if id(parameter) in embedded:
            groups.embeddings[name] = parameter
        elif parameter.ndim >= 2:
            groups.matrices[name] = parameter
        else:
            groups.vectors[name] = parameter
    return groups


def count_parameters(family: Family) -> int:
    """Trained parameters of all networks."""
    return sum(p.numel() for network in family.networks.values() for p in network.parameters())


SHOWN = 16
"""Images of the validation split that a family may keep, to show what it makes of them."""
COMPUTE_TYPES = {"Float32": torch.float32, "BFloat16": torch.bfloat16}
"""Arithmetic of matrix products and activations by `training.precision`."""
