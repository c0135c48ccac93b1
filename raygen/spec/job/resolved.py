"""A job whose defaults are written out, as a type: what always has a value afterwards is never None.

Each default stands once. One that a choice decides is the default of the class that is resolved to (`AdamW`, `LossSpike`);
one that follows from other fields is made by `resolve`, or by the block of the model's family.
"""

from __future__ import annotations

from pydantic.alias_generators import to_camel

from raygen.spec.data.splits import ResolvedData
from raygen.spec.job.evaluation import ResolvedEvaluation
from raygen.spec.job.output import ResolvedOutput
from raygen.spec.job.training import ResolvedTraining
from raygen.spec.job.training_job import TrainingJob, TrainingJobSpec, parse
from raygen.spec.schema.base import given
from raygen.spec.schema.paths import assign

_FINAL_RATE = "training.schedule.finalLearningRate"


class ResolvedJobSpec(TrainingJobSpec):
    """What to train, on what, how, and where the result goes; the block in `model` is resolved too."""

    data: ResolvedData
    training: ResolvedTraining
    evaluation: ResolvedEvaluation
    output: ResolvedOutput


class ResolvedJob(TrainingJob):
    """A job with every default written out that follows from the job alone."""

    spec: ResolvedJobSpec


def resolve(job: TrainingJob) -> ResolvedJob:
    """The job with every default written out that follows from the job alone; what the user set is never changed.

    Twice is the same as once. Left open are `microBatchSize` and `cpusPerWorker`, which depend on the machine, and
    `decaySteps`, which follows from the duration: that may change between attempts, and the schedule changes with it.
    """
    spec = job.spec
    document = given(job)
    document["spec"] |= {
        "model": spec.model.resolved(),
        "data": _data(spec),
        "training": _training(spec),
        "output": {"run": job.metadata.name} | given(spec.output),
    }
    return ResolvedJob.model_validate(document)


def in_force(job: ResolvedJob, step: int) -> ResolvedJob:
    """A job with the numbers that its `training.changes` give it at a step, from 1: of those after fewer steps the newest.

    A peak that has sunk below the schedule's last rate is the last rate too: after its warm-up a schedule only falls.
    """
    values: dict[str, float] = {}
    for change in sorted(job.spec.training.changes, key=lambda change: change.at_step):
        if change.at_step < step:
            values |= change.values
    peak, schedule = _peak_path(job.spec), job.spec.training.schedule
    final = values.get(_FINAL_RATE, schedule.final_learning_rate)
    if final is not None and schedule.type != "Constant":
        values[_FINAL_RATE] = min(final, values.get(peak, job.spec.leading_optimizer.learning_rate))
    document = job.model_dump(mode="json", exclude_none=True)
    for path, value in values.items():
        assign(document, path, value, TrainingJob)
    return resolve(parse(document))


def _peak_path(spec: TrainingJobSpec) -> str:
    """Where the learning rate is that the schedule's last rate is measured against."""
    if spec.training.optimizer is not None:
        return "training.optimizer.learningRate"
    return f"training.optimizers.{to_camel(spec.model.family.networks[0])}.learningRate"


def _data(spec: TrainingJobSpec) -> dict[str, object]:
    """What the data says, with the block of cleaning that its contents ask for."""
    document = given(spec.data)
    if spec.data.cleaning is not None:
        document["cleaning"] = {spec.data.kind: {}} | document["cleaning"]
    return document


def _training(spec: TrainingJobSpec) -> dict[str, object]:
    """What the training says, with the last learning rate and the guards that follow from other fields."""
    training = spec.training
    document = given(training)
    if training.schedule.type != "Constant":
        is_cosine = training.schedule.type == "Cosine"
        final = spec.leading_optimizer.learning_rate / 10 if is_cosine else 0.0
        document["schedule"] = {"final_learning_rate": final} | document["schedule"]
        if is_cosine and training.schedule.final_learning_rate is None:
            document["changes"] = _with_final_rates(spec)
    first, *others = spec.model.block.usual_guards
    usual = [
        {"type": first, "action": "Stop"},
        *({"type": name, "action": "Warn"} for name in others),
    ]
    return {"guards": tuple(usual)} | document


def _with_final_rates(spec: TrainingJobSpec) -> tuple[dict[str, object], ...]:
    """The changes of a job whose last rate follows from its peak: it follows a peak that changes."""
    changes = [given(change) for change in spec.training.changes]
    if not any(_FINAL_RATE in change["values"] for change in changes):
        peak = _peak_path(spec)
        for change in changes:
            if peak in change["values"]:
                change["values"][_FINAL_RATE] = change["values"][peak] / 10
    return tuple(changes)
