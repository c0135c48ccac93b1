"""The training: its length, batches, optimizer and schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from raygen.spec.families.table import FAMILIES, NETWORKS
from raygen.spec.job.guards import Guard, ResolvedGuard, RollBack, guards_rule
from raygen.spec.schema.base import (
    MAX_INT,
    Bound,
    Count,
    Index,
    LearningRate,
    MetricName,
    NonNegative,
    ParameterPath,
    Positive,
    Probability,
    Rule,
    Spec,
    Tagged,
    exactly_one,
)

Beta = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0, le=1)]


class Duration(Spec):
    """How long to train: exactly one of these."""

    steps: Count | None = None
    """Length, in optimizer steps."""
    epochs: Positive | None = None
    """Length, in passes over the training split; rounded up to whole steps."""
    tokens: Count | None = None
    """Length, in training tokens; rounded up to whole steps. Only for text."""
    images: Count | None = None
    """Length, in training images; rounded up to whole steps. Only for images."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("steps", "epochs", "tokens", "images")),)


class Optimizer(Tagged):
    """The rule that turns gradients into updates."""

    type: Literal["SGD", "Adam", "AdamW", "AdaGrad", "Muon"]
    """SGD; Adam (Kingma & Ba 2015); AdamW (Loshchilov & Hutter 2019); AdaGrad (Duchi et al. 2011); Muon
    (Jordan et al. 2024) for the matrices of hidden layers, with AdamW for all other parameters."""
    learning_rate: LearningRate
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Decoupled for AdamW and Muon, an L2 term of the gradient for the others. Applied to matrices only:
    not to norms, biases and embeddings."""
    betas: tuple[Beta, Beta] | None = None
    """Decay rates of the first and second moment. Default: 0.9, 0.95 for AdamW and Muon's AdamW;
    0.9, 0.999 for Adam."""
    epsilon: Epsilon | None = None
    """Added to the denominator. Default: 1e-8; 1e-10 for AdaGrad."""
    momentum: Beta | None = None
    """Momentum. Default: 0 for SGD, 0.95 for Muon."""
    nesterov: bool | None = None
    """Nesterov momentum. Default: false for SGD, true for Muon."""
    matrix_learning_rate: LearningRate | None = None
    """Peak learning rate of the matrices under Muon; `learningRate` is that of its AdamW part. Default: 0.02."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "betas": ("Adam", "AdamW", "Muon"),
        "epsilon": ("Adam", "AdamW", "AdaGrad", "Muon"),
        "momentum": ("SGD", "Muon"),
        "nesterov": ("SGD", "Muon"),
        "matrix_learning_rate": ("Muon",),
    }


Optimizer.rules = (
    *Optimizer.foreign_rules(),
    Rule(
        fields=("type", "momentum", "nesterov"),
        at="nesterov",
        holds=lambda self: not (self.type == "SGD" and self.nesterov and not self.momentum),
        rule="needs a momentum above 0",
        remedy="Give momentum (0.9 is usual), or remove nesterov.",
        cel=(
            "!(self.type == 'SGD' && has(self.nesterov) && self.nesterov)"
            " || (has(self.momentum) && self.momentum > 0.0)"
        ),
    ),
)


class SGD(Optimizer):
    """Resolved."""

    type: Literal["SGD"]
    momentum: Beta = 0.0
    nesterov: bool = False


class Adam(Optimizer):
    """Resolved."""

    type: Literal["Adam"]
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    epsilon: Epsilon = 1e-8


class AdamW(Optimizer):
    """Resolved."""

    type: Literal["AdamW"]
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    epsilon: Epsilon = 1e-8


class AdaGrad(Optimizer):
    """Resolved."""

    type: Literal["AdaGrad"]
    epsilon: Epsilon = 1e-10


class Muon(Optimizer):
    """Resolved: Muon for matrices, AdamW for the rest."""

    type: Literal["Muon"]
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    epsilon: Epsilon = 1e-8
    momentum: Beta = 0.95
    nesterov: bool = True
    matrix_learning_rate: LearningRate = 0.02


ResolvedOptimizer = SGD | Adam | AdamW | AdaGrad | Muon
_ResolvedOptimizer = Annotated[ResolvedOptimizer, Field(discriminator="type")]


def _of_networks(name: str, optimizer: Any, description: str) -> Any:
    """A class with an optional optimizer for each network that has one of its own in some family."""
    fields: dict[str, Any] = {
        network: (optimizer | None, Field(default=None, description=f"The {network.replace('_', ' ')}'s."))
        for network in NETWORKS
    }
    return create_model(name, __base__=Spec, __module__=__name__, __doc__=description, **fields)


# Pydantic has a field for each network of the table; type checkers, which know no field that is made here, have none.
if TYPE_CHECKING:

    class Optimizers(Spec):
        """One optimizer for each of the model's networks."""

        def __init__(self, **networks: Optimizer) -> None: ...

    class ResolvedOptimizers(Optimizers):
        """The same, with every default written out."""
else:
    Optimizers = _of_networks("Optimizers", Optimizer, "One optimizer for each of the model's networks.")
    ResolvedOptimizers = _of_networks(
        "ResolvedOptimizers",
        _ResolvedOptimizer,
        "One optimizer for each of the model's networks, with every default written out.",
    )


class Schedule(Tagged):
    """The learning rate over the steps, as a share of the peak."""

    type: Literal["Constant", "Cosine", "Linear", "WarmupStableDecay"]
    """After the warm-up: Constant stays; Cosine and Linear fall over all remaining steps;
    WarmupStableDecay stays and then falls linearly over the last `decaySteps`."""
    warmup_steps: Index = 0
    """Length of the warm-up, over which the rate rises linearly to its peak, in steps."""
    final_learning_rate: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Learning rate at the last step. Default: a tenth of the peak for Cosine, else 0. Other rates of the
    same optimizer (Muon's matrices) fall by the same share. With `optimizers` it is that of the model's first
    network, a GAN's generator, and those of the others fall by the same share."""
    decay_steps: Count | None = None
    """Length of the last phase of WarmupStableDecay, in steps. Default: a fifth of all steps."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "final_learning_rate": ("Cosine", "Linear", "WarmupStableDecay"),
        "decay_steps": ("WarmupStableDecay",),
    }


Schedule.rules = Schedule.foreign_rules()


class ConstantSchedule(Schedule):
    """Resolved: the peak after the warm-up."""

    type: Literal["Constant"]


class FallingSchedule(Schedule):
    """Resolved: falls to a last rate. `decay_steps` stays open: it follows from the duration, which may change."""

    type: Literal["Cosine", "Linear", "WarmupStableDecay"]
    final_learning_rate: Annotated[float, Field(ge=0, le=1000)]


ResolvedSchedule = ConstantSchedule | FallingSchedule


class Ema(Spec):
    """An exponential moving average of the weights, used for evaluation, samples and export."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """Weight of the old average at every step. It starts low and rises to this value:
    min(decay, (1 + t) / (10 + t)) at step t."""


class EarlyStopping(Spec):
    """Stops when a metric no longer gets better."""

    metric: MetricName
    """Name of the metric in `evaluation.metrics`."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)]
    """Time without a gain before training stops, in evaluations."""
    min_delta: NonNegative = 0.0
    """Smallest change that counts as a gain, in the metric's unit."""


MOST_CHANGES = 128


class ValueChange(Spec):
    """Other numbers from a step on, so that one job holds a schedule of hyperparameters."""

    at_step: Count
    """Length of the training after which they hold, in steps: the step behind it is the first that reads them."""
    values: Annotated[dict[ParameterPath, Bound], Field(min_length=1, max_length=32)]
    """Numbers by path, as training.optimizer.learningRate. They hold until another change names them. What may change: of each
    optimizer learningRate, weightDecay, betas[0], betas[1], epsilon, momentum and matrixLearningRate; training.schedule.finalLearningRate,
    training.gradientClipNorm, training.labelSmoothing, training.ema.decay; model.transformer.dropout; model.vae.beta,
    model.vae.freeBits, model.vae.codebook.commitment; model.gan.r1, model.gan.r2, model.gan.gradientPenalty,
    model.gan.augmentation.target."""

    # What rules read is said in `raygen.spec.job.value_changes`, which knows all families.


def _several_networks() -> str:
    return " or ".join(family.name for family in FAMILIES.values() if family.networks)


class Training(Spec):
    """How the model is trained."""

    duration: Duration
    """How long to train."""
    global_batch_size: Annotated[int, Field(ge=1, le=16_777_216)]
    """Size of an optimizer step over all workers, in samples; a sample is a sequence of contextLength tokens, or
    an image."""
    micro_batch_size: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    """Size of a forward pass on each device, in samples, in training and validation; gradients of several passes add
    up to one step. Default: all of a device's share."""
    optimizer: Optimizer | None = None
    """The optimizer; of every network, where a family of your own has several."""
    optimizers: Optimizers | None = Field(
        default=None, description=f"The optimizers of a {_several_networks()}, instead of `optimizer`."
    )
    schedule: Schedule = Schedule(type="Constant")
    """The learning rate over the steps."""
    gradient_clip_norm: Positive | None = None
    """Largest allowed L2 norm of all gradients together; larger ones are scaled down. Default: no limit."""
    precision: Literal["Float32", "BFloat16"] = "Float32"
    """Arithmetic of matrix products and activations; weights, optimizer state and the loss stay in Float32. On CUDA,
    products in Float32 round their factors to TF32."""
    label_smoothing: Probability = 0.0
    """Share of the target's probability that is spread over all tokens."""
    ema: Ema | None = None
    """Moving average of the weights. Default: none."""
    early_stopping: EarlyStopping | None = None
    """Stop when a metric stops getting better. Default: never."""
    guards: Annotated[tuple[Guard, ...], Field(max_length=16)] | None = None
    """What is watched. Default: NonFiniteLoss stops; what suits the model besides warns: LossSpike for Transformer
    and VAE, PosteriorCollapse for VAE, ModeCollapse and DiscriminatorOverpowering for GAN."""
    roll_back: RollBack = RollBack()
    """How guards with the action RollBack go back."""
    compile: Literal["Auto", "Always", "Never"] = "Auto"
    """torch.compile. Auto: Transformers and models of your own on a CUDA device, when a compiler exists."""
    changes: Annotated[tuple[ValueChange, ...], Field(max_length=MOST_CHANGES)] = ()
    """Other numbers from later steps on, in the order of their steps, whatever that of the list is. The run leaves a checkpoint at each, and may
    be given further ones behind its newest checkpoint. Default: none."""
    seed: Annotated[int, Field(ge=0, le=MAX_INT)] = 0
    """Decides initial weights, the order of the data, noise, dropout and samples."""

    def optimizer_of(self, network: str) -> Optimizer:
        """The optimizer of a network."""
        own: Optimizer | None = (
            getattr(self.optimizers, network, None) if self.optimizers is not None else self.optimizer
        )
        if own is None:
            raise ValueError(f"the job has no optimizer for {network}")
        return own

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("optimizer", "optimizers")),
        guards_rule(),
        Rule(
            fields=("global_batch_size", "micro_batch_size"),
            at="microBatchSize",
            holds=lambda self: (
                self.micro_batch_size is None or self.micro_batch_size <= self.global_batch_size
            ),
            rule="must be at most globalBatchSize ({self.global_batch_size})",
            remedy="Lower microBatchSize, or raise globalBatchSize.",
            cel="!has(self.microBatchSize) || self.microBatchSize <= self.globalBatchSize",
        ),
        Rule(
            fields=("changes",),
            at="changes",
            holds=lambda self: len({one.at_step for one in self.changes}) == len(self.changes),
            rule="must have each atStep once",
            remedy="Put what changes after the same step into one values.",
            cel="!has(self.changes) || self.changes.all(c, self.changes.filter(d, d.atStep == c.atStep).size() == 1)",
        ),
        Rule(
            fields=("changes", "duration.steps"),
            at="changes",
            holds=lambda self: (
                self.duration.steps is None or all(one.at_step < self.duration.steps for one in self.changes)
            ),
            rule="must come before the last step ({self.duration.steps})",
            remedy="Lower atStep, remove the change, or raise duration.steps.",
            cel="!has(self.changes) || !has(self.duration.steps)"
            " || self.changes.all(c, c.atStep < self.duration.steps)",
        ),
        # A warm-up longer than the training is allowed: it is what a short trial of a long job has.
        Rule(
            fields=("duration.steps", "schedule.warmup_steps", "schedule.decay_steps"),
            at="schedule.decaySteps",
            holds=lambda self: (
                self.duration.steps is None
                or self.schedule.decay_steps is None
                or self.schedule.warmup_steps + self.schedule.decay_steps <= self.duration.steps
            ),
            rule=(
                "must fit into duration.steps ({self.duration.steps})"
                " after warmupSteps ({self.schedule.warmup_steps})"
            ),
            remedy="Lower decaySteps or warmupSteps, or raise duration.steps.",
            cel=(
                "!has(self.duration.steps) || !has(self.schedule) || !has(self.schedule.decaySteps)"
                " || (has(self.schedule.warmupSteps) ? self.schedule.warmupSteps : 0)"
                " + self.schedule.decaySteps <= self.duration.steps"
            ),
        ),
    )


class ResolvedTraining(Training):
    """How the model is trained, with every default written out that follows from the job alone."""

    optimizer: _ResolvedOptimizer | None = None
    optimizers: ResolvedOptimizers | None = None
    schedule: Annotated[ResolvedSchedule, Field(discriminator="type")]
    guards: Annotated[tuple[ResolvedGuard, ...], Field(max_length=16)]

    def optimizer_of(self, network: str) -> ResolvedOptimizer:
        """The optimizer of a network."""
        own = super().optimizer_of(network)
        if not isinstance(own, ResolvedOptimizer):
            raise TypeError("the optimizer is not a resolved one")
        return own
