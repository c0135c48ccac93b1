"""Which numbers of a job may change while it trains, and the rules of a job that says so.

Only numbers that every step reads afresh are among them: none decides the shape of a tensor, what an optimizer keeps of each weight,
the order of the data, the length of the training, or which random numbers are drawn. So a checkpoint of a job is one of
every job that agrees with it up to there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic.alias_generators import to_camel

from raygen.spec.families.gan import GAN, Augmentation
from raygen.spec.families.table import FAMILIES, FIELDS, NETWORKS
from raygen.spec.families.transformer import Transformer
from raygen.spec.families.vae import VAE, Codebook
from raygen.spec.job.training import Ema, Optimizer, Schedule, Training, ValueChange
from raygen.spec.schema.base import Rule, Spec
from raygen.spec.schema.fields import fields_of


@dataclass(frozen=True)
class _Part:
    """A part of a job's spec that may be there, with its numbers that may change.

    Attributes:
        path: Where it is, in the job file's spelling.
        numbers: Their names in it, in the job file's spelling.
        of: Its class.
        holds: Whether a job's spec has these numbers.
        cel: The same in CEL, over the spec.
    """

    path: str
    numbers: tuple[str, ...]
    of: type[Spec]
    holds: Callable[[Any], bool]
    cel: str

    def paths(self) -> dict[str, Mapping[str, float]]:
        """The bounds of each number, by its path."""
        fields = fields_of(self.of)
        found: dict[str, Mapping[str, float]] = {}
        for name in self.numbers:
            shape = fields[name.partition("[")[0]].shape
            found[f"{self.path}.{name}"] = shape.items.bounds if shape.items is not None else shape.bounds
        return found


def _optimizer(network: str) -> tuple[_Part, ...]:
    """The numbers of an optimizer: that of all networks, or of one."""
    path = f"training.optimizers.{to_camel(network)}" if network else "training.optimizer"
    there = f"has(self.{path})"
    if network:
        there = f"has(self.training.optimizers) && {there}"

    def found(spec: Any) -> Any:
        if not network:
            return spec.training.optimizer
        return None if spec.training.optimizers is None else getattr(spec.training.optimizers, network)

    def of_types(*types: str) -> tuple[Callable[[Any], bool], str]:
        quoted = ", ".join(f"'{one}'" for one in types)
        return (
            lambda spec: found(spec) is not None and found(spec).type in types,
            f"{there} && self.{path}.type in [{quoted}]",
        )

    def has_momentum(spec: Any) -> bool:
        one = found(spec)
        return one is not None and (one.type == "Muon" if one.momentum is None else one.momentum > 0)

    return (
        _Part(path, ("learningRate", "weightDecay"), Optimizer, lambda spec: found(spec) is not None, there),
        _Part(path, ("betas[0]", "betas[1]"), Optimizer, *of_types("Adam", "AdamW", "Muon")),
        _Part(path, ("epsilon",), Optimizer, *of_types("Adam", "AdamW", "AdaGrad", "Muon")),
        _Part(path, ("matrixLearningRate",), Optimizer, *of_types("Muon")),
        # Without one SGD keeps nothing of a weight.
        _Part(
            path,
            ("momentum",),
            Optimizer,
            has_momentum,
            f"{there} && (has(self.{path}.momentum) ? self.{path}.momentum > 0.0 : self.{path}.type == 'Muon')",
        ),
    )


def _block(
    family: str,
    below: str,
    of: type[Spec],
    numbers: tuple[str, ...],
    holds: Callable[[Any], bool] = lambda block: True,  # noqa: ARG005
    cel: str = "",
) -> _Part:
    """Numbers of a family's block, or of a part of it; `holds` is given the block, and {0} in `cel` is it."""
    field = FIELDS[family]
    path = f"model.{field}"

    def in_spec(spec: Any) -> bool:
        block = getattr(spec.model, field)
        return block is not None and holds(block)

    said = f"has(self.{path})" + (f" && {cel.replace('{0}', f'self.{path}')}" if cel else "")
    return _Part(f"{path}{below}", numbers, of, in_spec, said)


_SMOOTHED = [f"has(self.model.{FIELDS[name]})" for name, family in FAMILIES.items() if family.smooths_labels]
_PARTS = (
    *(part for network in ("", *NETWORKS) for part in _optimizer(network)),
    _Part(
        "training.schedule",
        ("finalLearningRate",),
        Schedule,
        lambda spec: spec.training.schedule.type != "Constant",
        "has(self.training.schedule) && self.training.schedule.type != 'Constant'",
    ),
    _Part("training", ("gradientClipNorm",), Training, lambda spec: True, "true"),  # noqa: ARG005
    _Part(
        "training",
        ("labelSmoothing",),
        Training,
        lambda spec: any(
            getattr(spec.model, FIELDS[name]) is not None
            for name, family in FAMILIES.items()
            if family.smooths_labels
        ),
        " || ".join(_SMOOTHED),
    ),
    _Part(
        "training.ema",
        ("decay",),
        Ema,
        lambda spec: spec.training.ema is not None,
        "has(self.training.ema)",
    ),
    _block("Transformer", "", Transformer, ("dropout",)),
    # The importance-weighted bound and a codebook have no KL term that could be weighed.
    _block(
        "VAE",
        "",
        VAE,
        ("beta", "freeBits"),
        lambda vae: vae.importance_samples == 1 and vae.codebook is None,
        "(!has({0}.importanceSamples) || {0}.importanceSamples == 1) && !has({0}.codebook)",
    ),
    _block(
        "VAE",
        ".codebook",
        Codebook,
        ("commitment",),
        lambda vae: vae.codebook is not None,
        "has({0}.codebook)",
    ),
    _block("GAN", "", GAN, ("r1", "r2")),
    _block(
        "GAN",
        "",
        GAN,
        ("gradientPenalty",),
        lambda gan: gan.loss == "Wasserstein",
        "{0}.loss == 'Wasserstein'",
    ),
    _block(
        "GAN",
        ".augmentation",
        Augmentation,
        ("target",),
        lambda gan: gan.augmentation is not None and gan.augmentation.type == "Adaptive",
        "has({0}.augmentation) && {0}.augmentation.type == 'Adaptive'",
    ),
)


def _bounds(path: str, bounds: Mapping[str, float]) -> Mapping[str, float]:
    # A momentum of 0 is none, and then nothing is kept of a weight.
    return (
        {**{k: v for k, v in bounds.items() if k != "ge"}, "gt": 0} if path.endswith("momentum") else bounds
    )


CHANGEABLE_VALUES: dict[str, Mapping[str, float]] = {
    path: _bounds(path, bounds) for part in _PARTS for path, bounds in part.paths().items()
}
"""Every number that may change while some job trains: its bounds by its path below the spec."""
_PART_OF = {path: part for part in _PARTS for path in part.paths()}
_WORDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def within(path: str, value: float) -> bool:
    """Whether a number that may change can be this."""
    bounds = CHANGEABLE_VALUES[path]
    return (
        bounds.get("ge", -math.inf) <= value <= bounds.get("le", math.inf)
        and value > bounds.get("gt", -math.inf)
        and value < bounds.get("lt", math.inf)
    )


def _quoted(paths: list[str]) -> str:
    return ", ".join(f"'{path}'" for path in paths)


def _known_rule() -> Rule:
    """The numbers are some of those that may change."""
    return Rule(
        fields=("values",),
        at="values",
        holds=lambda self: all(path in CHANGEABLE_VALUES for path in self.values),
        rule="must name numbers that may change while a job trains",
        remedy="Name numbers of the optimizers, finalLearningRate, gradientClipNorm, labelSmoothing, the average's decay, dropout,"
        " or weights in the loss of a VAE or GAN; anything else needs a run of its own.",
        cel=f"self.values.all(k, k in [{_quoted(list(CHANGEABLE_VALUES))}])",
    )


def _range_rules() -> tuple[Rule, ...]:
    """Numbers keep to the bounds of their fields; a rule for all that have the same."""

    def key(path: str) -> str:
        bounds = CHANGEABLE_VALUES[path]
        return " && ".join(f"self.values[k] {_WORDS[name]} {float(bounds[name])}" for name in sorted(bounds))

    def said(path: str) -> str:
        words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
        bounds = CHANGEABLE_VALUES[path]
        return " and ".join(f"{words[name]} {bounds[name]:g}" for name in sorted(bounds))

    def rule(paths: list[str]) -> Rule:
        names = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in paths))
        return Rule(
            fields=("values",),
            at="values",
            holds=lambda self: all(within(path, self.values[path]) for path in paths if path in self.values),
            rule=f"must have numbers {said(paths[0])} for {names}",
            remedy="Give values that the fields may have.",
            cel=f"self.values.all(k, !(k in [{_quoted(paths)}]) || ({key(paths[0])}))",
        )

    grouped = groupby(sorted(CHANGEABLE_VALUES, key=key), key)
    return tuple(rule(list(paths)) for _, paths in grouped)


def _unsuited(spec: Any) -> list[str]:
    """The numbers that a job has changed and does not have: those of another model or optimizer.

    Args:
        spec: A job's spec, which may be at fault elsewhere.
    """
    named = dict.fromkeys(path for change in spec.training.changes for path in change.values)
    return [path for path in named if path in _PART_OF and not _PART_OF[path].holds(spec)]


def suits_rule() -> Rule:
    """What changes is there: a rule of a job's spec."""
    alternatives = " || ".join(f"(k in [{_quoted(list(part.paths()))}] && ({part.cel}))" for part in _PARTS)
    known = f"!(k in [{_quoted(list(CHANGEABLE_VALUES))}])"
    return Rule(
        fields=(
            "model",
            "training.optimizer",
            "training.optimizers",
            "training.schedule",
            "training.ema",
            "training.changes",
        ),
        at="training.changes",
        holds=lambda self: not _unsuited(self),
        rule="must name numbers that this job's model and optimizers have",
        remedy="Remove those of other models, types of optimizers and schedules; an SGD needs a momentum above 0 for its momentum to change,"
        " and an average of weights (ema) for its decay.",
        cel="!has(self.training.changes)"
        f" || self.training.changes.all(c, c.values.all(k, {known} || {alternatives}))",
    )


ValueChange.rules = (_known_rule(), *_range_rules())
