"""Sweep: the one object that a sweep file holds."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from raygen.spec.job.cluster import Attempts, RuntimeRef, Scheduling, Seconds
from raygen.spec.job.training_job import Metadata
from raygen.spec.schema.base import (
    Entrypoint,
    Index,
    JobName,
    Kind,
    MetricName,
    ParameterPath,
    Positive,
    Rule,
    RunName,
    Spec,
    Uri,
    exactly_one,
    plain_uri,
)
from raygen.spec.sweep.parameters import Parameter
from raygen.spec.sweep.pods import Autoscaling, pod_rules
from raygen.spec.sweep.population import population_rules
from raygen.spec.sweep.search import Scheduler, Search
from raygen.spec.sweep.template import Template


class SweepMetadata(Metadata):
    """Standard metadata of a Kubernetes object."""

    name: JobName
    """The sweep's name: lower-case letters, digits and '-', with a letter first, at most 40 characters."""


class Objective(Spec):
    """What a trial is judged by: a metric of its evaluations, or a function of its checkpoints."""

    metric: MetricName | None = None
    """Name of a metric in the template's `evaluation.metrics`."""
    entry_point: Entrypoint | None = None
    """A function of yours, as module:function. It is called with the `raygen.Run` and a step that has a checkpoint, and returns a number."""
    timeout_seconds: Seconds | None = None
    """Longest time that a call of the function may take, in seconds; then the trial has failed. Default: no limit."""
    goal: Literal["Minimize", "Maximize"]
    """Which values are better."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("metric", "entry_point")),
        Rule(
            fields=("timeout_seconds", "entry_point"),
            at="timeoutSeconds",
            holds=lambda self: self.timeout_seconds is None or self.entry_point is not None,
            rule="needs an entryPoint, since it bounds the calls of a function",
            remedy="Remove timeoutSeconds.",
            cel="!has(self.timeoutSeconds) || has(self.entryPoint)",
        ),
    )

    @property
    def name(self) -> str:
        """What tables and logs call it."""
        return self.metric or str(self.entry_point).partition(":")[2]

    @property
    def sign(self) -> int:
        """1 where less is better, else -1: a value times this is to be small."""
        return 1 if self.goal == "Minimize" else -1


class Constraint(Spec):
    """A bound on a metric; trials that break it are never the best ones."""

    metric: MetricName
    """Name of a metric in the template's `evaluation.metrics`."""
    at_most: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """The greatest value that is allowed."""
    at_least: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """The least value that is allowed."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("at_most", "at_least")),)


class Cost(Spec):
    """A bound in money. The currency is yours."""

    limit: Positive
    """The most that may be spent."""
    per_gpu_hour: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Price of one GPU for an hour."""
    per_core_hour: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Price of one CPU core for an hour."""


class Budget(Spec):
    """What a sweep may use. When time or money is used up, trials stop at their next step, with a checkpoint."""

    trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Number of trials. Default: no limit."""
    hours: Positive | None = None
    """Time that the sweep may be at work, over all its drivers, in hours. Default: no limit."""
    gpu_hours: Positive | None = None
    """Hours of GPUs that trials hold. Default: no limit."""
    cost: Cost | None = None
    """A bound in money. Default: no limit."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("trials", "hours", "gpu_hours", "cost"),
            at="",
            holds=lambda self: any(
                one is not None for one in (self.trials, self.hours, self.gpu_hours, self.cost)
            ),
            rule="must have one of trials, hours, gpuHours, cost",
            remedy="Add one, for example trials: 50.",
            cel="has(self.trials) || has(self.hours) || has(self.gpuHours) || has(self.cost)",
        ),
    )


class StartingPoint(Spec):
    """Values to try first."""

    values: dict[ParameterPath, Any] = Field(default={}, max_length=64)
    """Values by path. Those that are left out are the template's, or, where it says nothing, in the middle."""


class SweepOutput(Spec):
    """Where the sweep's directory is."""

    uri: Uri = "sweeps/"
    """Folder of all sweeps, as a path, file:// URI or s3://bucket/folder; a path is relative to the working directory."""
    sweep: RunName | None = None
    """The sweep's name: the folder inside `uri`. The same name continues the sweep. Default: the object's name."""

    rules: ClassVar[tuple[Rule, ...]] = (plain_uri("uri"),)


def _named(one: str) -> str:
    """CEL: the name of an objective."""
    return f"(has({one}.metric) ? {one}.metric : {one}.entryPoint.split(':')[1])"


_HAS_GPUS = (
    "(has(self.template.spec.scale) && has(self.template.spec.scale.gpusPerWorker)"
    " && self.template.spec.scale.gpusPerWorker > 0)"
)
"""CEL: trials have GPUs."""


class SweepSpec(Spec):
    """What to vary in which job, what is better, and how much may be tried."""

    template: Template
    """The job that trials are made of."""
    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1, max_length=64)]
    """What varies."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=4)]
    """What a trial is judged by. Of several none is more important than another: the best trials are those that no other one beats
    in all (the Pareto front)."""
    constraints: Annotated[tuple[Constraint, ...], Field(max_length=8)] = ()
    """Bounds on metrics."""
    search: Search
    """How values are chosen."""
    scheduler: Scheduler = Scheduler(type="Full")
    """How long each trial trains."""
    budget: Budget
    """What the sweep may use."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 1
    """Trials that train at the same time."""
    trials_per_worker: Annotated[int, Field(ge=1, le=64)] = 1
    """Trials at the same time that share a worker pod on a cluster; each pod has cores, memory and GPUs for so many."""
    trials_per_gpu: Annotated[int, Field(ge=1, le=16)] = 1
    """Trials at the same time that share a GPU of their pod on a cluster. Nothing keeps them from each other's memory: together they must fit."""
    autoscaling: Autoscaling | None = None
    """Have worker pods on a cluster go when they have nothing to train, and come back when they have. Default: all of them stay."""
    failed_trials: Annotated[int, Field(ge=0, le=100_000)] = 5
    """Failed trials that are put up with; one more ends the sweep as failed."""
    seed: Index = 0
    """Seed of all that is drawn while values are chosen. How trials train is decided by the template's own."""
    starting_points: Annotated[tuple[StartingPoint, ...], Field(max_length=256)] = ()
    """Values to try first, in this order; `{}` is the template as it stands."""
    warm_start: Annotated[tuple[Uri, ...], Field(max_length=16)] = ()
    """Directories of earlier sweeps over the same parameters and objectives, whose finished trials the search knows."""
    output: SweepOutput = SweepOutput()
    """Where the sweep's directory is."""
    scheduling: Scheduling | None = None
    """How the sweep waits for its turn on a cluster. Default: it does not."""
    runtime_ref: RuntimeRef = RuntimeRef()
    """What the sweep runs with on a cluster: image, nodes, storage, limits."""
    attempts: Attempts = Attempts()
    """How often the sweep is started on a cluster."""
    suspend: bool = False
    """Stop on a cluster, trials with checkpoints, and do not start until this is false again."""
    active_deadline_seconds: Seconds | None = None
    """Longest time that a sweep may be active on a cluster, suspended time not counted, in seconds; then it ends as
    failed, trials with checkpoints. Default: what the runtime allows."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Time after which a finished sweep is deleted from the cluster, in seconds; its directory stays. Default: never."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("parameters",),
            at="parameters",
            holds=lambda self: len({one.path for one in self.parameters}) == len(self.parameters),
            rule="must have paths that differ",
            remedy="Remove one of those with the same path.",
            cel="self.parameters.all(a, self.parameters.exists_one(b, a.path == b.path))",
        ),
        Rule(
            fields=("objectives", "template.spec.evaluation.metrics"),
            at="objectives",
            holds=lambda self: {one.metric for one in self.objectives} - {None} <= self.metrics,
            rule="must name metrics of template.spec.evaluation.metrics",
            remedy="Add the metric to evaluation.metrics of the template, or name one that is there.",
            cel="self.objectives.all(o, !has(o.metric) || (has(self.template.spec.evaluation)"
            " && has(self.template.spec.evaluation.metrics)"
            " && self.template.spec.evaluation.metrics.exists(m, m.name == o.metric)))",
        ),
        Rule(
            fields=("objectives",),
            at="objectives",
            holds=lambda self: len({one.name for one in self.objectives}) == len(self.objectives),
            rule="must have names that differ: of a metric, or of the function behind the colon",
            remedy="Remove one of those with the same metric, or give a function another name.",
            cel=f"self.objectives.all(a, self.objectives.filter(b, {_named('b')} == {_named('a')}).size() == 1)",
        ),
        Rule(
            fields=("objectives", "template.spec.evaluation.metrics"),
            at="objectives",
            holds=lambda self: not {one.name for one in self.objectives if one.entry_point} & self.metrics,
            rule="must not have a function with the name of a metric of template.spec.evaluation.metrics",
            remedy="Give the function or the metric another name.",
            cel="self.objectives.all(o, !has(o.entryPoint) || !has(self.template.spec.evaluation)"
            " || !has(self.template.spec.evaluation.metrics)"
            f" || !self.template.spec.evaluation.metrics.exists(m, m.name == {_named('o')}))",
        ),
        Rule(
            fields=("budget.gpu_hours", "template.spec.scale.gpus_per_worker"),
            at="budget.gpuHours",
            holds=lambda self: self.budget.gpu_hours is None or self.template.spec.scale.gpus_per_worker > 0,
            rule="needs a template whose trials have GPUs, or it is never used up",
            remedy="Give the template scale.gpusPerWorker, or choose another budget.",
            cel=f"!has(self.budget.gpuHours) || {_HAS_GPUS}",
        ),
        Rule(
            fields=("budget.cost", "template.spec.scale.gpus_per_worker"),
            at="budget.cost",
            holds=lambda self: (
                self.budget.cost is None
                or self.budget.cost.per_core_hour > 0
                or (self.budget.cost.per_gpu_hour > 0 and self.template.spec.scale.gpus_per_worker > 0)
            ),
            rule="must have a price for something that trials use, or it is never used up",
            remedy="Give perCoreHour, or perGpuHour with a template whose trials have GPUs.",
            cel="!has(self.budget.cost) || (has(self.budget.cost.perCoreHour) && self.budget.cost.perCoreHour > 0.0)"
            " || (has(self.budget.cost.perGpuHour) && self.budget.cost.perGpuHour > 0.0"
            f" && {_HAS_GPUS})",
        ),
        Rule(
            fields=("constraints", "template.spec.evaluation.metrics"),
            at="constraints",
            holds=lambda self: {one.metric for one in self.constraints} <= self.metrics,
            rule="must name metrics of template.spec.evaluation.metrics",
            remedy="Add the metric to evaluation.metrics of the template, or name one that is there.",
            cel="!has(self.constraints) || self.constraints.all(o, has(self.template.spec.evaluation)"
            " && has(self.template.spec.evaluation.metrics)"
            " && self.template.spec.evaluation.metrics.exists(m, m.name == o.metric))",
        ),
        Rule(
            fields=("search.type", "objectives"),
            at="search.type",
            holds=lambda self: self.search.type != "CMAES" or len(self.objectives) == 1,
            rule="must be another one than CMAES with several objectives",
            remedy="Choose TPE, GaussianProcess or NSGAII.",
            cel="self.search.type != 'CMAES' || self.objectives.size() == 1",
        ),
        Rule(
            fields=("scheduler.type", "objectives"),
            at="scheduler.type",
            holds=lambda self: self.scheduler.type == "Full" or len(self.objectives) == 1,
            rule="must be Full with several objectives, which have no one order",
            remedy="Remove scheduler, or keep one objective.",
            cel="!has(self.scheduler) || self.scheduler.type == 'Full' || self.objectives.size() == 1",
        ),
        Rule(
            fields=("scheduler.type", "template.spec.training.duration.steps"),
            at="template.spec.training.duration.steps",
            holds=lambda self: (
                self.scheduler.type == "Full" or self.template.spec.training.duration.steps is not None
            ),
            rule="must be given with a scheduler that stops trials",
            remedy="Give the duration in steps, or remove scheduler.",
            cel="!has(self.scheduler) || self.scheduler.type == 'Full'"
            " || has(self.template.spec.training.duration.steps)",
        ),
        Rule(
            fields=("scheduler.type", "template.spec.evaluation.every_steps"),
            at="template.spec.evaluation.everySteps",
            holds=lambda self: (
                self.scheduler.type == "Full" or self.template.spec.evaluation.every_steps is not None
            ),
            rule="must be given with a scheduler that stops trials",
            remedy="Give evaluation.everySteps, so that there is something to compare.",
            cel="!has(self.scheduler) || self.scheduler.type == 'Full'"
            " || (has(self.template.spec.evaluation) && has(self.template.spec.evaluation.everySteps))",
        ),
        *population_rules(),
        *pod_rules(),
    )

    @property
    def each_worker(self) -> int:
        """Trials at the same time that a worker pod has room for."""
        return min(self.trials_per_worker, self.concurrency)

    @property
    def most_workers(self) -> int:
        """Worker pods for all trials that train at the same time."""
        return ceil(self.concurrency / self.each_worker) * self.template.spec.scale.workers

    @property
    def gpus_per_trial(self) -> float:
        """GPUs that a trial holds; a part of one where several share it."""
        scale = self.template.spec.scale
        return scale.workers * scale.gpus_per_worker / self.trials_per_gpu

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics that trials report."""
        return {metric.name for metric in self.template.spec.evaluation.metrics}


class Sweep(Kind):
    """Many trainings of one job with other values, and the best of them."""

    api_version: Literal["raygen.io/v1alpha1"]
    """Version of this format."""
    kind: Literal["Sweep"]
    """Kind of this object."""
    metadata: SweepMetadata
    """Name and labels."""
    spec: SweepSpec
    """What to vary in which job, what is better, and how much may be tried."""

    noun: ClassVar[str] = "sweep"
    assignment: ClassVar[str] = "budget.trials=20"
