"""Guards: what is watched while training, and what happens when it goes wrong."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from raygen.spec.schema.base import Count, Index, NonNegative, Rule, Share, Spec, Tagged


class Guard(Tagged):
    """Something that is watched, and what to do when it goes wrong."""

    type: Literal[
        "NonFiniteLoss",
        "LossSpike",
        "TextRepetition",
        "ModeCollapse",
        "PosteriorCollapse",
        "DiscriminatorOverpowering",
    ]
    """NonFiniteLoss: a loss or the norm of its gradient is NaN or infinite. LossSpike: the loss is `threshold` robust deviations (1.4826 x
    median absolute deviation) above the median of the last `window` steps. TextRepetition: in the samples more
    than the share `threshold` of the word 4-grams are repeats (Welleck et al. 2020, seq-rep-4). ModeCollapse:
    the generated batch varies less than the share `threshold` of the real one. PosteriorCollapse: fewer than
    `threshold` latent variables are active (Burda et al. 2016). DiscriminatorOverpowering: the discriminator is
    right on more than the share `threshold` of images."""
    action: Literal["Stop", "RollBack", "Warn"]
    """Stop: the run fails, with its newest good checkpoint kept. RollBack: it goes back to the newest checkpoint
    from before the trouble and goes on with a lower learning rate (`training.rollBack`). Warn: a notice says so, and the run goes on."""
    threshold: NonNegative | None = None
    """Limit. Default: 10 deviations for LossSpike, 0.8 for TextRepetition, 0.05 for ModeCollapse, 1 for
    PosteriorCollapse, 0.99 for DiscriminatorOverpowering."""
    patience: Count | None = None
    """Observations in a row beyond the limit before the guard acts: steps, or for TextRepetition samplings.
    Default: 5 for LossSpike, 1 for TextRepetition, else 200."""
    after_steps: Index | None = None
    """Length of the start that is not watched, in steps. Default: 500 for those with a patience of 200, else 0."""
    window: Annotated[int, Field(ge=20, le=100_000)] | None = None
    """Window of recent losses that LossSpike compares with, in steps; active once half full. Default: 200."""

    list_key: ClassVar[str | None] = "type"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "threshold": (
            "LossSpike",
            "TextRepetition",
            "ModeCollapse",
            "PosteriorCollapse",
            "DiscriminatorOverpowering",
        ),
        "patience": (
            "LossSpike",
            "TextRepetition",
            "ModeCollapse",
            "PosteriorCollapse",
            "DiscriminatorOverpowering",
        ),
        "after_steps": (
            "LossSpike",
            "TextRepetition",
            "ModeCollapse",
            "PosteriorCollapse",
            "DiscriminatorOverpowering",
        ),
        "window": ("LossSpike",),
    }


Guard.rules = Guard.foreign_rules()


class NonFiniteLoss(Guard):
    """Resolved: needs no settings."""

    type: Literal["NonFiniteLoss"]


class LossSpike(Guard):
    """Resolved."""

    type: Literal["LossSpike"]
    threshold: NonNegative = 10.0
    patience: Count = 5
    after_steps: Index = 0
    window: Annotated[int, Field(ge=20, le=100_000)] = 200


class TextRepetition(Guard):
    """Resolved."""

    type: Literal["TextRepetition"]
    threshold: NonNegative = 0.8
    patience: Count = 1
    after_steps: Index = 0


class SlowGuard(Guard):
    """Resolved: what may look wrong for a while, and at the start."""

    patience: Count = 200
    after_steps: Index = 500


class ModeCollapse(SlowGuard):
    """Resolved."""

    type: Literal["ModeCollapse"]
    threshold: NonNegative = 0.05


class PosteriorCollapse(SlowGuard):
    """Resolved."""

    type: Literal["PosteriorCollapse"]
    threshold: NonNegative = 1.0


class DiscriminatorOverpowering(SlowGuard):
    """Resolved."""

    type: Literal["DiscriminatorOverpowering"]
    threshold: NonNegative = 0.99


ResolvedGuard = Annotated[
    NonFiniteLoss | LossSpike | TextRepetition | ModeCollapse | PosteriorCollapse | DiscriminatorOverpowering,
    Field(discriminator="type"),
]
GUARDS: tuple[str, ...] = get_args(Guard.model_fields["type"].annotation)
"""Every type of guard."""


class RollBack(Spec):
    """How a guard with the action RollBack goes back."""

    limit: Count = 3
    """How often a run goes back; the next time it stops."""
    learning_rate_factor: Share = 0.5
    """Factor of all learning rates, once more each time."""


def guards_rule(at: str = "guards") -> Rule:
    """A type is there once."""
    return Rule(
        fields=("guards",),
        at=at,
        holds=lambda self: self.guards is None or len({g.type for g in self.guards}) == len(self.guards),
        rule="must have types that differ",
        remedy="Keep one guard of each type.",
        cel="!has(self.guards) || self.guards.all(a, self.guards.exists_one(b, a.type == b.type))",
    )
