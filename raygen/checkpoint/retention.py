"""Which checkpoints there are, and which may go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from raygen.checkpoint.manifest import MANIFEST, Manifest, NewerFormatError, decode
from raygen.errors import CheckpointError
from raygen.storage import NotFoundError, Storage, step_folder, step_of

Direction = Literal["min", "max"]
"""Whether the best checkpoint is the one of the smallest or of the greatest metric."""

MINIMUM_KEPT = 2

_TAG = re.compile(r"\.(a(\d{3,})(?:r\d+)?)\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Folder:
    """One step's folder.

    Attributes:
        step: From its name.
        sizes: Bytes of every file in it, by name.
        manifest: None if there is none or it does not parse.
    """

    step: int
    sizes: Mapping[str, int]
    manifest: Manifest | None

    @property
    def complete(self) -> bool:
        """Whether every file of the manifest is there with its size; the contents are not read."""
        return (
            self.manifest is not None
            and self.manifest.step == self.step
            and all(self.sizes.get(name) == file.size for name, file in self.manifest.files.items())
        )

    @property
    def metric(self) -> float | None:
        """The metric in the manifest, if there is one."""
        return self.manifest.metric if self.manifest else None

    @property
    def attempt(self) -> int:
        """The newest attempt that has written here."""
        written = max((attempt_of(name) for name in self.sizes), default=0)
        return max(written, self.manifest.attempt if self.manifest else 0)


def unused_tag(attempt: int, names: Iterable[str]) -> str:
    """What marks the files of one save: the attempt, and a count if it saves a step again.

    Because no two saves share a file name, a save never overwrites what an older manifest names,
    and an attempt that has been taken over cannot touch the files of its successor.
    """
    used = {match[1] for name in names if (match := _TAG.search(name))}
    tag, again = f"a{attempt:03d}", 0
    while tag in used:
        again += 1
        tag = f"a{attempt:03d}r{again}"
    return tag


def attempt_of(name: str) -> int:
    """The attempt that wrote the file, 0 if its name does not say."""
    match = _TAG.search(name)
    return int(match[2]) if match else 0


def retagged(name: str) -> str:
    """The name that a file has in another run: as if an attempt before its first one had written it."""
    return _TAG.sub(".a000.", name)


def survey(storage: Storage) -> tuple[Folder, ...]:
    """Every step folder, oldest step first; reads the manifests, not the shards.

    Raises:
        CheckpointError: If a manifest is whole but of another format.
    """
    found: dict[int, dict[str, int]] = {}
    for entry in storage.list():
        folder, _, name = entry.key.partition("/")
        step = step_of(folder)
        if step is not None and name:
            found.setdefault(step, {})[name] = entry.size
    return tuple(
        Folder(step, sizes, _manifest(storage, step, sizes)) for step, sizes in sorted(found.items())
    )


def steps(storage: Storage) -> list[int]:
    """The steps of all complete checkpoints, ascending; their contents are not read."""
    return [folder.step for folder in survey(storage) if folder.complete]


def best_step(storage: Storage, direction: Direction) -> int | None:
    """The step of the best complete checkpoint; None if none has a metric."""
    return best_of(survey(storage), direction)


def best_of(folders: Iterable[Folder], direction: Direction) -> int | None:
    """The complete checkpoint with the best metric, the earliest of equals; None without a metric."""
    sign = 1.0 if direction == "min" else -1.0
    scored = [(sign * f.metric, f.step) for f in folders if f.complete and f.metric is not None]
    return min(scored)[1] if scored else None


def expendable(
    folders: Iterable[Folder], *, committed: int, attempt: int, keep: int, best: Direction | None
) -> list[int]:
    """The steps whose folders may go now that `committed` is safe, oldest first.

    The newest `keep` complete checkpoints stay, and the best one. Newest means by attempt first: a
    later step of an older attempt belongs to a course that was abandoned, most likely because it
    did not verify. Torn folders count for nothing and go once they are older than `committed`.
    Whatever a newer attempt wrote stays.
    """
    folders = tuple(folders)
    complete = [folder for folder in folders if folder.complete]
    if committed not in {folder.step for folder in complete}:
        return []
    complete.sort(key=lambda folder: (folder.attempt, folder.step), reverse=True)
    kept = {folder.step for folder in complete[: max(keep, MINIMUM_KEPT)]} | {committed}
    if best is not None:
        kept |= {folder.step for folder in complete if folder.step == best_of(complete, best)}
    return sorted(
        folder.step
        for folder in folders
        if folder.step not in kept
        and folder.attempt <= attempt
        and (folder.complete or folder.step < committed)
    )


def prune(storage: Storage, *, committed: int, attempt: int, keep: int, best: Direction | None) -> None:
    """Deletes the expendable checkpoints, and what replaced saves left in those that stay.

    A manifest goes before the files that it names, so that a deletion cut short leaves a folder
    that is plainly torn.
    """
    folders = survey(storage)
    gone = expendable(folders, committed=committed, attempt=attempt, keep=keep, best=best)
    for step in gone:
        storage.delete(f"{step_folder(step)}/{MANIFEST}")
        storage.delete_prefix(f"{step_folder(step)}/")
    for folder in folders:
        if folder.complete and folder.manifest and folder.step not in gone:
            for name in folder.sizes.keys() - folder.manifest.files.keys() - {MANIFEST}:
                if 0 < attempt_of(name) <= attempt:
                    storage.delete(f"{step_folder(folder.step)}/{name}")


def _manifest(storage: Storage, step: int, sizes: Mapping[str, int]) -> Manifest | None:
    if MANIFEST not in sizes:
        return None
    try:
        return decode(storage.read(f"{step_folder(step)}/{MANIFEST}"))
    except NewerFormatError:
        raise
    except (CheckpointError, NotFoundError):
        return None
