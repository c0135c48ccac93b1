"""Tasks done by workers of Ray Data. Ray must have been started."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from raygen.errors import RaygenError
from raygen.pipelines.execution import dataset_of, document_of, error_of, losses_explained
from raygen.preparation.context import Context
from raygen.preparation.executors import Done, Task

_REMEDY = "If it had too little memory, give preparation.memoryPerWorker; the same command goes on."


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

    def run(self, task: Task, context: Context, items: Sequence[Any], done: Done) -> list[dict[str, Any]]:
        """What the task says of each item, in the order of the items."""
        import ray

        works = _Works(task, context, items)
        numbers = dataset_of([{"number": number} for number in range(len(items))])
        # More than there are tasks Ray takes for a mistake, and warns of.
        pool = ray.data.TaskPoolStrategy(min(self._workers, len(items)))
        answers = numbers.map(works, compute=pool, **self._resources)
        reports: dict[int, dict[str, Any]] = {}
        with losses_explained("prepares data", _REMEDY):
            for answer in answers.iter_rows():
                report = json.loads(answer["report"])
                if "error" in report:
                    # At once: the other tasks may take hours, and change nothing of it.
                    raise error_of(report)
                reports[answer["number"]] = report
                done(len(reports), report)
        return [reports[number] for number in range(len(items))]


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
            report = document_of(error)
        return {"number": number, "report": json.dumps(report)}
