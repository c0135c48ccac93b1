"""Tasks done by workers of Ray Data. Ray must have been started."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raygen import errors
from raygen.errors import RaygenError, RunError
from raygen.preparation.context import Context
from raygen.preparation.executors import Task


class RayData:
    """Does the tasks of a stage as a pipeline of Ray Data with one block for each, so that each can be anywhere.

    What a lost worker was doing Ray gives to another one; a task writes its results at once, so that twice is as good as once.

    Args:
        workers: Tasks that are done at a time.
        resources: What a task books, as Ray's `num_cpus`, `memory` and `resources`.
    """

    def __init__(self, workers: int, resources: Mapping[str, Any]) -> None:
        self._workers = workers
        self._resources = dict(resources)

    def run(
        self, task: Task, context: Context, items: Sequence[Any], done: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """What the task says of each item, in the order of the items."""
        import ray

        # Its own words are of blocks and operators, and go to whoever reads the result.
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        settings = ray.data.DataContext.get_current()
        settings.enable_progress_bars = False
        settings.print_on_execution_start = False
        works = _Works(task, context, items)
        numbers = ray.data.from_items(
            [{"number": number} for number in range(len(items))], override_num_blocks=len(items)
        )
        answers = numbers.map(works, compute=ray.data.TaskPoolStrategy(self._workers), **self._resources)
        reports: dict[int, dict[str, Any]] = {}
        try:
            for answer in answers.iter_rows():
                reports[answer["number"]] = json.loads(answer["report"])
                done(len(reports))
        except ray.exceptions.RayError as error:
            raise RunError(
                f"a worker that prepares data was lost: {str(error).strip().splitlines()[-1]}",
                where="Ray Data",
                remedy="If it had too little memory, give preparation.memoryPerWorker; the same command goes on.",
            ) from error
        ordered = [reports[number] for number in range(len(items))]
        for report in ordered:
            if "error" in report:
                raise _error(report)
        return ordered


class _Works:
    """Does a task by its number; called by Ray Data."""

    def __init__(self, task: Task, context: Context, items: Sequence[Any]) -> None:
        self._task = task
        self._context = context
        self._items = items

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number = row["number"]
        try:
            report = self._task(self._context, self._items[number])
        except RaygenError as error:
            # A mistake in the data comes again: it is told, and not tried again.
            report = {
                "error": type(error).__name__,
                "what": error.what,
                "where": error.where,
                "remedy": error.remedy,
            }
        return {"number": number, "report": json.dumps(report)}


def _error(report: Mapping[str, Any]) -> RaygenError:
    kind = getattr(errors, report["error"], RunError)
    error: RaygenError = kind(report["what"], where=report["where"], remedy=report["remedy"])
    return error
