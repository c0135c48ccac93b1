"""How the work is cut: a function of the job and of the listing of its sources, and never of the number of workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.data.records.parts import Part, parts_of
from raygen.data.remarks import Remarks
from raygen.data.shards.recipe import digest_of, words_on_data
from raygen.data.sources.files import local_path
from raygen.errors import DataError
from raygen.preparation.sources import States, source_of, sources_of
from raygen.spec import ResolvedJob

TEXT_PART, IMAGE_PART = 64 << 20, 16 << 20
"""Bytes of files that one task reads: of images fewer, since they become larger."""
RANGE = 256 << 20
"""Bytes of files for each range of the shuffle. A task has so many bytes of text or pixels in memory, as samples: of a range that
has more, since files are compressed, a slice."""


@dataclass(frozen=True)
class PlannedPart:
    """Some of a source.

    Attributes:
        split: `train` or `validation`.
        source: Number of the source in its split.
        part: What of it.
        states: Of each of its files (`raygen.preparation.sources`).
        beside: What else decides its records: URI and state.
    """

    split: str
    source: int
    part: Part
    states: tuple[str, ...]
    beside: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plan:
    """The whole work.

    Attributes:
        parts: What is read, in the order in which records are numbered.
        ranges: Into how many ranges samples are dealt by the digests of their keys.
        words: Digest of what the job says of its data.
        recipe: Digest of these words, and of the parts with the states of their files.
    """

    parts: tuple[PlannedPart, ...]
    ranges: int
    words: str
    recipe: str


def plan(job: ResolvedJob, base: Path, remarks: Remarks) -> Plan:
    """Lists the sources, and cuts them.

    Args:
        job: A job that has a preparation.
        base: Folder that relative paths start from.
        remarks: Takes what is left out.

    Raises:
        DataError: a source is missing or empty.
    """
    _check_apart(job, base)
    size = TEXT_PART if job.spec.data.kind == "text" else IMAGE_PART
    parts, total = [], 0
    states = States(job, base)
    for split, number, source in sources_of(job):
        found = parts_of([source], base, remarks, size)
        states.look_at(found, source)
        for part in found:
            parts.append(PlannedPart(split, number, part, states.of(part, source), states.beside(source)))
            # A file that is cut counts once, by its first range.
            total += sum(file.size for file in part.files) if part.start == 0 else 0
    listing = [[one.split, one.source, described(one)] for one in parts]
    words = digest_of(words_on_data(job))
    recipe = digest_of([words, listing])
    return Plan(tuple(parts), max(1, -(-total // RANGE)), words, recipe)


def _check_apart(job: ResolvedJob, base: Path) -> None:
    """Refuses a place within a source, of which what was prepared would be a part the next time.

    Raises:
        DataError: names both.
    """
    place = job.spec.preparation.uri if job.spec.preparation is not None else ""
    for _, _, source in sources_of(job):
        if source.format != "HuggingFace" and _within(place, source.uri, base):
            raise DataError(
                f"spec.preparation.uri lies in the source {source.uri}, which would read what was prepared from it",
                where=place,
                remedy="Give spec.preparation.uri a folder beside the source.",
            )


def _within(place: str, source: str, base: Path) -> bool:
    stored = [uri.lower().startswith("s3://") for uri in (place, source)]
    if any(stored):
        return all(stored) and f"{place.rstrip('/')}/".startswith(f"{source.rstrip('/')}/")
    folder, other = local_path(source, base).resolve(), local_path(place, base).resolve()
    # Hidden folders are no part of a source.
    return (
        folder.is_dir()
        and other.is_relative_to(folder)
        and not any(part.startswith(".") for part in other.relative_to(folder).parts)
    )


def described(planned: PlannedPart) -> list[Any]:
    """What a part is, without the place of its source."""
    part = planned.part
    files = [[file.key, file.size, state] for file, state in zip(part.files, planned.states, strict=True)]
    return [files, part.start, part.stop, [state for _, state in planned.beside]]


def check_unchanged(job: ResolvedJob, base: Path, planned: PlannedPart) -> None:
    """Refuses a part whose files are not the ones of the plan any more.

    Raises:
        DataError: names the first file that was changed, or is gone.
    """
    states, source = States(job, base), source_of(job, planned.split, planned.source)
    files = zip(planned.part.files, states.of(planned.part, source), planned.states, strict=True)
    found = [(file.uri, now, then) for file, now, then in files]
    beside = zip(states.beside(source), planned.beside, strict=True)
    found += [(uri, now, then) for (uri, now), (_, then) in beside]
    # An empty state is one that cannot be told.
    changed = next((uri for uri, now, then in found if now != then and now and then), None)
    if changed is not None:
        raise DataError(
            "was changed while the data was being prepared",
            where=changed,
            remedy="Run the same again when nobody writes there any more; what was made of the old content is made again.",
        )
