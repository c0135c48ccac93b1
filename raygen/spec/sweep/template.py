"""The job that a sweep varies."""

from __future__ import annotations

from typing import ClassVar

from pydantic.alias_generators import to_camel

from raygen.spec.job.output import Output
from raygen.spec.job.training_job import TrainingJobSpec
from raygen.spec.schema.base import Rule, Spec

OF_THE_SWEEP = (
    "runtime_ref",
    "scheduling",
    "attempts",
    "suspend",
    "active_deadline_seconds",
    "ttl_seconds_after_finished",
)
"""What a cluster does with a sweep as a whole, and with none of its trials."""
_NAMES = [to_camel(name) for name in OF_THE_SWEEP]


class Template(Spec):
    """The job that trials are made of."""

    spec: TrainingJobSpec
    """A whole job, as a TrainingJob has it; parameters replace some of its values."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("spec.output",),
            at="spec.output",
            holds=lambda self: self.spec.output == Output(),
            rule="cannot be given, since the runs of trials lie in the sweep's directory",
            remedy="Give spec.output of the sweep instead.",
            cel="!has(self.spec.output) || (!has(self.spec.output.run)"
            " && (!has(self.spec.output.uri) || self.spec.output.uri == 'runs/'))",
        ),
        Rule(
            fields=("spec.training.early_stopping",),
            at="spec.training.earlyStopping",
            holds=lambda self: self.spec.training.early_stopping is None,
            rule="cannot be given, since the sweep's scheduler decides how long a trial trains",
            remedy="Remove earlyStopping, and choose spec.scheduler.",
            cel="!has(self.spec.training.earlyStopping)",
        ),
        Rule(
            fields=tuple(f"spec.{name}" for name in OF_THE_SWEEP),
            at="spec",
            holds=lambda self: (
                not any(
                    name in self.spec.model_fields_set and getattr(self.spec, name) is not None
                    for name in OF_THE_SWEEP
                )
            ),
            rule=f"cannot have {', '.join(_NAMES[:-1])} or {_NAMES[-1]}, which belong to the sweep as a whole",
            remedy="Give them in spec of the sweep instead.",
            cel=" && ".join(f"!has(self.spec.{name})" for name in _NAMES),
        ),
    )
