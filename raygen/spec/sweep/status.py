"""The status of a Sweep: what the operator and the driver say of it, each its own part."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from raygen.spec.schema.base import Index, ObjectName, ParameterPath, Spec, Time
from raygen.spec.status import AttemptedStatus, Measurement, Outcome, Place
from raygen.spec.sweep.pods import MOST_NAMED


class BestTrial(Spec):
    """The best trial so far; with several objectives one that no other beats in all."""

    trial: Index
    """Its number, from 0."""
    values: dict[ParameterPath, Any] = Field(default={}, max_length=64)
    """Its values by path."""
    metrics: Annotated[tuple[Measurement, ...], Field(max_length=32)] = ()
    """What it was judged by, at its newest evaluation; the objectives first."""
    checkpoint: Index | None = None
    """Step of its newest checkpoint."""
    run: Place | None = None
    """Its run directory."""


class WorkerDemand(Spec):
    """What worker pods a sweep with autoscaling has use for."""

    wanted: Index
    """How many."""
    idle: Annotated[tuple[ObjectName, ...], Field(max_length=MOST_NAMED)] = ()
    """Some that have had nothing to train for long enough."""


class SweepProgress(Spec):
    """How far the driver is; written by the driver, at most every ten seconds."""

    time: Time
    """When this was written."""
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of the driver in the sweep's directory; a head that came back begins one."""
    ray_job: ObjectName
    """The RayJob that the driver belongs to."""
    first_step: Index
    """First step that trials trained under this driver, counted over all trials."""
    step: Index
    """Steps that trials have trained, all together."""
    trials: Index
    """Trials that have begun."""
    running: Index
    """Trials that train."""
    waiting: Index
    """Trials that rest with a checkpoint."""
    completed: Index
    """Trials that were trained whole."""
    stopped: Index
    """Trials that were not worth it."""
    failed: Index
    """Trials that could not be trained."""
    said: Annotated[str, Field(max_length=64)]
    """How many have trained, for people: 12 of 50; those that rest may go on."""
    used: Annotated[float, Field(ge=0)] | None = None
    """Share of the budget that is used, of that part which is used up first."""
    remaining_seconds: Index | None = None
    """Time that the rest of the budget will take, in seconds."""
    eta: Annotated[str, Field(max_length=32)] | None = None
    """The same for people: 1h12m."""
    best: BestTrial | None = None
    """The best trial so far."""
    workers: WorkerDemand | None = None
    """What worker pods it has use for. Default: all of them."""
    front: Index | None = None
    """Trials that no other beats in all objectives, where there are several."""


class SweepStatus(AttemptedStatus):
    """What the cluster knows of a sweep. The operator writes all of it but `progress` and `outcome`, which the driver writes.
    What is not known, or does not apply, is left out.
    """

    ended_with: Annotated[str, Field(max_length=64)] | None = None
    """Digest of the spec that it ended with; a sweep that has another one goes on."""
    progress: SweepProgress | None = None
    """How far the driver is."""
    outcome: Outcome | None = None
    """How the driver ended."""
