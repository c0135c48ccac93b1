"""Replays a sweep from its log alone: every proposal and every decision is worked out again, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import open_storage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, cores_of, newest_sweep
from raygen.sweeps.history import WARM_START, History
from raygen.sweeps.policy import Begin, Policy
from raygen.sweeps.scheduling.protocol import End


@dataclass(frozen=True)
class Difference:
    """A decision that the log has otherwise.

    Attributes:
        event: Number of the event, from 1.
        logged: What the log has.
        replayed: What follows from the events before it.
    """

    event: int
    logged: Mapping[str, Any]
    replayed: Mapping[str, Any]


@dataclass(frozen=True)
class Replay:
    """What came of a replay.

    Attributes:
        events: Events of the log.
        drivers: Drivers that wrote them.
        proposals: Proposals that were worked out again.
        decisions: Other decisions: which trial goes on and until when, and which ends.
        differences: Those that the log has otherwise.
    """

    events: int
    drivers: int
    proposals: int
    decisions: int
    differences: tuple[Difference, ...]


def replay(uri: str) -> Replay:
    """Works out every proposal of a sweep again, in the order of its log.

    Raises:
        InputError: there is no sweep.
        OutputError: its log is damaged.
    """
    return replayed(SweepDirectory(open_storage(uri)).read_known())


def replayed(events: Sequence[Event]) -> Replay:
    """The same for a log that was read."""
    policy, history = opened(events[:1])
    proposals = decisions = drivers = 0
    differences: list[Difference] = []
    until: int | None = None
    for number, event in enumerate(events, 1):
        if isinstance(event, Began):
            drivers += 1
            if event.sweep is not None and number > 1:
                policy, history = opened(events[:number])
                continue
        else:
            logged = _decision(event, history)
            if logged is not None:
                proposals += isinstance(event, Proposed)
                decisions += not isinstance(event, Proposed)
                found = _decided(policy, history)
                # Of a proposal that follows in its first lease.
                until = found.pop("until", None) if isinstance(event, Proposed) else None
                if found != logged:
                    differences.append(Difference(number, logged, found))
            elif isinstance(event, Leased) and event.until != until:
                logged, found = {"do": "Begin", "until": event.until}, {"do": "Begin", "until": until}
                differences.append(Difference(number, logged, found))
        if number > 1 or not isinstance(event, Began):
            history.take(event)
    return Replay(len(events), drivers, proposals, decisions, tuple(differences))


def opened(events: Sequence[Event]) -> tuple[Policy, History]:
    """The policy of a sweep as its newest driver has it, and what is known after these events, of which the first begins it."""
    policy = Policy(parse_kind(Sweep, newest_sweep(events)), cores_of(events) or 1)
    history = policy.history()
    for event in events:
        history.take(event)
    return policy, history


def _decision(event: Event, history: History) -> dict[str, Any] | None:
    """What a policy has decided, as the log has it; None where the event is none of its decisions."""
    if isinstance(event, Proposed) and event.source != WARM_START:
        return {"do": "Begin", "values": dict(event.values), "source": event.source, **_born(event)}
    if isinstance(event, Leased):
        trial = history.trials[event.trial]
        if trial.step > trial.parent_step or trial.reason:
            return {"do": "Train", "trial": event.trial, "until": event.until}
    if isinstance(event, Ended) and event.state == "Stopped":
        return {"do": "End", "trial": event.trial, "reason": event.reason}
    return None


def _born(one: Proposed | Begin) -> dict[str, Any]:
    """Whose training a new trial goes on with, where it does."""
    if one.parent is None and one.replaces is None:
        return {}
    return {"parent": one.parent, "step": one.parent_step, "replaces": one.replaces}


def _decided(policy: Policy, history: History) -> dict[str, Any]:
    decision = policy.next(history)
    if decision is None:
        return {"do": "Nothing"}
    if isinstance(decision, Begin):
        values = dict(decision.values)
        return {
            "do": "Begin",
            "values": values,
            "source": decision.source,
            "until": decision.until,
            **_born(decision),
        }
    if isinstance(decision, End):
        return {"do": "End", "trial": decision.trial, "reason": decision.reason}
    return {"do": "Train", "trial": decision.trial, "until": decision.until}
