"""Saves: a snapshot while training waits, then hashing and writing in a thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import torch

from raygen.checkpoint import shards
from raygen.checkpoint.manifest import MANIFEST, FileRecord, Manifest, Piece, TensorRecord
from raygen.checkpoint.retention import MINIMUM_KEPT, Direction, prune, unused_tag
from raygen.checkpoint.snapshot import Buffers, Snapshot
from raygen.checkpoint.values import encode_values
from raygen.errors import InputError
from raygen.storage import Storage, step_folder

SHARD_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class _Save:
    step: int
    snapshot: Snapshot
    values: bytes
    metric: float | None


class Writer:
    """Writes the checkpoints of one attempt, one at a time.

    Args:
        storage: The folder of step folders.
        attempt: This attempt's number; it goes into file names and manifests.
        keep: How many of the newest checkpoints stay, at least 2.
        best: Which way the metric is better, to keep the best checkpoint too; None keeps none.
        before_commit: Called in the writing thread just before a manifest is written. What it
            raises, FencedError say, leaves the save uncommitted and everything else undeleted.
        shard_bytes: A shard holds at most this many bytes of tensors, or one tensor.

    Attributes:
        newest: The newest step committed by this writer.
        blocked_seconds: Time spent inside `save`, in total.
        written_seconds: Time the thread spent hashing and writing, in total.
        written_bytes: Bytes of committed checkpoints, in total.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        attempt: int = 1,
        keep: int = 3,
        best: Direction | None = None,
        before_commit: Callable[[], None] | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        if keep < MINIMUM_KEPT:
            raise InputError(f"keep is {keep}", remedy=f"Keep at least {MINIMUM_KEPT} checkpoints.")
        self.newest: int | None = None
        self.blocked_seconds = 0.0
        self.written_seconds = 0.0
        self.written_bytes = 0
        self._storage = storage
        self._attempt = attempt
        self._keep = keep
        self._best = best
        self._before_commit = before_commit
        self._shard_bytes = shard_bytes
        self._buffers = Buffers()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def save(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        values: dict[str, Any],
        *,
        metric: float | None = None,
    ) -> None:
        """Takes a snapshot of the state and returns; a thread writes it.

        Waits first if an earlier save is still being written. The caller may change `tensors` and
        `values` as soon as this returns, on CUDA on the stream that is current now.

        Args:
            step: Training steps completed.
            tensors: The state by name, on any device. Tied tensors are stored once.
            values: The rest of the state; see `encode_values` for what it may hold.
            metric: The figure to judge the best checkpoint by; NaN counts as none.

        Raises:
            CheckpointError: If the state cannot be stored exactly.
            RaygenError: What went wrong in the thread since the last call.
        """
        began = time.perf_counter()
        try:
            self.wait()
            for name, tensor in tensors.items():
                shards.dtype_name(name, tensor)
            known = None if metric is None or not math.isfinite(metric) else float(metric)
            save = _Save(step, self._buffers.take(tensors), encode_values(values), known)
            self._pending = self._thread.submit(self._write, save)
        finally:
            self.blocked_seconds += time.perf_counter() - began

    def wait(self) -> None:
        """Waits until the last save is committed; raises what went wrong in it, once."""
        pending = self._pending
        if pending is None:
            return
        try:
            pending.result()
        finally:
            # Interrupted while it waits, it must wait again: the thread still reads the buffers.
            if pending.done():
                self._pending = None

    def close(self) -> None:
        """Waits for the last save and ends the thread; raises what went wrong."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, save: _Save) -> None:
        began = time.perf_counter()
        save.snapshot.wait()
        folder = self._storage.within(step_folder(save.step))
        tag = unused_tag(self._attempt, (entry.key for entry in folder.list()))
        files: dict[str, FileRecord] = {}
        places: dict[str, str] = {}
        groups = list(_grouped(save.snapshot.tensors, self._shard_bytes))
        for index, group in enumerate(groups):
            name = f"shard-{index:05d}-of-{len(groups):05d}.{tag}.safetensors"
            tally = shards.Tally()
            folder.stream(name, tally.through(shards.encode(group)))
            files[name] = tally.record()
            places.update(dict.fromkeys(group, name))
        state = f"state.{tag}.json"
        tally = shards.Tally()
        folder.stream(state, tally.through([save.values]))
        files[state] = tally.record()
        manifest = self._manifest(save, state, files, places).encode()
        if self._before_commit is not None:
            self._before_commit()
        folder.write(MANIFEST, manifest)
        self.newest = save.step
        self.written_bytes += len(manifest) + sum(file.size for file in files.values())
        prune(self._storage, committed=save.step, attempt=self._attempt, keep=self._keep, best=self._best)
        self.written_seconds += time.perf_counter() - began

    def _manifest(
        self, save: _Save, state: str, files: Mapping[str, FileRecord], places: Mapping[str, str]
    ) -> Manifest:
        tensors = {}
        for name, owner in save.snapshot.aliases.items():
            tensor = save.snapshot.tensors[owner]
            shape = tuple(tensor.shape)
            piece = Piece(places[owner], owner, (0,) * len(shape), shape)
            tensors[name] = TensorRecord(shards.dtype_name(name, tensor), shape, (piece,))
        return Manifest(
            step=save.step,
            attempt=self._attempt,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            raygen=version("raygen"),
            state=state,
            files=files,
            tensors=tensors,
            metric=save.metric,
        )


def _grouped(tensors: Mapping[str, torch.Tensor], limit: int) -> Iterator[dict[str, torch.Tensor]]:
    """Splits `tensors` in their order into groups of at most `limit` bytes, or of one tensor."""
    group: dict[str, torch.Tensor] = {}
    held = 0
    for name, tensor in tensors.items():
        if group and held + tensor.nbytes > limit:
            yield group
            group, held = {}, 0
        group[name] = tensor
        held += tensor.nbytes
    if group:
        yield group
