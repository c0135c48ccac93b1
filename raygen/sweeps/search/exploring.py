"""Which values a trial goes on with that takes over another one's training: PBT's perturbation, or PB2's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from raygen.spec.sweep.domains import Choice, Domain, Integer, is_number
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.history import History
from raygen.sweeps.scheduling.protocol import Fork
from raygen.sweeps.search.places import index_of
from raygen.sweeps.search.seeds import Use, generator

if TYPE_CHECKING:
    import numpy as np

RESAMPLED = 0.25
"""Chance that a value is drawn from its whole range."""
FACTORS = (0.8, 1.2)
"""What a value is multiplied by otherwise (Jaderberg et al. 2017, section 4.1.1)."""
LEAST_SHARE = 0.1
"""A number on a linear scale moves as if it were at least this share of its range, so that 0 is no trap."""
DRAWS = 8
"""How often values are drawn that are not those of the parent."""


class Explorer(Protocol):
    """Chooses values for a trial that goes on with another one's training.

    What it chooses is a function of its settings, the seed and the history, as with `raygen.sweeps.search.protocol.Search`.
    """

    def explore(self, history: History, fork: Fork) -> dict[str, Any]:
        """Values by path."""


def open_explorer(spec: SweepSpec, space: Space) -> Explorer | None:
    """The explorer that a spec asks for; None without a population.

    Args:
        spec: A valid sweep.
        space: What varies.
    """
    kind, steps = spec.scheduler.type, spec.template.spec.training.duration.steps
    if kind == "PB2" and spec.scheduler.first_steps is not None and steps is not None:
        from raygen.sweeps.search.models.bandit import Bandit

        return Bandit(space, spec.seed, spec.scheduler.first_steps, steps)
    return Perturbation(space, spec.seed) if kind == "PBT" else None


class Perturbation:
    """Draws a value from its whole range with a chance of 1/4, and else makes it a fifth larger or smaller (Jaderberg et al. 2017).

    A fifth is one of the number itself; on a linear scale one of at least a tenth of the range. Whole numbers move by at least a
    step; a Choice moves to a neighbour in its list.

    Args:
        space: What varies.
        seed: The sweep's.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed

    def explore(self, history: History, fork: Fork) -> dict[str, Any]:
        """See `Explorer`."""
        known = history.trials[fork.parent].values
        values = dict(known)
        for attempt in range(DRAWS):
            draws = generator(self._seed, Use.EXPLORE, len(history.trials), attempt)
            values = {
                one.path: _explored(one, known.get(one.path), draws.random(3)) for one in self._space.domains
            }
            if values != known:
                break
        return values


def _explored(domain: Domain, value: Any, draws: np.ndarray) -> Any:
    """Another value.

    Args:
        domain: What it may be.
        value: What it was; it may lie outside of a space that has been changed.
        draws: Three numbers from 0 to 1: whether it is drawn from the whole range, which then, and whether it grows else.
    """
    if draws[0] < RESAMPLED or value not in domain or not is_number(value):
        return domain.at(float(draws[1]))
    grows = bool(draws[2] < 0.5)
    if isinstance(domain, Choice):
        place = index_of(domain, value)
        last = len(domain.values) - 1
        # From an end there is one neighbour.
        grows = place == 0 or (grows and place < last)
        return domain.values[min(max(place + (1 if grows else -1), 0), last)]
    moved = value * FACTORS[grows]
    if not domain.log:
        share = max(abs(value), LEAST_SHARE * (domain.high - domain.low))
        moved = value + (FACTORS[grows] - 1) * share
    if not isinstance(domain, Integer):
        return min(max(moved, domain.low), domain.high)
    steps = round((moved - value) / domain.step) or (1 if grows else -1)
    return min(max(int(value) + steps * domain.step, domain.low), domain.high)
