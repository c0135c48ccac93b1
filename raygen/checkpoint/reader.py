"""From a folder back to tensors and values, believing nothing that does not verify."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from raygen.checkpoint import shards
from raygen.checkpoint.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    NewerFormatError,
    Piece,
    TensorRecord,
    decode,
)
from raygen.checkpoint.values import decode_values
from raygen.errors import CheckpointError
from raygen.storage import NotFoundError, Storage, step_folder, step_of

_ALTERED = "does not match its digest: it was altered after it was written"


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
        tensors: By name, on the CPU; tied tensors are one tensor under several names. Empty if they were not asked for.
        values: The JSON values, exactly as saved.
        manifest: What was verified.
        skipped: Newer checkpoints that did not verify, newest first.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]
    manifest: Manifest
    skipped: tuple[Skipped, ...] = ()


def latest(storage: Storage, *, until: int | None = None, tensors: bool = True) -> Loaded | None:
    """Loads the newest checkpoint that verifies; None if no save was ever completed.

    Args:
        storage: The folder of step folders.
        until: The last step that may be taken. Default: any.
        tensors: Whether to keep the tensors; without them every byte is read and verified all the same.

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


def load(storage: Storage, step: int, *, tensors: bool = True) -> Loaded:
    """Loads and verifies the checkpoint of one step; `tensors` as in `latest`.

    Raises:
        CheckpointError: If it is missing, torn or altered.
    """
    manifest, kept = _read(storage, step, keep=tensors)
    return Loaded(step, kept, _values(storage, manifest), manifest)


def verify(storage: Storage, step: int) -> Manifest:
    """Reads a whole checkpoint without keeping it, and checks every byte against the manifest.

    Raises:
        CheckpointError: If it is missing, torn or altered.
    """
    manifest, _ = _read(storage, step, keep=False)
    _values(storage, manifest)
    return manifest


def _found(storage: Storage) -> dict[int, bool]:
    """For each step folder, whether its save was completed, so that it has a manifest."""
    found: dict[int, bool] = {}
    for entry in storage.list():
        folder, _, name = entry.key.partition("/")
        step = step_of(folder)
        if step is not None and name:
            found[step] = found.get(step, False) or name == MANIFEST
    return found


def _read(storage: Storage, step: int, *, keep: bool) -> tuple[Manifest, dict[str, torch.Tensor]]:
    manifest = _manifest(storage, step)
    held = {
        name: _shard(storage, manifest, name, keep=keep)
        for name in sorted({p.file for record in manifest.tensors.values() for p in record.shards})
    }
    for name, record in manifest.tensors.items():
        _check_record(storage, manifest, name, record, held)
    if not keep:
        return manifest, {}
    parts = {(file, key): t for file, shard in held.items() for key, t in shard.tensors.items()}
    return manifest, {name: _assemble(record, parts) for name, record in manifest.tensors.items()}


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


def _shard(storage: Storage, manifest: Manifest, name: str, *, keep: bool) -> shards.Shard:
    key = f"{step_folder(manifest.step)}/{name}"
    try:
        return _scanned(storage, key, manifest.files[name], keep=keep)
    except NotFoundError as error:
        raise CheckpointError(f"{name} is missing", where=_where(storage, manifest, name)) from error
    except CheckpointError as error:
        raise CheckpointError(f"{name} {error.what}", where=_where(storage, manifest, name)) from error


def _scanned(storage: Storage, key: str, record: FileRecord, *, keep: bool) -> shards.Shard:
    size = storage.size(key)
    if size != record.size:
        raise CheckpointError(f"has {size} bytes instead of {record.size}")
    with storage.open(key) as stream:
        shard = shards.decode(stream, size, keep=keep)
    if shard.record != record:
        raise CheckpointError(_ALTERED)
    return shard


def _values(storage: Storage, manifest: Manifest) -> dict[str, Any]:
    where = _where(storage, manifest, manifest.state)
    try:
        data = storage.read(f"{step_folder(manifest.step)}/{manifest.state}")
    except NotFoundError as error:
        raise CheckpointError(f"{manifest.state} is missing", where=where) from error
    tally = shards.Tally()
    tally.add(data)
    if tally.record() != manifest.files[manifest.state]:
        raise CheckpointError(f"{manifest.state} {_ALTERED}", where=where)
    try:
        return decode_values(data)
    except CheckpointError as error:
        raise CheckpointError(f"{manifest.state} {error.what}", where=where) from error


def _check_record(
    storage: Storage, manifest: Manifest, name: str, record: TensorRecord, held: Mapping[str, shards.Shard]
) -> None:
    """Checks that the parts of a tensor are in their shards as described and cover it exactly once."""
    where = _where(storage, manifest, MANIFEST)
    for piece in record.shards:
        slot = held[piece.file].slots.get(piece.key)
        if slot is None or (slot.dtype, slot.shape) != (record.dtype, piece.shape):
            raise CheckpointError(f"{piece.file} does not hold {name} as the manifest says", where=where)
        if len(piece.offsets) != len(record.shape) or len(piece.shape) != len(record.shape):
            raise CheckpointError(f"a shard of {name} has the wrong number of dimensions", where=where)
        if any(o + n > whole for o, n, whole in zip(piece.offsets, piece.shape, record.shape, strict=True)):
            raise CheckpointError(f"a shard of {name} lies outside of it", where=where)
    covered = sum(math.prod(piece.shape) for piece in record.shards)
    overlap = any(_overlap(a, b) for a, b in itertools.combinations(record.shards, 2))
    if not record.shards or overlap or covered != math.prod(record.shape):
        raise CheckpointError(f"the shards of {name} do not cover it exactly once", where=where)


def _overlap(a: Piece, b: Piece) -> bool:
    spans = zip(a.offsets, a.shape, b.offsets, b.shape, strict=True)
    return all(max(ao, bo) < min(ao + an, bo + bn) for ao, an, bo, bn in spans)


def _assemble(record: TensorRecord, parts: Mapping[tuple[str, str], torch.Tensor]) -> torch.Tensor:
    first = parts[record.shards[0].file, record.shards[0].key]
    if len(record.shards) == 1:
        return first
    whole = torch.empty(record.shape, dtype=first.dtype)
    for piece in record.shards:
        region = tuple(slice(o, o + n) for o, n in zip(piece.offsets, piece.shape, strict=True))
        whole[region] = parts[piece.file, piece.key]
    return whole


def _where(storage: Storage, manifest: Manifest, name: str) -> str:
    return f"{storage.uri}/{step_folder(manifest.step)}/{name}"
