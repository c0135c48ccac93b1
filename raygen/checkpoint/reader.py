"""From a folder back to tensors and values, believing nothing that does not verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from raygen.checkpoint.digests import ALTERED, Tally
from raygen.checkpoint.integrity import check_sizes, verify_all
from raygen.checkpoint.layout import Slices
from raygen.checkpoint.manifest import MANIFEST, Manifest, NewerFormatError, decode
from raygen.checkpoint.retention import retagged
from raygen.checkpoint.values import decode_values
from raygen.errors import CheckpointError
from raygen.storage import NotFoundError, Storage, step_folder, step_of

if TYPE_CHECKING:
    import torch


COPIED_BYTES = 1 << 20
"""Read at a time while a file is copied."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A checkpoint that was passed over, and why, in one sentence."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkpoint that verified.

    Attributes:
        step: Training steps completed.
        tensors: By name, on the CPU; tied tensors are one tensor under several names. Those, or those
            parts, that were asked for.
        values: The JSON values, exactly as saved.
        manifest: What was verified.
        skipped: Newer checkpoints that did not verify, newest first.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]
    manifest: Manifest
    skipped: tuple[Skipped, ...] = ()


def latest(
    storage: Storage, *, until: int | None = None, tensors: Mapping[str, Slices] | None = None
) -> Loaded | None:
    """Loads the newest checkpoint that verifies; None if no save was ever completed.

    Args:
        storage: The folder of step folders.
        until: The last step that may be taken. Default: any.
        tensors: Of each tensor the part to load, `()` for all of it: no more is read than what holds these parts, and
            only that is verified, besides the sizes of all files. Names that the checkpoint does not have are left out.
            Default: all of all tensors.

    Raises:
        CheckpointError: If there are checkpoints and none verifies, since starting again would
            discard them; or if one is of a newer format.
    """
    found = {step: done for step, done in _found(storage).items() if until is None or step <= until}
    skipped: list[Skipped] = []
    for step in sorted(found, reverse=True):
        try:
            return replace(load(storage, step, tensors=tensors), skipped=tuple(skipped))
        except NewerFormatError:
            raise
        except CheckpointError as error:
            skipped.append(Skipped(step, f"{step_folder(step)} was passed over: {error.what}."))
    if any(found.values()):
        raise CheckpointError(
            "none of the checkpoints verifies\n" + "\n".join(s.reason for s in skipped),
            where=storage.uri,
            remedy="Restore one from a copy, or choose a new run name to start again.",
        )
    return None


def load(storage: Storage, step: int, *, tensors: Mapping[str, Slices] | None = None) -> Loaded:
    """Loads and verifies the checkpoint of one step; `tensors` as in `latest`.

    Raises:
        CheckpointError: If it is missing, torn or altered.
    """
    manifest, folder = _manifest(storage, step), _folder(storage, step)
    if tensors is not None and not tensors:
        check_sizes(folder, manifest)
        return Loaded(step, {}, _values(folder, manifest), manifest)
    # Who needs no tensors needs no PyTorch.
    from raygen.checkpoint.tensors import read_all, read_parts

    kept = read_all(folder, manifest) if tensors is None else read_parts(folder, manifest, tensors)
    return Loaded(step, kept, _values(folder, manifest), manifest)


def is_finite(storage: Storage, step: int) -> bool:
    """Whether all numbers in a checkpoint are finite; reads and verifies every byte of it, and keeps none.

    Raises:
        CheckpointError: If it is missing, torn or altered.
    """
    manifest, folder = _manifest(storage, step), _folder(storage, step)
    finite = verify_all(folder, manifest)
    _values(folder, manifest)
    return finite


def copy(source: Storage, step: int, target: Storage) -> None:
    """Copies the checkpoint of a step to another run, as one that is older than all of its attempts; its manifest comes last.

    Args:
        source: The folder of step folders.
        step: Which.
        target: The other run's folder of step folders.

    Raises:
        CheckpointError: If it is missing, torn or altered; nothing is committed then.
    """
    manifest, folder, copied = _manifest(source, step), _folder(source, step), _folder(target, step)
    names = {name: retagged(name) for name in manifest.files}
    for name, record in manifest.files.items():
        tally = Tally()
        try:
            with folder.open(name) as stream:
                copied.stream(names[name], tally.through(iter(partial(stream.read, COPIED_BYTES), b"")))
        except NotFoundError as error:
            raise CheckpointError(f"{name} is missing", where=f"{folder.uri}/{name}") from error
        if tally.record() != record:
            raise CheckpointError(f"{name} {ALTERED}", where=f"{folder.uri}/{name}")
    tensors = {
        key: replace(one, shards=tuple(replace(piece, file=names[piece.file]) for piece in one.shards))
        for key, one in manifest.tensors.items()
    }
    files = {names[name]: record for name, record in manifest.files.items()}
    own = replace(manifest, attempt=0, state=names[manifest.state], files=files, tensors=tensors)
    copied.write(MANIFEST, own.encode())


def _found(storage: Storage) -> dict[int, bool]:
    """For each step folder, whether its save was completed, so that it has a manifest."""
    found: dict[int, bool] = {}
    for entry in storage.list():
        folder, _, name = entry.key.partition("/")
        step = step_of(folder)
        if step is not None and name:
            found[step] = found.get(step, False) or name == MANIFEST
    return found


def _manifest(storage: Storage, step: int) -> Manifest:
    where = f"{storage.uri}/{step_folder(step)}"
    try:
        manifest = decode(storage.read(f"{step_folder(step)}/{MANIFEST}"))
    except NotFoundError as error:
        raise CheckpointError("it has no manifest, so its save was cut short", where=where) from error
    except CheckpointError as error:
        error.where = where
        raise
    if manifest.step != step:
        raise CheckpointError(f"its manifest is that of step {manifest.step}", where=where)
    return manifest


def _values(folder: Storage, manifest: Manifest) -> dict[str, Any]:
    where = f"{folder.uri}/{manifest.state}"
    try:
        data = folder.read(manifest.state)
    except NotFoundError as error:
        raise CheckpointError(f"{manifest.state} is missing", where=where) from error
    tally = Tally()
    tally.add(data)
    if tally.record() != manifest.files[manifest.state]:
        raise CheckpointError(f"{manifest.state} {ALTERED}", where=where)
    try:
        return decode_values(data)
    except CheckpointError as error:
        raise CheckpointError(f"{manifest.state} {error.what}", where=where) from error


def _folder(storage: Storage, step: int) -> Storage:
    return storage.within(step_folder(step))
