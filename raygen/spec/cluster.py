"""What only a cluster needs to know of a job: its runtime, its queue, its attempts. One machine passes over it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from raygen.spec.base import LabelValue, Name, Spec

Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
QueueName = Annotated[LabelValue, Field(min_length=1)]


class RuntimeRef(Spec):
    """The RaygenRuntime that a job runs with; whoever makes the job must hold the verb `use` on it."""

    name: Name = "default"
    """Its name."""


class Scheduling(Spec):
    """How a job waits for its turn."""

    queue_name: QueueName
    """Queue of the job's namespace (Kueue's LocalQueue)."""


class Attempts(Spec):
    """How often a job is started."""

    limit: Annotated[int, Field(ge=1, le=100)] = 3
    """Largest number of attempts that end by a failure. Those that were suspended, preempted or drained do not
    count."""
