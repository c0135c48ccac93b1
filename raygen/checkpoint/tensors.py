"""The tensors of a checkpoint: all of them, or only parts, of which no more is read than what holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import torch

from raygen.checkpoint import shards
from raygen.checkpoint.digests import ALTERED, VerifiedFile
from raygen.checkpoint.layout import Region, Slices, check_layout, region_from, region_of, whole
from raygen.checkpoint.manifest import MANIFEST, Manifest, Piece, TensorRecord
from raygen.errors import CheckpointError
from raygen.storage import NotFoundError, Storage

Tensors = dict[str, torch.Tensor]


def read_all(folder: Storage, manifest: Manifest, *, keep: bool) -> Tensors:
    """Reads every byte of every shard and verifies it.

    Args:
        folder: The checkpoint's.
        manifest: Its manifest.
        keep: Whether to keep the tensors; without them nothing is returned.

    Raises:
        CheckpointError: A shard is missing, torn or altered, or holds other tensors than the manifest says.
    """
    # Tied tensors have the same pieces, and are one tensor.
    found: dict[tuple[Piece, ...], torch.Tensor] = {}
    for file, places in _places(folder, manifest).items():
        with _opened(folder, manifest, file) as stream:
            shard = _decoded(stream, manifest, file, keep=keep)
        for place in places:
            _check_slot(folder, place, shard.slots)
            pieces = place.record.shards
            if keep and len(pieces) == 1:
                found.setdefault(pieces, shard.tensors[place.piece.key])
            elif keep:
                if pieces not in found:
                    found[pieces] = torch.empty(place.record.shape, dtype=place.dtype)
                region = region_of(place.piece).within(whole(place.record.shape))
                found[pieces][region] = shard.tensors[place.piece.key]
    return {name: found[record.shards] for name, record in manifest.tensors.items()} if keep else {}


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
    for file, places in _places(folder, manifest).items():
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
class _Place:
    """A piece of a tensor in a shard."""

    name: str
    record: TensorRecord
    piece: Piece

    @property
    def dtype(self) -> torch.dtype:
        return shards.torch_dtype(self.record.dtype)


@dataclass(frozen=True, slots=True)
class _Read:
    """Which part of a piece is wanted, and the memory that it goes to."""

    place: _Place
    part: Slices
    target: torch.Tensor


def _read_file(folder: Storage, manifest: Manifest, file: str, reads: list[_Read]) -> None:
    with _opened(folder, manifest, file, read=bool(reads)) as stream:
        if not reads:
            return
        if manifest.files[file].crc32:
            _read_ranges(folder, VerifiedFile(stream, manifest.files[file]), manifest.files[file].size, reads)
            return
        shard = _decoded(stream, manifest, file, keep=True)
    for read in reads:
        _check_slot(folder, read.place, shard.slots)
        read.target.copy_(shard.tensors[read.place.piece.key][read.part])


def _read_ranges(folder: Storage, file: VerifiedFile, size: int, reads: list[_Read]) -> None:
    slots = shards.slots_of(file, size)
    placed = [(_check_slot(folder, read.place, slots), read) for read in reads]
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


def _places(folder: Storage, manifest: Manifest) -> dict[str, list[_Place]]:
    """What is in each shard, which all tensors together cover once."""
    places: dict[str, list[_Place]] = {}
    for name, record in manifest.tensors.items():
        try:
            check_layout(name, record)
        except CheckpointError as error:
            error.where = f"{folder.uri}/{MANIFEST}"
            raise
        for piece in record.shards:
            places.setdefault(piece.file, []).append(_Place(name, record, piece))
    return dict(sorted(places.items()))


@contextmanager
def _opened(folder: Storage, manifest: Manifest, file: str, *, read: bool = True) -> Iterator[BinaryIO]:
    """A shard of the right size, empty if it is not to be read; what is wrong in it is raised with its name."""
    where = f"{folder.uri}/{file}"
    try:
        _check_size(folder.size(file), manifest.files[file].size)
        with folder.open(file) if read else BytesIO() as stream:
            yield stream
    except NotFoundError as error:
        raise CheckpointError(f"{file} is missing", where=where) from error
    except CheckpointError as error:
        if error.where:
            raise
        raise CheckpointError(f"{file} {error.what}", where=where) from error


def _check_size(found: int, expected: int) -> None:
    if found != expected:
        raise CheckpointError(f"has {found} bytes instead of {expected}")


def _decoded(stream: BinaryIO, manifest: Manifest, file: str, *, keep: bool) -> shards.Shard:
    shard = shards.decode(stream, manifest.files[file].size, keep=keep)
    if shard.record != manifest.files[file]:
        raise CheckpointError(ALTERED)
    return shard


def _check_slot(folder: Storage, place: _Place, slots: Mapping[str, shards.Slot]) -> shards.Slot:
    slot = slots.get(place.piece.key)
    if slot is None or (slot.dtype, slot.shape) != (place.record.dtype, place.piece.shape):
        raise CheckpointError(
            f"{place.piece.file} does not hold {place.name} as the manifest says",
            where=f"{folder.uri}/{MANIFEST}",
        )
    return slot
