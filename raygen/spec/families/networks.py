"""Families whose networks have an optimizer each: which ones a job must give, and which of them the schedule is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from raygen.spec.families.family import Family
from raygen.spec.families.table import FAMILIES, NETWORKS, cel_is, listed
from raygen.spec.schema.base import Rule

_WITH_NETWORKS = {name: family for name, family in FAMILIES.items() if family.networks}
_LEADING = {name: family.networks[0] for name, family in _WITH_NETWORKS.items()}


def _said(family: Family) -> str:
    return f"{family.name} has training.optimizers: {{{', '.join(map(to_camel, family.networks))}}}"


NETWORKS_REMEDY = f"A {', a '.join(map(_said, _WITH_NETWORKS.values()))}; all others have training.optimizer."
"""What to do about an optimizer too many or too few."""


def leading_optimizer(spec: Any) -> Any:
    """The optimizer whose peak the schedule's last rate belongs to: that of the first network where each has its own.

    Args:
        spec: A job's spec, which may be at fault.

    Returns:
        None where the fault leaves none.
    """
    training = spec.training
    if training.optimizers is None or training.optimizer is not None:
        return training.optimizer if training.optimizers is None else None
    return getattr(training.optimizers, _LEADING.get(spec.model.type, ""), None)


def network_rules() -> tuple[Rule, ...]:
    """Rules of a job's spec: which optimizers by network it has, and that the schedule falls from the leading one."""
    return (*map(_network_rule, NETWORKS), _final_rate_rule())


def _network_rule(network: str) -> Rule:
    """Of the models that have optimizers by network, those with this network have its optimizer."""
    key = to_camel(network)
    with_it = [name for name, family in _WITH_NETWORKS.items() if network in family.networks]

    def holds(spec: Any) -> bool:
        given, networks = spec.training.optimizers, spec.model.family.networks
        return given is None or not networks or (network in networks) == (getattr(given, network) is not None)

    return Rule(
        fields=("model.type", f"training.optimizers.{network}"),
        at=f"training.optimizers.{key}",
        holds=holds,
        rule=f"must be given exactly when model.type is {listed(with_it)}",
        remedy=NETWORKS_REMEDY,
        cel=(
            f"!has(self.training.optimizers) || !({cel_is([*_WITH_NETWORKS])})"
            f" || ({cel_is(with_it)}) == has(self.training.optimizers.{key})"
        ),
        schema={
            "if": _inside({"enum": with_it}, "model", "type"),
            "then": {"properties": {"training": {"properties": {"optimizers": {"required": [key]}}}}},
        },
    )


def _inside(schema: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A JSON Schema of objects that have a value at these keys, of which it asks this."""
    made = dict(schema)
    for key in reversed(keys):
        made = {"properties": {key: made}, "required": [key]}
    return made


def _final_rate_rule() -> Rule:
    """A schedule ends at most at its peak."""

    def holds(spec: Any) -> bool:
        final, leading = spec.training.schedule.final_learning_rate, leading_optimizer(spec)
        return final is None or leading is None or bool(final <= leading.learning_rate)

    final = "self.training.schedule.finalLearningRate"
    rates = {name: f"self.training.optimizers.{to_camel(network)}" for name, network in _LEADING.items()}
    own = " && ".join(
        f"(!({cel_is([name])}) || !has({rate}) || {final} <= {rate}.learningRate)"
        for name, rate in rates.items()
    )
    return Rule(
        fields=(
            "model.type",
            "training.optimizer.learning_rate",
            *(f"training.optimizers.{network}.learning_rate" for network in dict.fromkeys(_LEADING.values())),
            "training.schedule.final_learning_rate",
        ),
        at="training.schedule.finalLearningRate",
        holds=holds,
        rule="must be at most the optimizer's learningRate",
        remedy="Lower finalLearningRate; after its warm-up a schedule only falls.",
        cel=(
            f"!has(self.training.schedule) || !has({final})"
            " || has(self.training.optimizer) == has(self.training.optimizers)"
            f" || (has(self.training.optimizer) ? {final} <= self.training.optimizer.learningRate : ({own}))"
        ),
    )
