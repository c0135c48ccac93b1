"""TrainingJob: the one object that a job file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from raygen.spec.data.preparation import Preparation
from raygen.spec.data.sources import holds_text
from raygen.spec.data.splits import Data
from raygen.spec.families.networks import NETWORKS_REMEDY, leading_optimizer, network_rules
from raygen.spec.families.table import FAMILIES, cel_is, listed
from raygen.spec.job.cluster import Attempts, RuntimeRef, Scheduling, Seconds
from raygen.spec.job.evaluation import Evaluation
from raygen.spec.job.evaluation_rules import evaluation_rules
from raygen.spec.job.guards import GUARDS
from raygen.spec.job.model import Model
from raygen.spec.job.output import Checkpoint, Output, Tracking
from raygen.spec.job.training import Optimizer, Training
from raygen.spec.job.value_changes import suits_rule
from raygen.spec.schema.base import JobName, Kind, LabelKey, LabelValue, Memory, Namespace, Rule, Spec, Text
from raygen.spec.schema.plain import Found
from raygen.spec.schema.validate import Lines, parse_kind

KIND = "TrainingJob"


class Metadata(Spec):
    """Standard metadata of a Kubernetes object."""

    name: JobName
    """The job's name: lower-case letters, digits and '-', with a letter first, at most 40 characters."""
    namespace: Namespace | None = None
    """Namespace on a cluster. Default: that of the command; means nothing on a laptop."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=64)
    """Labels, for people and tools that select jobs."""
    annotations: dict[LabelKey, Text] = Field(default={}, max_length=64)
    """Notes for people and tools."""


class Scale(Spec):
    """Workers and what each of them gets. One machine runs what fits, and says what it changed."""

    workers: Annotated[int, Field(ge=1, le=4096)] = 1
    """Number of processes that train together."""
    gpus_per_worker: Annotated[int, Field(ge=0, le=64)] = 0
    """Number of GPUs of each worker."""
    cpus_per_worker: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Number of CPU cores of each worker. Default: all of the machine's."""
    memory_per_worker: Memory | None = None
    """Memory of each worker, as a Kubernetes quantity (16Gi), in bytes. One machine does not enforce it.
    Default: no limit."""
    accelerator_type: Annotated[LabelValue, Field(min_length=1)] | None = None
    """Kind of GPU, as the nodes of a cluster are labelled (`NVIDIA-H100-80GB-HBM3`). Default: any."""


_IS_TEXT = holds_text("self.data.train.sources[0]")


def _suits(table: Mapping[str, Sequence[str]]) -> str:
    """CEL: the model is of one of the families that the table has for the type of m."""
    rows = ((kind, ", ".join(f"'{family}'" for family in families)) for kind, families in table.items())
    return " || ".join(f"(m.type == '{kind}' && self.model.type in [{families}])" for kind, families in rows)


_ALL = tuple(FAMILIES.values())
_GUARD_SUITS = _suits({kind: [family.name for family in _ALL if kind in family.guards] for kind in GUARDS})
_ANY_CONTENT = [family.name for family in _ALL if len(family.contents) > 1]
_TEXT = [family.name for family in _ALL if family.contents == ("text",)]
_MIXED = [family.name for family in _ALL if family.learns_mixtures]
_OWN_OPTIMIZERS = [family.name for family in _ALL if family.networks]
_SMOOTHED = [family.name for family in _ALL if family.smooths_labels]


class TrainingJobSpec(Spec):
    """What to train, on what, how, and where the result goes."""

    model: Model
    """What is trained."""
    data: Data
    """What is learned from."""
    preparation: Preparation | None = None
    """Prepare the data before training, and stream it. Default: it is read whole, into memory."""
    training: Training
    """How the model is trained."""
    evaluation: Evaluation = Evaluation()
    """What is measured and shown while training."""
    checkpoint: Checkpoint = Checkpoint()
    """When the state of training is saved."""
    output: Output = Output()
    """Where the run directory is."""
    tracking: Tracking | None = None
    """Services that show metrics while they come in. Default: none."""
    scale: Scale = Scale()
    """Workers and what each of them gets."""
    scheduling: Scheduling | None = None
    """How the job waits for its turn on a cluster. Default: it does not."""
    runtime_ref: RuntimeRef = RuntimeRef()
    """What the job runs with on a cluster: image, nodes, storage, limits."""
    attempts: Attempts = Attempts()
    """How often the job is started on a cluster."""
    suspend: bool = False
    """Stop on a cluster, with a checkpoint, and do not start until this is false again."""
    active_deadline_seconds: Seconds | None = None
    """Longest time that a job may be active on a cluster, suspended time not counted, in seconds; then it ends as
    failed, with a checkpoint. Default: what the runtime allows."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Time after which a finished job is deleted from the cluster, in seconds; its run directory stays. Default:
    never."""

    @property
    def leading_optimizer(self) -> Optimizer:
        """The optimizer whose rate the schedule's `finalLearningRate` is measured against."""
        optimizer: Optimizer | None = leading_optimizer(self)
        if optimizer is None:
            raise ValueError("the job has no optimizer for the first network")
        return optimizer

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("model.type", "data.train.sources"),
            at="data.train.sources",
            holds=lambda self: self.data.kind in self.model.family.contents,
            rule=f"must hold what the model ({{self.model.type}}) is made for: text for {listed(_TEXT)}, else images",
            remedy="Give sources of another format, or another model.type.",
            cel=f"{cel_is(_ANY_CONTENT)} || ({cel_is(_TEXT)}) == {_IS_TEXT}",
        ),
        Rule(
            fields=("model", "data.train.sources"),
            at="model.custom.contextLength",
            holds=lambda self: (
                self.model.custom is None
                or (self.model.custom.context_length is not None) == (self.data.kind == "text")
            ),
            rule="must be given exactly when the sources hold text",
            remedy="Give the length of a sample in tokens for text; remove it for images.",
            cel=f"!has(self.model.custom) || has(self.model.custom.contextLength) == {_IS_TEXT}",
        ),
        Rule(
            fields=("model.type", "training.optimizer", "training.optimizers"),
            at="training.optimizers",
            holds=lambda self: bool(self.model.family.networks) == (self.training.optimizers is not None),
            rule=f"must be given exactly when model.type is {listed(_OWN_OPTIMIZERS)}, which has several networks",
            remedy=NETWORKS_REMEDY,
            cel=f"({cel_is(_OWN_OPTIMIZERS)}) == has(self.training.optimizers)",
        ),
        Rule(
            fields=("data.train.mixture", "preparation"),
            at="data.train.mixture",
            holds=lambda self: self.data.train.mixture is None or self.preparation is not None,
            rule="needs spec.preparation",
            remedy="Add spec.preparation, for example {uri: prepared/}, or remove mixture.",
            cel="!has(self.data.train.mixture) || has(self.preparation)",
        ),
        Rule(
            fields=("data.cleaning", "preparation"),
            at="data.cleaning",
            holds=lambda self: self.data.cleaning is None or self.preparation is not None,
            rule="needs spec.preparation",
            remedy="Add spec.preparation, for example {uri: prepared/}, or remove cleaning.",
            cel="!has(self.data.cleaning) || has(self.preparation)",
        ),
        Rule(
            fields=("data.reading", "preparation"),
            at="data.reading",
            holds=lambda self: self.data.reading is None or self.preparation is not None,
            rule="needs spec.preparation",
            remedy="Add spec.preparation, for example {uri: prepared/}, or remove reading.",
            cel="!has(self.data.reading) || has(self.preparation)",
        ),
        Rule(
            fields=("data.packing", "preparation"),
            at="data.packing",
            holds=lambda self: self.data.packing == "Stream" or self.preparation is not None,
            rule="needs spec.preparation",
            remedy="Add spec.preparation, for example {uri: prepared/}, or remove packing.",
            cel="!has(self.data.packing) || self.data.packing == 'Stream' || has(self.preparation)",
        ),
        *network_rules(),
        suits_rule(),
        Rule(
            fields=("data.train.sources", "training.duration.tokens"),
            at="training.duration.tokens",
            holds=lambda self: self.training.duration.tokens is None or self.data.kind == "text",
            rule="belongs to text, and this data holds images",
            remedy="Give duration.images, epochs or steps.",
            cel=f"!has(self.training.duration.tokens) || {_IS_TEXT}",
        ),
        Rule(
            fields=("data.train.sources", "training.duration.images"),
            at="training.duration.images",
            holds=lambda self: self.training.duration.images is None or self.data.kind == "images",
            rule="belongs to images, and this data holds text",
            remedy="Give duration.tokens, epochs or steps.",
            cel=f"!has(self.training.duration.images) || !{_IS_TEXT}",
        ),
        Rule(
            fields=("model.type", "training.label_smoothing"),
            at="training.labelSmoothing",
            holds=lambda self: self.model.family.smooths_labels or self.training.label_smoothing == 0,
            rule=f"belongs to model.type {listed(_SMOOTHED)}",
            remedy="Remove labelSmoothing.",
            cel=(
                f"{cel_is(_SMOOTHED)} || !has(self.training.labelSmoothing)"
                " || self.training.labelSmoothing == 0.0"
            ),
        ),
        Rule(
            fields=("model.type", "data.augmentation.mixing"),
            at="data.augmentation.mixing",
            holds=lambda self: (
                self.model.family.learns_mixtures
                or self.data.augmentation is None
                or self.data.augmentation.mixing is None
            ),
            rule=f"belongs to model.type {listed(_MIXED)}; others would learn to make mixtures",
            remedy="Remove mixing.",
            cel=(f"{cel_is(_MIXED)} || !has(self.data.augmentation) || !has(self.data.augmentation.mixing)"),
        ),
        Rule(
            fields=("model.type", "training.guards"),
            at="training.guards",
            holds=lambda self: all(
                guard.type in self.model.family.guards for guard in self.training.guards or ()
            ),
            rule="must watch something that the model ({self.model.type}) has",
            remedy="Remove the guards of other models.",
            cel=f"!has(self.training.guards) || self.training.guards.all(m, {_GUARD_SUITS})",
        ),
        *evaluation_rules(_IS_TEXT, _suits),
        Rule(
            fields=("training.global_batch_size", "scale.workers"),
            at="scale.workers",
            holds=lambda self: self.scale.workers <= self.training.global_batch_size,
            rule=(
                "must be at most training.globalBatchSize ({self.training.global_batch_size}),"
                " so that every worker has a sample in each step"
            ),
            remedy="Lower scale.workers, or raise training.globalBatchSize.",
            cel=(
                "!has(self.scale) || !has(self.scale.workers)"
                " || self.scale.workers <= self.training.globalBatchSize"
            ),
        ),
    )


class TrainingJob(Kind):
    """A model to train. The same file goes to `raygen train` and to `kubectl apply`."""

    api_version: Literal["raygen.io/v1alpha1"]
    """Version of this format."""
    kind: Literal["TrainingJob"]
    """Kind of this object."""
    metadata: Metadata
    """Name and labels."""
    spec: TrainingJobSpec
    """What to train, on what, how, and where the result goes."""

    noun: ClassVar[str] = "job"
    assignment: ClassVar[str] = "training.seed=3"


def parse(
    document: Any, lines: Lines | None = None, *, where: str = "", known: Sequence[Found] = ()
) -> TrainingJob:
    """A job from the content of a job file; see `parse_kind`, which reads any kind.

    Raises:
        ValidationError: holds every fault, in the order of the document.
    """
    return parse_kind(TrainingJob, document, lines, where=where, known=known)


def check(job: TrainingJob) -> TrainingJob:
    """A job made in Python, checked as a file would be.

    Raises:
        ValidationError: holds every fault.
    """
    return parse(job.model_dump(exclude_unset=True, warnings=False))
