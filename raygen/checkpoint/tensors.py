"""The tensors of a checkpoint: all of them, or only parts, of which no more is read than what holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from raygen.checkpoint import shards
from raygen.checkpoint.digests import VerifiedFile
from raygen.checkpoint.integrity import Place, check_slot, opened, places_of, read_shard, slots_of
from raygen.checkpoint.layout import Region, Slices, region_from, region_of, whole
from raygen.checkpoint.manifest import Manifest, Piece
from raygen.storage import Storage

Tensors = dict[str, torch.Tensor]


def read_all(folder: Storage, manifest: Manifest) -> Tensors:
    """Reads every byte of every shard and verifies it.

    Args:
        folder: The checkpoint's.
        manifest: Its manifest.

    Raises:
        CheckpointError: A shard is missing, torn or altered, or holds other tensors than the manifest says.
    """
    # Tied tensors have the same pieces, and are one tensor.
    found: dict[tuple[Piece, ...], torch.Tensor] = {}
    for file, places in places_of(folder, manifest).items():
        shard = _read_whole(folder, manifest, file)
        for place in places:
            check_slot(folder, place, shard.slots)
            pieces = place.record.shards
            if len(pieces) == 1:
                found.setdefault(pieces, shard.tensors[place.piece.key])
                continue
            if pieces not in found:
                dtype = shards.torch_dtype(place.record.dtype)
                found[pieces] = torch.empty(place.record.shape, dtype=dtype)
            region = region_of(place.piece).within(whole(place.record.shape))
            found[pieces][region] = shard.tensors[place.piece.key]
    return {name: found[record.shards] for name, record in manifest.tensors.items()}


def read_parts(folder: Storage, manifest: Manifest, wanted: Mapping[str, Slices]) -> Tensors:
    """Reads parts of tensors, and of the shards only what holds them, if there are checksums of their chunks.

    Args:
        folder: The checkpoint's.
        manifest: Its manifest.
        wanted: Of each tensor the part; names that the checkpoint does not have are left out.

    Raises:
        CheckpointError: A shard is missing or has another size, what was read of it was altered, or it holds other
            tensors than the manifest says.
    """
    found: dict[tuple[tuple[Piece, ...], Region], torch.Tensor] = {}
    keys: dict[str, tuple[tuple[Piece, ...], Region]] = {}
    for name, slices in wanted.items():
        if (record := manifest.tensors.get(name)) is not None:
            keys[name] = key = record.shards, region_from(name, slices, record.shape)
            if key not in found:
                found[key] = torch.empty(key[1].shape, dtype=shards.torch_dtype(record.dtype))
    for file, places in places_of(folder, manifest).items():
        reads: dict[tuple[object, ...], _Read] = {}
        for place in places:
            if place.name not in keys:
                continue
            key = keys[place.name]
            if (common := region_of(place.piece).common(key[1])) is not None:
                target = found[key][common.within(key[1])]
                reads[place.piece, key] = _Read(place, common.within(region_of(place.piece)), target)
        _read_file(folder, manifest, file, list(reads.values()))
    return {name: found[key] for name, key in keys.items()}


@dataclass(frozen=True, slots=True)
class _Read:
    """Which part of a piece is wanted, and the memory that it goes to."""

    place: Place
    part: Slices
    target: torch.Tensor


def _read_file(folder: Storage, manifest: Manifest, file: str, reads: list[_Read]) -> None:
    record = manifest.files[file]
    if reads and not record.crc32:
        shard = _read_whole(folder, manifest, file)
        for read in reads:
            check_slot(folder, read.place, shard.slots)
            read.target.copy_(shard.tensors[read.place.piece.key][read.part])
        return
    with opened(folder, manifest, file, read=bool(reads)) as stream:
        if reads:
            _read_ranges(folder, VerifiedFile(stream, record), record.size, reads)


def _read_whole(folder: Storage, manifest: Manifest, file: str) -> shards.Shard:
    tensors: Tensors = {}
    contents = read_shard(folder, manifest, file, shards.into(tensors))
    return shards.Shard(contents.slots, tensors, contents.record)


def _read_ranges(folder: Storage, file: VerifiedFile, size: int, reads: list[_Read]) -> None:
    slots = slots_of(file, size)
    placed = [(check_slot(folder, read.place, slots), read) for read in reads]
    # In the order of their bytes, so that a request to an object store goes on where the last one ended.
    for slot, read in sorted(placed, key=lambda pair: pair[0].start):
        first, count = _span(read.part, slot.shape)
        start = slot.start + first * read.target.itemsize
        if count == read.target.numel() and read.target.is_contiguous():
            file.read_into(start, shards.byte_view(read.target))
            continue
        # Rows with gaps between them: chunks are so large that to leave the gaps out would save little.
        span = torch.empty(count, dtype=read.target.dtype)
        file.read_into(start, shards.byte_view(span))
        read.target.copy_(span.as_strided(read.target.shape, _strides(slot.shape)))


def _span(slices: Slices, shape: tuple[int, ...]) -> tuple[int, int]:
    """The first number of a part that is not empty, and how many there are from it to the last one, in memory."""
    strides = _strides(shape)
    first = sum(part.start * stride for part, stride in zip(slices, strides, strict=True))
    last = sum((part.stop - 1) * stride for part, stride in zip(slices, strides, strict=True))
    return first, last - first + 1


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return torch.empty(shape, device="meta").stride()
