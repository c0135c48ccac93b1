"""What all searches have in common: starting points come first, and nothing is tried twice that can be listed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.sweeps.history import History, Trial
from raygen.sweeps.search.lattice import Lattice, Untried
from raygen.sweeps.search.protocol import STARTING_POINT, Chooser, Proposal, Turn


class Distinct:
    """A search; see `raygen.sweeps.search.protocol.Search`.

    Starting points that have not been tried come first, in their order. In a space that can be listed (or on a grid), a
    point that was tried is not proposed again while others are left: the chooser is asked again some times, then the next point
    in the grid's order that was not tried is taken.

    Args:
        space: What varies.
        starting_points: Values to try first.
        source: The search's type.
        chooser: Chooses.
        on_grid: Whether only points of the grid are proposed.
    """

    def __init__(
        self,
        space: Space,
        starting_points: Sequence[Values],
        source: str,
        chooser: Chooser,
        *,
        on_grid: bool = False,
    ) -> None:
        self._space = space
        self._starting = tuple(space.completed(one) for one in starting_points)
        self._source = source
        self._chooser = chooser
        self._listed = on_grid or space.is_listed
        self._history: History | None = None
        self._begin()

    def _begin(self) -> None:
        self._seen = self._chosen = 0
        self._left = {_key(one): one for one in self._starting}
        self._untried = Untried(Lattice(self._space))

    def propose(self, history: History) -> Proposal | None:
        """See `raygen.sweeps.search.protocol.Search`."""
        if history is not self._history:
            self._history = history
            self._begin()
        for trial in history.trials[self._seen :]:
            self._take(trial)
        self._seen = len(history.trials)
        if self._left:
            return Proposal(next(iter(self._left.values())), STARTING_POINT)
        values = self._chooser.choose(history, Turn(self._seen, self._chosen, 0))
        if not self._listed:
            return Proposal(values, self._source)
        for attempt in range(1, self._chooser.redraws + 1):
            if values in self._untried:
                break
            values = self._chooser.choose(history, Turn(self._seen, self._chosen, attempt))
        if values in self._untried:
            return Proposal(values, self._source)
        other = self._untried.after(values)
        if other is not None:
            return Proposal(other, self._source)
        return Proposal(values, self._source) if self._untried.are_many else None

    def _take(self, trial: Trial) -> None:
        self._chosen += trial.source == self._source
        if self._left:
            self._left.pop(_key(trial.values), None)
        if self._listed:
            self._untried.remove(trial.values)


def _key(values: Values) -> str:
    return json.dumps(values, sort_keys=True)
