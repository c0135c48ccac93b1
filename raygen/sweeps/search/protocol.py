"""What chooses the values of new trials, as the driver sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from raygen.sweeps.history import History

STARTING_POINT = "StartingPoint"
"""Source of what the spec's starting points are; written to the log, read back from it."""


@dataclass(frozen=True)
class Proposal:
    """A trial that is to be.

    Attributes:
        values: Values by path, of the parameters that take part.
        source: Who chose them: StartingPoint or the search's type.
    """

    values: Mapping[str, Any]
    source: str


class Search(Protocol):
    """Chooses values.

    What it proposes is a function of the space, its own settings, the seed and the history, whose trials may be running. It may remember
    what it has worked out from a history before, which has gone on since then; a new object that is given the same history
    proposes the same.
    """

    def propose(self, history: History) -> Proposal | None:
        """The next trial; None: there are no other values."""


@dataclass(frozen=True)
class Turn:
    """When something is chosen: what random numbers depend on.

    Attributes:
        number: Number that the trial will have.
        index: How many trials the same search has chosen before.
        attempt: From 0; what was chosen in the attempt before has been tried already.
    """

    number: int
    index: int
    attempt: int


class Chooser(Protocol):
    """The part of a search that differs from one to another; see `raygen.sweeps.search.distinct.Distinct` for the rest.

    Attributes:
        redraws: How often it is worth asking again in the same turn, for values that have not been tried.
    """

    redraws: int

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """Values by path, of the parameters that take part."""
