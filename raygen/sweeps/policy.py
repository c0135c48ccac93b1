"""What a sweep does next: its search, its scheduler and its budget put together, as a function of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.history import History, Trial
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import End, Fork, Train
from raygen.sweeps.search.exploring import open_explorer
from raygen.sweeps.search.opening import open_search

HOUR = 3600.0


@dataclass(frozen=True)
class Begin:
    """Have a new trial begin.

    Attributes:
        values: Values by path.
        source: Who chose them.
        until: The step at which it is to come back; None: at its end.
        parent: The trial whose training it goes on with; None: it begins by itself.
        parent_step: After how many steps of that.
        replaces: The trial whose place in a population it takes; None: that of no other.
    """

    values: Mapping[str, Any]
    source: str
    until: int | None
    parent: int | None = None
    parent_step: int = 0
    replaces: int | None = None


class Policy:
    """Decides what a sweep does next.

    Args:
        sweep: The sweep.
        cores: Cores of each trial.
        where: Its file, for messages.

    Attributes:
        space: What it varies.
        sweep: The sweep.
        cores: Cores of each trial.

    Raises:
        ValidationError: parameters do not fit the template or each other.
    """

    def __init__(self, sweep: Sweep, cores: int, where: str = "") -> None:
        self.space = Space(sweep, where)
        self.sweep, self.cores = sweep, cores
        self._spec = sweep.spec
        self._search = open_search(sweep.spec, self.space)
        self._scheduler = open_scheduler(sweep.spec)
        self._explorer = open_explorer(sweep.spec, self.space)

    def history(self) -> History:
        """An empty one."""
        return History(self._spec.objectives, self._spec.constraints)

    def next(self, history: History) -> Begin | Train | End | None:
        """What is to be done now that a worker is free; None: nothing, until a running trial says something.

        It depends on the history alone: the same log gives the same decisions.
        """
        if self.used_up(history) is not None:
            return None
        begun = len(history.trials) - history.known
        limit = self._spec.budget.trials
        decision = self._scheduler.decide(history, may_begin=limit is None or begun < limit)
        if isinstance(decision, Fork):
            if self._explorer is None:
                raise AssertionError(
                    "a scheduler without a population has a trial go on with another one's training"
                )
            values = self._explorer.explore(history, decision)
            born = (decision.parent, decision.step, decision.replaces)
            return Begin(values, self._spec.scheduler.type, decision.until, *born)
        if not isinstance(decision, Train) or decision.trial is not None:
            return decision
        proposal = self._search.propose(history)
        if proposal is None:
            other = self._scheduler.decide(history, may_begin=False)
            if isinstance(other, Fork) or (isinstance(other, Train) and other.trial is None):
                raise AssertionError("a scheduler begins a trial that may not begin")
            return other
        return Begin(proposal.values, proposal.source, decision.until)

    def document(self, history: History, trial: Trial, name: str) -> dict[str, Any]:
        """The job of a trial, as JSON values, unchecked: that of the first of its line, whose numbers change where the next one began.

        Args:
            history: What is known.
            trial: Which.
            name: Of the job and its run.
        """
        line = history.lineage(trial)
        document = self.space.document(line[0].values, name)
        changes = []
        for before, after in pairwise(line):
            old, new = self.space.written(before.values), self.space.written(after.values)
            values = {path: value for path, value in new.items() if value != old.get(path)}
            if values:
                changes.append({"atStep": after.parent_step, "values": values})
        if changes:
            document["spec"]["training"]["changes"] = changes
        return document

    def used_up(self, history: History, now: float | None = None) -> str | None:
        """Which budget of time or money is used up, in words, or None.

        Args:
            history: What is known.
            now: Seconds that the sweep has been at work. Default: by the newest event.
        """
        budget, gpus = self._spec.budget, self._spec.gpus_per_trial
        now = history.now if now is None else max(now, history.now)
        trained = history.seconds_by(now)
        hours = trained / HOUR
        if budget.hours is not None and now >= budget.hours * HOUR:
            return f"the sweep has been at work for {budget.hours:g} hours"
        if budget.gpu_hours is not None and hours * gpus >= budget.gpu_hours:
            return f"trials have held GPUs for {budget.gpu_hours:g} hours"
        if budget.cost is not None and self._spent(trained) >= budget.cost.limit:
            return f"trials have cost {budget.cost.limit:g}"
        return None

    def share_used(self, history: History) -> float:
        """How much of the budget is used, of that part which is used up first; from 0 to 1, or a little more."""
        budget = self._spec.budget
        hours, cost = history.seconds / HOUR, self.cost(history)
        trained = len(history.trials) - history.known - history.running
        shares = [
            trained / budget.trials if budget.trials else 0.0,
            history.now / HOUR / budget.hours if budget.hours else 0.0,
            hours * self._spec.gpus_per_trial / budget.gpu_hours if budget.gpu_hours else 0.0,
            cost / budget.cost.limit if budget.cost is not None and cost is not None else 0.0,
        ]
        return max(shares)

    def cost(self, history: History) -> float | None:
        """What trials have cost, where the budget has prices."""
        return None if self._spec.budget.cost is None else self._spent(history.seconds)

    def _spent(self, seconds: float) -> float:
        """What so much training of a trial has cost, by the prices of the budget."""
        prices, spec = self._spec.budget.cost, self._spec
        if prices is None:
            return 0.0
        cores = self.cores * spec.template.spec.scale.workers
        return seconds / HOUR * (spec.gpus_per_trial * prices.per_gpu_hour + cores * prices.per_core_hour)
