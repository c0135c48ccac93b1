"""A sweep as its page looks at it: names of parameters, kinds of trials, and what these have come to, as they reported it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from raygen.report.axis import Axis, category_axis, linear_axis, logarithmic_axis
from raygen.report.chart import LARGEST, spread
from raygen.report.wording import label
from raygen.spec.sweep.domains import Choice, Domain, Real, same
from raygen.sweeps.events import Ended, Event, Reported
from raygen.sweeps.history import WARM_START, History, Trial
from raygen.sweeps.record import SweepRecord, ranked, standing

Kind = Literal[
    "completed", "stopped early", "waiting or running", "breaks a constraint", "of an earlier sweep", "failed"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHOWN_CHARACTERS = 60
"""Characters of a value that are shown."""
FAR = 10.0
"""An axis of an objective ends before the worst tenth, if that would make it so many times as long."""
MARGIN = 0.05
"""What an axis of an objective has beyond its values, as a share of their range."""
RESERVED = ("trial", "state", "step", "source", "why", "run")
"""Columns of tables that are neither metrics nor parameters."""


@dataclass(frozen=True)
class Judged:
    """A trial and what it has come to.

    Attributes:
        trial: The trial.
        kind: What became of it.
        values: Each objective as it was reported last.
        at: When that was, in seconds that the sweep has been at work.
    """

    trial: Trial
    kind: Kind
    values: tuple[float, ...]
    at: float


class View:
    """A sweep as its page looks at it.

    Args:
        record: The sweep.

    Attributes:
        record: The sweep.
        history: What is known of it.
        names: Short names of parameters by path, no two alike.
        domains: Values of the parameters by path, without those that follow others.
        judged: Trials that have reported their objectives and did not fail, by number.
        failed: Trials that have failed, by number.
        ordered: All trials with the best first, as tables have them.
        ranks: Places of judged trials among each other by number, 0 for the best.
        best: The best trials, by the first objective.
    """

    def __init__(self, record: SweepRecord) -> None:
        self.record, self.history = record, record.history
        self.domains: dict[str, Domain] = {one.path: one for one in record.space.domains}
        self.objectives = record.sweep.spec.objectives
        taken = (*RESERVED, *(one.name for one in self.objectives), *record.sweep.spec.metrics)
        self.names = short_names([one.path for one in record.sweep.spec.parameters], taken)
        times = _times(record.events)
        self.judged: list[Judged] = []
        self.failed: list[Trial] = []
        for trial in self.history.trials:
            score = self.history.score(trial)
            if trial.state == "Failed":
                self.failed.append(trial)
            elif score is not None:
                values = tuple(one.sign * part for one, part in zip(self.objectives, score, strict=True))
                kind = _kind(trial, self.history)
                self.judged.append(Judged(trial, kind, values, times.get(trial.number, 0.0)))
        seen = {one.trial.number for one in self.judged}
        self.ordered = ranked(self.history)
        places = enumerate(one.number for one in self.ordered if one.number in seen)
        self.ranks = {number: place for place, number in places}
        self.best = sorted(record.best, key=lambda one: (self.history.score(one) or (), one.number))

    def ranked(self, objective: int) -> list[Judged]:
        """Judged trials with the best first, of which one objective decides where the trials are alike in length."""
        sign = self.objectives[objective].sign
        return sorted(
            self.judged,
            key=lambda one: (
                *standing(one.trial, self.history),
                sign * one.values[objective],
                one.trial.number,
            ),
        )

    def bounded(self, limit: int) -> tuple[list[Judged], str]:
        """At most so many judged trials by number, a quarter of them the best, the others evenly spread; and what was left out."""
        if len(self.judged) <= limit:
            return self.judged, ""
        chosen = sorted(self.judged, key=lambda one: self.ranks[one.trial.number])
        first, others = chosen[: limit // 4], sorted(chosen[limit // 4 :], key=lambda one: one.trial.number)
        kept = first + [others[number] for number in spread(len(others), limit - len(first))]
        text = f"{len(kept):,} of {len(self.judged):,} trials are drawn, the best {len(first):,} among them"
        return sorted(kept, key=lambda one: one.trial.number), text

    def objective_axis(self, objective: int, values: Sequence[float]) -> Axis:
        """An axis for values of an objective, of which the worst are left out where they would flatten the others."""
        sign = self.objectives[objective].sign
        ordered = sorted((one for one in values if abs(one) <= LARGEST), key=lambda one: sign * one) or [0.0]
        best, worst, far = ordered[0], ordered[-1], ordered[int(0.9 * (len(ordered) - 1))]
        end = best + 1.5 * (far - best) if abs(worst - best) > FAR * abs(far - best) > 0 else worst
        margin = MARGIN * abs(end - best)
        return linear_axis(min(best, end) - margin, max(best, end) + margin)


def short_names(paths: Sequence[str], taken: Sequence[str] = ()) -> dict[str, str]:
    """The shortest ends of paths that are not alike, and are none of the names that are taken."""
    names: dict[str, str] = {}
    for path in paths:
        parts = path.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [one for one in paths if one != path]
        names[path] = next(
            (
                end
                for end in ends
                if end not in taken and not any(one == end or one.endswith(f".{end}") for one in others)
            ),
            path,
        )
    return names


def shown(value: JsonValue) -> str:
    """A value of a parameter in a few characters."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, float) and not value.is_integer():
        text = f"{value:.4g}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = label(value)
    else:
        text = json.dumps(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


class Positions:
    """Where the values of a parameter are on an axis.

    Args:
        domain: The values that the parameter has now.
        values: Those that it had in trials, which may lie elsewhere.

    Attributes:
        axis: The axis.
    """

    def __init__(self, domain: Domain, values: Sequence[JsonValue]) -> None:
        self._listed: list[JsonValue] | None = None
        if isinstance(domain, Choice):
            self._listed = list(domain.values)
            for value in values:
                if not any(same(value, one) for one in self._listed):
                    self._listed.append(value)
            self.axis = category_axis([shown(one) for one in self._listed])
            return
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        low, high = min(domain.low, *numbers, domain.high), max(domain.high, *numbers, domain.low)
        if domain.log and low > 0:
            self.axis = logarithmic_axis(low, high)
        else:
            self.axis = linear_axis(low, high, whole=not isinstance(domain, Real))

    @property
    def are_categories(self) -> bool:
        """Whether values have no order."""
        return self._listed is not None

    def of(self, value: JsonValue) -> float | None:
        """The place of a value; None where it has none."""
        if self._listed is not None:
            return next((float(n) for n, one in enumerate(self._listed) if same(value, one)), None)
        if not isinstance(value, int | float) or (self.axis.logarithmic and value <= 0):
            return None
        return float(value)


def _kind(trial: Trial, history: History) -> Kind:
    if trial.source == WARM_START:
        return "of an earlier sweep"
    if not history.is_feasible(trial):
        return "breaks a constraint"
    if trial.state == "Completed":
        return "completed"
    return "stopped early" if trial.state == "Stopped" else "waiting or running"


def _times(events: Sequence[Event]) -> Mapping[int, float]:
    """When each trial last reported."""
    times: dict[int, float] = {}
    for event in events:
        if isinstance(event, Reported) or (isinstance(event, Ended) and event.trial not in times):
            times[event.trial] = event.at
    return times
