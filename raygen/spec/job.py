"""TrainingJob: the one object that a job file holds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.base import Name, Rule, Spec
from raygen.spec.data import Data
from raygen.spec.evaluation import Checkpoint, Evaluation, Output, Tracking
from raygen.spec.model import Model
from raygen.spec.training import Training

API_VERSION = "raygen.io/v1alpha1"
KIND = "TrainingJob"

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$")]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]


class Metadata(Spec):
    """Standard metadata of a Kubernetes object."""

    name: Name
    """The job's name: lower-case letters, digits and '-', at most 40 characters."""
    namespace: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None
    """Namespace on a cluster; means nothing on a laptop."""
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=64)] = {}
    """Labels, for people and tools that select jobs."""
    annotations: Annotated[dict[LabelKey, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] = {}
    """Notes for people and tools."""


class Scale(Spec):
    """Workers and what each of them gets. One machine runs what fits, and says what it changed."""

    workers: Annotated[int, Field(ge=1, le=4096)] = 1
    """Processes that train together."""
    gpus_per_worker: Annotated[int, Field(ge=0, le=64)] = 0
    """GPUs of each worker."""
    cpus_per_worker: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU cores of each worker. Default on one machine: all of them."""
    memory_per_worker: Annotated[str, Field(min_length=1, max_length=32, pattern=QUANTITY)] | None = None
    """Memory of each worker, as a Kubernetes quantity (16Gi). One machine does not enforce it."""


class TrainingJobSpec(Spec):
    """What to train, on what, how, and where the result goes."""

    model: Model
    """What is trained."""
    data: Data
    """What is learned from."""
    training: Training
    """How the model is trained."""
    evaluation: Evaluation = Evaluation()
    """What is measured and shown while training."""
    checkpoint: Checkpoint = Checkpoint()
    """When the state of training is saved."""
    output: Output = Output()
    """Where the run directory is."""
    tracking: Tracking | None = None
    """Services that show metrics while they come in."""
    scale: Scale = Scale()
    """Workers and what each of them gets."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("data", "evaluation"),
            at="evaluation.metrics",
            holds=lambda self: not self.evaluation.metrics or self.data.validation is not None,
            rule="needs data.validation",
            remedy="Give data.validation, for example {fraction: 0.1}, or remove the metrics.",
            cel="self.evaluation.metrics.size() == 0 || has(self.data.validation)",
        ),
        Rule(
            fields=("training", "evaluation"),
            at="training.earlyStopping.metric",
            holds=lambda self: self.training.early_stopping is None
            or self.training.early_stopping.metric in {m.name for m in self.evaluation.metrics},
            rule="must be the name of a metric in evaluation.metrics",
            remedy="Name one of the metrics, or add one under this name.",
            cel=(
                "!has(self.training.earlyStopping) || self.evaluation.metrics.exists(m,"
                " m.name == self.training.earlyStopping.metric)"
            ),
        ),
        Rule(
            fields=("training", "evaluation"),
            at="training.earlyStopping",
            holds=lambda self: self.training.early_stopping is None
            or self.evaluation.every_steps is not None,
            rule="needs evaluation.everySteps",
            remedy="Give evaluation.everySteps, so that there are evaluations to compare.",
            cel="!has(self.training.earlyStopping) || has(self.evaluation.everySteps)",
        ),
        Rule(
            fields=("checkpoint", "evaluation"),
            at="checkpoint.keepBest.metric",
            holds=lambda self: self.checkpoint.keep_best is None
            or self.checkpoint.keep_best.metric in {m.name for m in self.evaluation.metrics},
            rule="must be the name of a metric in evaluation.metrics",
            remedy="Name one of the metrics, or add one under this name.",
            cel=(
                "!has(self.checkpoint.keepBest) || self.evaluation.metrics.exists(m,"
                " m.name == self.checkpoint.keepBest.metric)"
            ),
        ),
        Rule(
            fields=("training", "scale"),
            at="scale.workers",
            holds=lambda self: self.scale.workers <= self.training.global_batch_size,
            rule="must be at most training.globalBatchSize, so that every worker has a sample in each step",
            remedy="Lower scale.workers, or raise training.globalBatchSize.",
            cel="self.scale.workers <= self.training.globalBatchSize",
        ),
    )


class TrainingJob(Spec):
    """A model to train. The same file goes to `raygen train` and to `kubectl apply`."""

    api_version: Literal["raygen.io/v1alpha1"]
    """Version of this format."""
    kind: Literal["TrainingJob"]
    """Kind of this object."""
    metadata: Metadata
    """Name and labels."""
    spec: TrainingJobSpec
    """What to train, on what, how, and where the result goes."""
