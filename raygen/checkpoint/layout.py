"""Where the parts of a tensor lie in it: offsets and extents, one number per dimension."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raygen.checkpoint.manifest import FileRecord, Part, Piece, TensorRecord
from raygen.errors import CheckpointError

if TYPE_CHECKING:
    import torch

Slices = tuple[slice, ...]
"""A rectangular part of a tensor: a slice without a step for each of its first dimensions, the others whole."""


@dataclass(frozen=True, slots=True)
class Block:
    """One worker's part of a tensor that is spread over several.

    Attributes:
        tensor: The part, on any device.
        offsets: Where it begins in the whole tensor, one number per dimension.
        shape: The whole tensor's shape.
    """

    tensor: torch.Tensor
    offsets: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangular part of a tensor.

    Attributes:
        offsets: Where it begins, one number per dimension.
        shape: Its shape.
    """

    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def within(self, other: Region) -> Slices:
        """The same part, as slices of `other`, which contains it."""
        starts = [own - theirs for own, theirs in zip(self.offsets, other.offsets, strict=True)]
        return tuple(slice(start, start + extent) for start, extent in zip(starts, self.shape, strict=True))

    def common(self, other: Region) -> Region | None:
        """What is in both; None if nothing is."""
        starts = tuple(map(max, self.offsets, other.offsets))
        extents = tuple(
            end - start for start, end in zip(starts, map(min, self._ends, other._ends), strict=True)
        )
        return Region(starts, extents) if all(extent > 0 for extent in extents) else None

    @property
    def _ends(self) -> Iterator[int]:
        return map(operator.add, self.offsets, self.shape)


def whole(shape: Sequence[int]) -> Region:
    """All of a tensor."""
    return Region((0,) * len(shape), tuple(shape))


def region_of(piece: Piece) -> Region:
    """Where a piece lies."""
    return Region(piece.offsets, piece.shape)


def region_from(name: str, slices: Slices, shape: tuple[int, ...]) -> Region:
    """What slices take of the tensor `name` of this shape, as in Python; a slice may be empty.

    Raises:
        CheckpointError: the tensor has fewer dimensions than there are slices.
    """
    if len(slices) > len(shape):
        raise CheckpointError(f"{name} has {len(shape)} dimensions, and {len(slices)} of them were asked for")
    every = (*slices, *(slice(None),) * (len(shape) - len(slices)))
    spans = [part.indices(extent) for part, extent in zip(every, shape, strict=True)]
    if any(step != 1 for _, _, step in spans):
        raise ValueError(f"a part of {name} was asked for in steps")
    return Region(
        tuple(start for start, _, _ in spans), tuple(max(end - start, 0) for start, end, _ in spans)
    )


def check_layout(name: str, record: TensorRecord) -> None:
    """Checks that a tensor's pieces lie in it and cover it exactly once.

    Raises:
        CheckpointError: They do not.
    """
    for piece in record.shards:
        if len(piece.offsets) != len(record.shape) or len(piece.shape) != len(record.shape):
            raise CheckpointError(f"a shard of {name} has the wrong number of dimensions")
        if any(o + n > whole for o, n, whole in zip(piece.offsets, piece.shape, record.shape, strict=True)):
            raise CheckpointError(f"a shard of {name} lies outside of it")
    covered = sum(math.prod(piece.shape) for piece in record.shards)
    if not record.shards or covered != math.prod(record.shape) or any(_overlaps(record.shards)):
        raise CheckpointError(f"the shards of {name} do not cover it exactly once")


def join(parts: Sequence[Part]) -> Part:
    """What several workers wrote, as one, with the pieces of each tensor in the order of the workers.

    Raises:
        CheckpointError: Their pieces of a tensor do not cover it exactly once, or differ in its type or shape.
    """
    files: dict[str, FileRecord] = {}
    tensors: dict[str, TensorRecord] = {}
    for part in parts:
        files |= part.files
        for name, record in part.tensors.items():
            before = tensors.get(name, record)
            if (before.dtype, before.shape) != (record.dtype, record.shape):
                raise CheckpointError(f"workers have pieces of {name} that differ in type or whole shape")
            shards = record.shards if before is record else before.shards + record.shards
            tensors[name] = replace(record, shards=shards)
    for name, record in tensors.items():
        check_layout(name, record)
    return Part(parts[0].state, files, tensors)


def _overlaps(pieces: Sequence[Piece]) -> Iterator[bool]:
    """True for each pair of pieces that have a number in common.

    Sorted by where they begin, a piece is compared only with those that begin before it ends in the first dimension.
    """
    ordered = sorted(map(region_of, pieces), key=lambda region: region.offsets)
    for index, region in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if region.offsets and other.offsets[0] >= region.offsets[0] + region.shape[0]:
                break
            yield region.common(other) is not None
