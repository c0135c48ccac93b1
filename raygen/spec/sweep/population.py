"""What a sweep must have so that members of a population can take over from each other (PBT, PB2)."""

from __future__ import annotations

from collections.abc import Iterator

from raygen.spec.job.training import MOST_CHANGES
from raygen.spec.job.value_changes import CHANGEABLE_VALUES, within
from raygen.spec.schema.base import Rule
from raygen.spec.schema.faults import Fault, Location, bare_fault, fault
from raygen.spec.sweep.domains import is_number
from raygen.spec.sweep.parameters import Parameter
from raygen.spec.sweep.search import POPULATION

_NONE = "!has(self.scheduler) || !(self.scheduler.type in ['PBT', 'PB2'])"


def population_rules() -> tuple[Rule, ...]:
    """Rules of a sweep's spec."""
    checkpoint, evaluation = "self.template.spec.checkpoint", "self.template.spec.evaluation"
    first, steps = "self.scheduler.firstSteps", "self.template.spec.training.duration.steps"
    return (
        Rule(
            fields=("scheduler.type", "template.spec.checkpoint.every_steps"),
            at="template.spec.checkpoint.everySteps",
            holds=lambda self: (
                not self.scheduler.has_population or self.template.spec.checkpoint.every_steps is not None
            ),
            rule="must be given with PBT and PB2, whose members go on from each other's checkpoints",
            remedy="Give checkpoint.everySteps, for example the same as scheduler.firstSteps.",
            cel=f"{_NONE} || (has({checkpoint}) && has({checkpoint}.everySteps))",
        ),
        Rule(
            fields=("scheduler.type", "scheduler.first_steps", "template.spec.checkpoint.every_steps"),
            at="scheduler.firstSteps",
            holds=lambda self: (
                not self.scheduler.has_population
                or None in (self.scheduler.first_steps, self.template.spec.checkpoint.every_steps)
                or self.scheduler.first_steps % self.template.spec.checkpoint.every_steps == 0
            ),
            rule="must be a multiple of template.spec.checkpoint.everySteps, so that each decision has a checkpoint",
            remedy="Give both the same, or a multiple.",
            cel=f"{_NONE} || !has({first}) || !has({checkpoint}) || !has({checkpoint}.everySteps)"
            f" || {first} % {checkpoint}.everySteps == 0",
        ),
        Rule(
            fields=("scheduler.type", "scheduler.first_steps", "template.spec.evaluation.every_steps"),
            at="scheduler.firstSteps",
            holds=lambda self: (
                not self.scheduler.has_population
                or None in (self.scheduler.first_steps, self.template.spec.evaluation.every_steps)
                or self.scheduler.first_steps % self.template.spec.evaluation.every_steps == 0
            ),
            rule="must be a multiple of template.spec.evaluation.everySteps, so that each decision has a value",
            remedy="Give both the same, or another multiple.",
            cel=f"{_NONE} || !has({first}) || !has({evaluation}) || !has({evaluation}.everySteps)"
            f" || {first} % {evaluation}.everySteps == 0",
        ),
        Rule(
            fields=("scheduler.type", "scheduler.first_steps", "template.spec.training.duration.steps"),
            at="scheduler.firstSteps",
            holds=lambda self: (
                not self.scheduler.has_population
                or None in (self.scheduler.first_steps, self.template.spec.training.duration.steps)
                or self.template.spec.training.duration.steps
                <= self.scheduler.first_steps * (MOST_CHANGES + 1)
            ),
            rule=f"must leave at most {MOST_CHANGES} decisions before the last step",
            remedy="Raise it.",
            cel=f"{_NONE} || !has({first}) || !has({steps}) || {steps} <= {first} * {MOST_CHANGES + 1}",
        ),
        Rule(
            fields=("scheduler.type", "scheduler.population", "budget.trials"),
            at="budget.trials",
            holds=lambda self: (
                not self.scheduler.has_population
                or self.budget.trials is None
                or self.budget.trials >= (self.scheduler.population or POPULATION)
            ),
            rule="must be at least scheduler.population",
            remedy="Raise it, as those that take the place of others are trials too; or lower population.",
            cel=f"{_NONE} || !has(self.budget.trials)"
            f" || self.budget.trials >= (has(self.scheduler.population) ? self.scheduler.population : {POPULATION})",
        ),
        Rule(
            fields=("scheduler.type", "template.spec.training.changes"),
            at="template.spec.training.changes",
            holds=lambda self: not (self.scheduler.has_population and self.template.spec.training.changes),
            rule="cannot be given with PBT and PB2, which write the changes of their members there",
            remedy="Remove changes, or choose another scheduler.",
            cel=f"{_NONE} || !has(self.template.spec.training.changes)"
            " || self.template.spec.training.changes.size() == 0",
        ),
    )


def population_faults(parameter: Parameter, path: str, place: Location) -> Iterator[Fault]:
    """Faults of a parameter whose value cannot change while a trial trains.

    Args:
        parameter: The parameter.
        path: Its field below the spec.
        place: Where the parameter is in its file.
    """
    remedy = "Give the template the value, or choose another scheduler."
    if path not in CHANGEABLE_VALUES:
        rule = (
            "cannot change while a trial trains, as PBT and PB2 have it do; training.changes lists what can"
        )
        yield fault((*place, "path"), parameter.path, rule, remedy)
        return
    if parameter.when is not None:
        yield bare_fault((*place, "when"), "cannot be given with PBT and PB2", "Remove when.")
    for number, value in enumerate(parameter.values or ()):
        if not is_number(value):
            rule = "must be a number, as everything that changes while a trial trains"
            yield fault((*place, "values", number), value, rule, "Change or remove it.")
    given: list[tuple[Location, float | None]] = [(("low",), parameter.low), (("high",), parameter.high)]
    given += [
        (("values", number), one) for number, one in enumerate(parameter.values or ()) if is_number(one)
    ]
    for at, value in given:
        if value is not None and not within(path, value):
            rule = f"must be a value that {parameter.path} may change to while a trial trains"
            yield fault((*place, *at), value, rule, "Choose another one.")
