"""Who does the tasks of a stage: this process, one after the other, or workers of Ray Data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from raygen.preparation.context import Context

Task = Callable[[Context, Any], dict[str, Any]]
"""Does one piece of work, which is small and can be sent to another process, and says what it did."""
Done = Callable[[int, Mapping[str, Any]], None]
"""Told once for each piece, in any order: how many are done, and what its task said. What it raises ends the stage."""


class Executor(Protocol):
    """Does the tasks of a stage, in any order."""

    def run(self, task: Task, context: Context, items: Sequence[Any], done: Done) -> list[dict[str, Any]]:
        """What the task says of each item, in the order of the items.

        Args:
            task: A function of a module, so that other processes find it.
            context: Given to each.
            items: The pieces of work.
            done: Told of each.

        Raises:
            RaygenError: the first that a task raised, as soon as it is known; what other tasks do then is not waited for.
        """


class InProcess:
    """Does them here, one after the other."""

    def run(self, task: Task, context: Context, items: Sequence[Any], done: Done) -> list[dict[str, Any]]:
        """What the task says of each item, in order."""
        reports = []
        for number, item in enumerate(items, start=1):
            reports.append(task(context, item))
            done(number, reports[-1])
        return reports
