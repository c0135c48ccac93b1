"""Who does the tasks of a stage: this process, one after the other, or workers of Ray Data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from raygen.preparation.context import Context

Task = Callable[[Context, Any], dict[str, Any]]
"""Does one piece of work, which is small and can be sent to another process, and says what it did."""


class Executor(Protocol):
    """Does the tasks of a stage, in any order."""

    def run(
        self, task: Task, context: Context, items: Sequence[Any], done: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """What the task says of each item, in the order of the items.

        Args:
            task: A function of a module, so that other processes find it.
            context: Given to each.
            items: The pieces of work.
            done: Told after each how many are done.

        Raises:
            RaygenError: the first that a task raised.
        """


class InProcess:
    """Does them here, one after the other."""

    def run(
        self, task: Task, context: Context, items: Sequence[Any], done: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """What the task says of each item, in order."""
        reports = []
        for number, item in enumerate(items, start=1):
            reports.append(task(context, item))
            done(number)
        return reports
