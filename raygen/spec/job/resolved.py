"""A job whose defaults are written out, as a type: what always has a value afterwards is never None.

Each default stands once. One that a choice decides is the default of the class that is resolved to (`AdamW`, `LossSpike`);
one that follows from other fields is made by `resolve`, or by the block of the model's family.
"""

from __future__ import annotations

from raygen.spec.data.splits import ResolvedData
from raygen.spec.job.evaluation import ResolvedEvaluation
from raygen.spec.job.output import ResolvedOutput
from raygen.spec.job.training import ResolvedTraining
from raygen.spec.job.training_job import TrainingJob, TrainingJobSpec
from raygen.spec.schema.base import given


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
    first, *others = spec.model.block.usual_guards
    usual = [
        {"type": first, "action": "Stop"},
        *({"type": name, "action": "Warn"} for name in others),
    ]
    return {"guards": tuple(usual)} | document
