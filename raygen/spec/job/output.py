"""What is kept, where, and which services are told."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raygen.spec.schema.base import Count, MetricName, Positive, Rule, RunName, Spec, Uri, plain_uri


class KeepBest(Spec):
    """Keeps the checkpoint with the best value of a metric, beside the newest ones."""

    metric: MetricName
    """Name of the metric in `evaluation.metrics`."""


class Checkpoint(Spec):
    """When the state of training is saved."""

    every_steps: Count | None = None
    """Distance between checkpoints, in steps. The last step always gives one. Default: only time counts."""
    every_seconds: Positive = 300.0
    """Longest time between checkpoints, in seconds. The first step after it gives one."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 3
    """Newest checkpoints to keep; at least two, so that a damaged one never is the only one."""
    keep_best: KeepBest | None = None
    """Keep the best one too. Default: only the newest."""


class Output(Spec):
    """Where the run directory is."""

    uri: Uri = "runs/"
    """Folder of all runs, as a path, file:// URI or s3://bucket/folder; a path is relative to the working
    directory. S3 needs the extra `s3`; endpoint, region and credentials come from AWS's own variables and files."""
    run: RunName | None = None
    """The run's name: the folder inside `uri`. The same name continues the run. Default: the job's name."""

    rules: ClassVar[tuple[Rule, ...]] = (plain_uri("uri"),)


class ResolvedOutput(Output):
    """Where the run directory is, with the run's name."""

    run: RunName


class Wandb(Spec):
    """Weights & Biases. Address, key and mode come from its own environment variables."""

    project: Annotated[str, Field(min_length=1, max_length=128)] = "raygen"
    """Project to log to."""


class MLflow(Spec):
    """MLflow. Address and credentials come from its own environment variables."""

    experiment: Annotated[str, Field(min_length=1, max_length=128)] = "raygen"
    """Experiment to log to."""


class Tracking(Spec):
    """Services that show metrics while they come in, besides the run directory's own TensorBoard files."""

    wandb: Wandb | None = None
    """Weights & Biases; needs the extra `wandb`. Default: not told."""
    mlflow: MLflow | None = None
    """MLflow; needs the extra `mlflow`. Default: not told."""
