"""Saves: a snapshot while training waits, then hashing and writing in a thread."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Protocol, Self

import torch

from raygen.checkpoint import shards
from raygen.checkpoint.digests import Tally
from raygen.checkpoint.layout import Block, join
from raygen.checkpoint.manifest import MANIFEST, FileRecord, Manifest, Part, Piece, TensorRecord
from raygen.checkpoint.retention import MINIMUM_KEPT, Direction, prune, unused_tag
from raygen.checkpoint.snapshot import Buffers, Snapshot
from raygen.checkpoint.values import encode_values
from raygen.errors import CheckpointError, InputError
from raygen.storage import Storage, step_folder

SHARD_BYTES = 2 << 30


class Peers(Protocol):
    """The writers of all workers that save together, as one of them sees them.

    Attributes:
        rank: This one's number, from 0. The first one commits.
        count: How many there are.
    """

    rank: int
    count: int

    def gather(self, message: str) -> Sequence[str]:
        """Called in the writing thread by all of them, twice for each save. Returns the messages of all, in the order of
        their ranks, once all have come; raises where one cannot come any more.
        """


class NoPeers:
    """One writer that writes everything."""

    rank = 0
    count = 1

    def gather(self, message: str) -> Sequence[str]:
        """The message itself."""
        return [message]


@dataclass(frozen=True, slots=True)
class _Save:
    """What is to be written; `layouts` has where the tensors that are parts of larger ones lie in those."""

    step: int
    snapshot: Snapshot
    layouts: Mapping[str, Block]
    values: bytes
    metric: float | None


class Writer:
    """Writes the checkpoints of one attempt, one at a time.

    Several workers may write one checkpoint together, each with a writer. Each writes its own shards and tells the
    others what it wrote; the first one then checks that all pieces are there, and commits. A save is complete for all
    of them or for none.

    Args:
        storage: The folder of step folders.
        attempt: This attempt's number; it goes into file names and manifests.
        keep: How many of the newest checkpoints stay, at least 2.
        best: Which way the metric is better, to keep the best checkpoint too; None keeps none.
        before_commit: Called in the writing thread of the first worker just before a manifest is written. What it
            raises, FencedError say, leaves the save uncommitted and everything else undeleted.
        shard_bytes: A shard holds at most this many bytes of tensors, or one tensor.
        peers: The writers of all workers. Default: this one writes alone.

    Attributes:
        newest: The newest step committed by this writer.
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
        peers: Peers | None = None,
    ) -> None:
        if keep < MINIMUM_KEPT:
            raise InputError(f"keep is {keep}", remedy=f"Keep at least {MINIMUM_KEPT} checkpoints.")
        self.newest: int | None = None
        self._storage = storage
        self._attempt = attempt
        self._keep = keep
        self._best = best
        self._before_commit = before_commit
        self._shard_bytes = shard_bytes
        self._peers = peers or NoPeers()
        # Each worker's files have names of their own; alone there is nothing to tell apart.
        self._prefix = f"rank-{self._peers.rank:05d}-" if self._peers.count > 1 else ""
        self._buffers = Buffers()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def save(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor | Block],
        values: dict[str, Any],
        *,
        metric: float | None = None,
    ) -> None:
        """Takes a snapshot of the state and returns; a thread writes it.

        Waits first if an earlier save is still being written. The caller may change `tensors` and
        `values` as soon as this returns, on CUDA on the stream that is current now.

        Args:
            step: Training steps completed.
            tensors: The state by name, on any device: of several workers what this one writes, whole tensors and
                blocks of larger ones, which must cover each tensor once with those of the others. Tied tensors are
                stored once.
            values: The rest of the state; see `encode_values` for what it may hold. Those of the first worker count.
            metric: The figure to judge the best checkpoint by; NaN counts as none, and the first worker's counts.

        Raises:
            CheckpointError: If the state cannot be stored exactly; or of the last save, that another worker failed.
            RaygenError: What went wrong in the thread since the last call.
        """
        self.wait()
        # An empty part of a tensor that has something elsewhere needs no place in a file.
        held = {n: t for n, t in tensors.items() if not _is_empty_part(t)}
        blocks = {name: block for name, block in held.items() if isinstance(block, Block)}
        own = {name: t.tensor if isinstance(t, Block) else t for name, t in held.items()}
        for name, tensor in own.items():
            shards.dtype_name(name, tensor)
        known = None if metric is None or not math.isfinite(metric) else float(metric)
        save = _Save(step, self._buffers.take(own), blocks, encode_values(values), known)
        self._pending = self._thread.submit(self._write, save)

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
        save.snapshot.wait()
        folder = self._storage.within(step_folder(save.step))
        parts = [
            Part.decode(text) for text in self._together(lambda: self._write_part(folder, save).encode())
        ]
        # Nobody goes on before this: what another save of a step leaves is deleted here, and must not be in use yet.
        self._together(lambda: self._commit(folder, save, parts))
        self.newest = save.step

    def _together(self, work: Callable[[], str]) -> list[str]:
        """What `work` returns on each worker; raises on all of them where it raises on one."""
        try:
            answer = {"done": work()}
        except Exception as error:
            # Where the others cannot be told either, the first cause is the one to raise.
            with suppress(Exception):
                self._peers.gather(json.dumps({"failed": str(error)}))
            raise
        answers = [json.loads(message) for message in self._peers.gather(json.dumps(answer))]
        for rank, found in enumerate(answers):
            if "failed" in found:
                raise CheckpointError(f"worker {rank} could not save its part: {found['failed']}")
        return [found["done"] for found in answers]

    def _write_part(self, folder: Storage, save: _Save) -> Part:
        """Writes this worker's shards, and the values if it is the first one."""
        starts = (f"{self._prefix}shard-", "state.") if self._peers.rank == 0 else (f"{self._prefix}shard-",)
        tag = unused_tag(self._attempt, (e.key for e in folder.list() if e.key.startswith(starts)))
        files: dict[str, FileRecord] = {}
        places: dict[str, str] = {}
        groups = list(_grouped(save.snapshot.tensors, self._shard_bytes))
        for index, group in enumerate(groups):
            name = f"{self._prefix}shard-{index:05d}-of-{len(groups):05d}.{tag}.safetensors"
            tally = Tally(chunks=True)
            folder.stream(name, tally.through(shards.encode(group)))
            files[name] = tally.record()
            places.update(dict.fromkeys(group, name))
        state = f"state.{tag}.json" if self._peers.rank == 0 else ""
        if state:
            tally = Tally()
            folder.stream(state, tally.through([save.values]))
            files[state] = tally.record()
        return Part(state, files, _records(save, places))

    def _commit(self, folder: Storage, save: _Save, parts: Sequence[Part]) -> str:
        """Has the first worker write the manifest and delete what it makes expendable; nothing to tell."""
        if self._peers.rank > 0:
            return ""
        whole = join(parts)
        manifest = Manifest(
            step=save.step,
            attempt=self._attempt,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            raygen=version("raygen"),
            state=whole.state,
            files=whole.files,
            tensors=whole.tensors,
            metric=save.metric,
        ).encode()
        if self._before_commit is not None:
            self._before_commit()
        folder.write(MANIFEST, manifest)
        self.newest = save.step
        prune(self._storage, committed=save.step, attempt=self._attempt, keep=self._keep, best=self._best)
        return ""


def _is_empty_part(tensor: torch.Tensor | Block) -> bool:
    return isinstance(tensor, Block) and tensor.tensor.numel() == 0 and math.prod(tensor.shape) > 0


def _records(save: _Save, places: Mapping[str, str]) -> dict[str, TensorRecord]:
    """The pieces in this worker's shards, by the names of their tensors; `places` has each shard."""
    records = {}
    for name, owner in save.snapshot.aliases.items():
        tensor = save.snapshot.tensors[owner]
        shape = tuple(tensor.shape)
        block = save.layouts.get(name)
        offsets = (0,) * len(shape) if block is None else block.offsets
        piece = Piece(places[owner], owner, offsets, shape)
        records[name] = TensorRecord(
            shards.dtype_name(name, tensor), shape if block is None else block.shape, (piece,)
        )
    return records


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
