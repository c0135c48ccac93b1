"""How the work is cut: a function of the job and of the listing of its sources, and never of the number of workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.data.records.parts import Part, parts_of
from raygen.data.remarks import Remarks
from raygen.data.shards.recipe import digest_of, words_on_data
from raygen.spec import ResolvedJob
from raygen.spec.data.sources import ResolvedSource

TEXT_PART, IMAGE_PART = 64 << 20, 16 << 20
"""Bytes of files that one task reads: of images fewer, since they become larger."""
RANGE = 256 << 20
"""Bytes of files for each range of the shuffle; a task has all samples of one in memory."""


@dataclass(frozen=True)
class PlannedPart:
    """Some of a source.

    Attributes:
        split: `train` or `validation`.
        source: Number of the source in its split.
        part: What of it.
    """

    split: str
    source: int
    part: Part


@dataclass(frozen=True)
class Plan:
    """The whole work.

    Attributes:
        parts: What is read, in the order in which records are numbered.
        ranges: Into how many ranges samples are dealt by the digests of their keys.
        words: Digest of what the job says of its data.
        recipe: Digest of these words, and of the parts.
    """

    parts: tuple[PlannedPart, ...]
    ranges: int
    words: str
    recipe: str


def sources_of(job: ResolvedJob) -> Iterable[tuple[str, int, ResolvedSource]]:
    """Split, number and source of all sources of a job."""
    data = job.spec.data
    for number, source in enumerate(data.train.sources):
        yield "train", number, source
    if data.validation is not None:
        for number, source in enumerate(data.validation.sources or ()):
            yield "validation", number, source


def plan(job: ResolvedJob, base: Path, remarks: Remarks) -> Plan:
    """Lists the sources, and cuts them.

    Args:
        job: A job that has a preparation.
        base: Folder that relative paths start from.
        remarks: Takes what is left out.

    Raises:
        DataError: a source is missing or empty.
    """
    size = TEXT_PART if job.spec.data.kind == "text" else IMAGE_PART
    parts, total = [], 0
    for split, number, source in sources_of(job):
        for part in parts_of([source], base, remarks, size):
            parts.append(PlannedPart(split, number, part))
            # A file that is cut counts once, by its first range.
            total += sum(file.size for file in part.files) if part.start == 0 else 0
    listing = [[one.split, one.source, described(one.part)] for one in parts]
    words = digest_of(words_on_data(job))
    recipe = digest_of([words, listing])
    return Plan(tuple(parts), max(1, -(-total // RANGE)), words, recipe)


def described(part: Part) -> list[Any]:
    """What a part is, without the place of its source."""
    return [[[file.key, file.size] for file in part.files], part.start, part.stop]
