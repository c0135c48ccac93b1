"""What only a cluster needs to know of a job: its runtime, its queue, its attempts. One machine passes over it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raygen.spec.schema.base import LabelValue, Name, PriorityClassName, Rule, Spec

Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
QueueName = Annotated[LabelValue, Field(min_length=1)]


class RuntimeRef(Spec):
    """The RaygenRuntime that a job runs with; the user who creates the job must hold the verb `use` on it."""

    name: Name = "default"
    """Its name."""


class Scheduling(Spec):
    """How a job waits for its turn, with the scheduler that its runtime names."""

    queue_name: QueueName | None = None
    """Queue: with Kueue a LocalQueue of the job's namespace, with Volcano, KAI and YuniKorn one that the runtime
    allows. Default: what the scheduler does with jobs that name none; Kueue and KAI want a name."""
    priority_class_name: PriorityClassName | None = None
    """Priority, of the classes that the runtime allows: a WorkloadPriorityClass with Kueue, else a PriorityClass.
    Default: the cluster's own."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("queue_name", "priority_class_name"),
            at="",
            holds=lambda self: self.queue_name is not None or self.priority_class_name is not None,
            rule="must have queueName, priorityClassName, or both",
            remedy="Give one of them, or remove scheduling.",
            cel="has(self.queueName) || has(self.priorityClassName)",
        ),
    )


class Attempts(Spec):
    """How often a job is started."""

    limit: Annotated[int, Field(ge=1, le=100)] = 3
    """Largest number of attempts that end by a failure. Those that were suspended, preempted or drained do not
    count."""
