"""Jobs with a preparation, and executors that do their tasks in another order or stop in the middle."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raygen.data.shards.dataset import PreparedData
from raygen.preparation.context import Context
from raygen.preparation.executors import Done, InProcess, Task
from raygen.preparation.pipeline import Prepared, prepare
from raygen.spec import ResolvedJob, parse, resolve
from tests.jobs import image_job_document, job_document

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "was",
    "his",
    "he",
    "it",
    "with",
    "is",
    "for",
    "as",
    "had",
    "you",
    "not",
    "be",
    "her",
    "on",
    "at",
    "by",
    "which",
    "have",
    "or",
    "from",
]


def documents(count: int, seed: int = 0, words: int = 60) -> list[str]:
    """Texts of words that are drawn, of different lengths."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, words))) + "\n" for _ in range(count)]


def write_lines(path: Path, texts: Sequence[str]) -> None:
    """Texts as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def text_job(**changes: Any) -> ResolvedJob:
    """A job on JSON lines in `lines/`, prepared in `prepared/`."""
    defaults: dict[str, Any] = {
        "data__train": {"sources": [{"uri": "lines", "format": "JsonLines"}]},
        "data__validation": {"fraction": 0.1},
        "data__tokenizer": {"type": "Byte"},
        "preparation": {"uri": "prepared", "shardMegabytes": 1, "shardsPerWindow": 2},
    }
    return resolve(parse(job_document(**defaults | changes)))


def image_job(**changes: Any) -> ResolvedJob:
    """A job on the images of `tests.jobs.image_job_document`, prepared in `prepared/`."""
    defaults: dict[str, Any] = {"preparation": {"uri": "prepared", "shardMegabytes": 1, "shardsPerWindow": 2}}
    return resolve(parse(image_job_document("VAE", **defaults | changes)))


def prepared(job: ResolvedJob, base: Path, executor: Any = None) -> Prepared:
    """The data set of a job."""
    return prepare(job, base, executor or InProcess())


def opened(job: ResolvedJob, base: Path) -> PreparedData:
    """Prepares the data of a job if need be, and opens it."""
    prepared(job, base)
    return PreparedData(job, base)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Killed(BaseException):
    """What a test raises where a process would be killed."""


class Shuffled:
    """Does the tasks of a stage in an order that is drawn, some of them twice, as after the loss of a worker."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def run(self, task: Task, context: Context, items: Sequence[Any], done: Done) -> list[dict[str, Any]]:
        numbers = list(range(len(items)))
        numbers += self._draw.sample(numbers, len(numbers) // 2)
        self._draw.shuffle(numbers)
        reports = {}
        for number in numbers:
            again = number in reports
            reports[number] = task(Context(context.document, context.base, context.recipe), items[number])
            if not again:
                done(len(reports), reports[number])
        return [reports[number] for number in range(len(items))]


class Interrupted:
    """Does the tasks of all stages in order, and something else once, after so many of them."""

    def __init__(self, then: Callable[[], object], after: int = 1) -> None:
        self._then = then
        self._after = after
        self.tasks = 0

    def run(self, task: Task, context: Context, items: Sequence[Any], done: Done) -> list[dict[str, Any]]:
        reports = []
        for item in items:
            reports.append(task(context, item))
            self.tasks += 1
            if self.tasks == self._after:
                self._then()
            done(len(reports), reports[-1])
        return reports


def kill() -> None:
    """Ends the work as a signal would."""
    raise Killed
