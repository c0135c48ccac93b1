"""What every task of a preparation has to know, and the files that tasks leave for each other.

All of them lie below the data set's folder, and each is written at once, when it is whole: what is there is done, and is not done again
after a kill.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from raygen.data.shards.store import open_place
from raygen.spec import ResolvedJob
from raygen.storage import NotFoundError, Storage

WORK = "work"


@dataclass(frozen=True)
class Context:
    """A preparation, as each process that works on it sees it.

    Attributes:
        document: The resolved job, as JSON.
        base: Folder that relative paths start from.
        recipe: Digest of what is made of which sources; names the folder of the work.
    """

    document: str
    base: str
    recipe: str

    def __reduce__(self) -> tuple[type[Context], tuple[str, str, str]]:
        """What this process has opened stays here: connections to an object store cannot travel."""
        return Context, (self.document, self.base, self.recipe)

    @cached_property
    def job(self) -> ResolvedJob:
        """The job."""
        return ResolvedJob.model_validate_json(self.document)

    @cached_property
    def place(self) -> Storage:
        """Folder of the data set."""
        preparation = self.job.spec.preparation
        if preparation is None:
            raise ValueError("the job has no preparation")
        return open_place(preparation.uri, Path(self.base))

    @cached_property
    def work(self) -> Storage:
        """Folder of what is not needed any more when the data set is whole."""
        return self.place.within(f"{WORK}/{self.recipe[:16]}")

    def done(self, name: str) -> dict[str, Any] | None:
        """What a task said when it was done; None if it is not."""
        try:
            report: dict[str, Any] = json.loads(self.work.read(f"{name}.json"))
        except NotFoundError:
            return None
        return report

    def finish(self, name: str, report: Mapping[str, Any]) -> dict[str, Any]:
        """Notes that a task is done, after all that it writes."""
        content = json.dumps(report, sort_keys=True).encode()
        self.work.write(f"{name}.json", content)
        return dict(json.loads(content))
