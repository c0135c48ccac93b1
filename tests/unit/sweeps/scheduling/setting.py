"""Sweeps for tests of schedulers: what is trained is a table of learning curves, and only the scheduler decides."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.events import Event
from raygen.sweeps.history import History, Trial
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Decision, Train
from tests.sweeps import a_sweep
from tests.unit.sweeps.simulated import LOSS, Simulation, Values

Curve = Callable[[int], float]


def spec_of(scheduler: Mapping[str, Any], steps: int = 54, every: int = 2) -> SweepSpec:
    """A sweep with this scheduler over a job of so many steps."""
    return a_sweep(
        scheduler=dict(scheduler),
        template__spec__training__duration={"steps": steps},
        template__spec__evaluation__everySteps=every,
    ).spec


def simulation(
    scheduler: Mapping[str, Any],
    curves: Sequence[Curve],
    steps: int = 54,
    every: int = 2,
    **more: Any,
) -> Simulation:
    """A sweep whose trials are these curves, in their order."""
    spec = spec_of(scheduler, steps, every)

    def propose(history: History) -> Values | None:
        number = len(history.trials)
        return {"curve": number} if number < len(curves) else None

    def objective(values: Values, step: int) -> Mapping[str, float]:
        return {"loss": curves[values["curve"]](step)}

    return Simulation(lambda: open_scheduler(spec), objective, propose, steps, every, len(curves), **more)


def flat(*levels: float) -> list[Curve]:
    """Curves that stay where they begin."""
    return [lambda step, level=level: level for level in levels]  # type: ignore[misc]


def power_laws(seed: int, count: int = 100, steps: int = 2000) -> list[Curve]:
    """Learning curves that fall as powers of time, with noise; how fast, how far and from where differ, so that they cross."""
    generator = np.random.default_rng(seed)

    def curve() -> Curve:
        end = 1.5 + 0.6 * abs(generator.normal())
        power, fall = generator.uniform(0.3, 1.6), generator.uniform(0.3, 2.5)
        fall *= 0.5 if generator.random() < 0.5 else 1.0
        noise = 0.01 * generator.normal(size=steps + 1)
        last, first = 1.02**-power, (1 / 27 + 0.02) ** -power

        def at(step: int) -> float:
            return float(end + fall * ((step / steps + 0.02) ** -power - last) / (first - last) + noise[step])

        return at

    return [curve() for _ in range(count)]


def history_of(events: Iterable[Event]) -> History:
    """What is known after these events."""
    history = History((LOSS,))
    for event in events:
        history.take(event)
    return history


def decisions(scheduler: Mapping[str, Any], curves: Sequence[Curve], **more: Any) -> list[Decision]:
    """All decisions of a sweep, one worker and nothing going wrong."""
    made: list[Decision] = []

    def heard(_: Simulation, decision: Decision | None, may_begin: bool) -> None:
        if decision is not None:
            made.append(decision)

    simulation(scheduler, curves, decided=heard, **more).run()
    return made


def short(made: Iterable[Decision]) -> list[tuple[int | None, int | str | None]]:
    """Decisions as pairs: which trial, and until when or why it ends."""
    return [(one.trial, one.until if isinstance(one, Train) else one.reason) for one in made]


def promotable(
    history: History, trials: Iterable[Trial], lengths: Sequence[int], reduction: int
) -> dict[int, int]:
    """Trials of a bracket that may go on from a rung by algorithm 2 of Li et al. 2020, each with its rung's length; as simple as can be."""
    found: dict[int, int] = {}
    bracket = [one for one in trials if one.state != "Failed"]
    for length in lengths[:-1]:
        came = [
            one
            for one in bracket
            if length in one.reports and not (one.state == "Running" and one.until == length)
        ]
        came.sort(
            key=lambda one: (not history.is_feasible(one, length), history.score(one, length), one.number)
        )
        for one in came[: len(came) // reduction]:
            if one.state == "Waiting" and max(one.step, *one.reports) <= length:
                found[one.number] = length
    return found


def next_of(lengths: Sequence[int], length: int) -> int | None:
    """The lease that leads beyond a length."""
    place = bisect_left(lengths, length) + 1
    return lengths[place] if place < len(lengths) - 1 else None
