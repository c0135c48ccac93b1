"""What a sweep begins with that was there before: its own log under another file, or the trials of earlier sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from raygen.errors import InputError
from raygen.spec.sweep.changes import KEPT
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.events import Ended, Event, Proposed, Reported, newest_sweep
from raygen.sweeps.history import WARM_START, Trial
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.search.places import lies_in

_ROOM = ("cpusPerWorker", "memoryPerWorker")
_SHAPES = ("path", "type", "of", "factor", "when")
"""The same of a parameter; its values may become more or fewer."""


def check_continues(events: Sequence[Event], now: Sweep, where: str) -> None:
    """Whether a sweep that is there may go on as this one.

    Budget, concurrency, search, scheduler, starting points and the values of parameters may change, and count for what is decided from
    then on. What was trained already stays what it is.

    Raises:
        InputError: something else differs.
    """
    known = newest_sweep(events)
    if known is None:
        return
    before, after = (
        _decisive(known["spec"]),
        _decisive(now.model_dump(mode="json", exclude_unset=True)["spec"]),
    )
    differing = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    if differing:
        raise InputError(
            f"the sweep that is there has another {differing[0]}, so its trials are not those of this file",
            where=where,
            remedy="Sweep under another name (--name), with spec.warmStart if it should know of these trials;"
            " or give the file what it had.",
        )


def warm_start(sweep: Sweep, space: Space, notice: Callable[[str], None]) -> list[Event]:
    """The finished trials of earlier sweeps, as events of this one.

    Raises:
        InputError: there is no sweep at one of the places.
    """
    events: list[Event] = []
    number = 0
    for uri in sweep.spec.warm_start:
        record = SweepRecord(uri)
        finished = [
            one
            for one in record.history.trials
            # What a child came to is not what its values alone would have.
            if one.state == "Completed" and one.source != WARM_START and one.parent is None
        ]
        fitting = [one for one in finished if _fits(one, sweep, space)]
        if len(fitting) < len(finished):
            left = len(finished) - len(fitting)
            notice(
                f"warm start: {left} of {len(finished)} finished trials of {uri} lie outside of this space"
            )
        for trial in fitting:
            events += _again(trial, number)
            number += 1
    return events


def _again(trial: Trial, number: int) -> Iterator[Event]:
    yield Proposed(number, dict(trial.values), WARM_START, 0.0)
    for step, values in trial.reports.items():
        yield Reported(number, step, dict(values), 0.0)
    yield Ended(number, "Completed", WARM_START, "", 0.0)


def _fits(trial: Trial, sweep: Sweep, space: Space) -> bool:
    """Whether a trial is one that this space has, and was judged by all that counts here."""
    if not lies_in(space, trial.values):
        return False
    names = {one.name for one in sweep.spec.objectives} | {one.metric for one in sweep.spec.constraints}
    return bool(trial.reports) and names <= next(reversed(trial.reports.values())).keys()


def _decisive(spec: dict[str, Any]) -> dict[str, Any]:
    """What must stay as it is, by the words of a message."""
    found = {name: spec.get(name) or None for name in KEPT}
    job = dict(spec["template"]["spec"])
    # How many cores trials have stands in the log, and memory changes nothing of them.
    scale = {key: value for key, value in job.get("scale", {}).items() if key not in _ROOM}
    found["template"] = {"spec": {**job, "scale": scale or None}}
    for one in spec["parameters"]:
        found[f"parameter {one['path']}"] = {key: one.get(key) for key in _SHAPES}
    return found
