"""The order's hash: one SHA-256 by which anyone can check which sample a run takes at which position.

It is the SHA-256 of these bytes, with nothing between or behind them:

1. the data's fingerprint, as its 64 hexadecimal digits in lower case and ASCII;
2. for each position from 0 on the number of the sample that stands there, as a signed integer of 64 bits, little-endian.

Samples of prepared data are numbered from 0 as its index lists them: components in turn, of each its shards in turn, of each
its samples from its beginning. A shard of images has a sample for each row; one of text has one for each document where documents
are not packed, and else `max(tokens - contextLength, 0) // contextLength` windows (`raygen.data.shards.text` has where they begin).
`raygen.data.shards.order` and `raygen.data.shards.mixture` have which number stands at a position, `raygen.data.order` has it for data
that is held in memory.

The numbers are a function of what `OrderRecord.of` names, which is kept beside the hash. A hash of the first positions can be
continued: `OrderHash` takes the next numbers after any digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raygen.spec import ResolvedJob

Numbers = NDArray[np.int64]
PositionsToSamples = Callable[[range], Numbers]
"""The numbers of the samples at consecutive positions: (positions,)."""

RUN_POSITIONS = 1 << 20
"""Positions that the hash of a run covers at most, so that it delays no start: the first epoch, or the beginning of a long one."""
_PIECE = 1 << 16


class OrderHash:
    """The hash of the first positions, continued as far as wanted.

    Args:
        fingerprint: Of the data.

    Attributes:
        positions: How many positions it covers.
    """

    def __init__(self, fingerprint: str) -> None:
        self._digest = hashlib.sha256(fingerprint.encode("ascii"))
        self.positions = 0

    def add(self, samples: Numbers) -> None:
        """Takes the numbers of the samples at the next positions."""
        self._digest.update(np.ascontiguousarray(samples, dtype="<i8").data)
        self.positions += len(samples)

    def extend(self, order: PositionsToSamples, positions: int) -> None:
        """Goes on to the first `positions` positions, piece by piece, so that memory holds few of them."""
        while self.positions < positions:
            self.add(order(range(self.positions, min(self.positions + _PIECE, positions))))

    def hexdigest(self) -> str:
        """The hash of what it covers so far, in hexadecimal."""
        return self._digest.hexdigest()


class Ordered(Protocol):
    """What a data set must say for its order to be hashed."""

    @property
    def samples_per_epoch(self) -> int:
        """Samples in one pass over the training split."""

    @property
    def fingerprint(self) -> str:
        """Of the data."""

    def order(self, positions: range) -> Numbers:
        """The numbers of the samples at consecutive positions: (positions,)."""


@dataclass(frozen=True)
class OrderRecord:
    """The hash of an order, with what it depends on; JSON values alone.

    Attributes:
        sha256: The hash, in hexadecimal.
        positions: How many positions it covers, from 0.
        of: What the order is a function of: `fingerprint`, `samplesPerEpoch` and `seed`, and where the job has them `contextLength`,
            `packing`, `mixture` and `weightChanges`.
    """

    sha256: str
    positions: int
    of: Mapping[str, Any]


def record_order(job: ResolvedJob, data: Ordered, limit: int | None = None) -> OrderRecord:
    """Hashes the first epoch of a job's order.

    Args:
        job: A resolved job.
        data: Its data.
        limit: Positions to cover at most. Default: the whole epoch.
    """
    hashed = OrderHash(data.fingerprint)
    hashed.extend(data.order, min(data.samples_per_epoch, limit or data.samples_per_epoch))
    known = {"fingerprint": data.fingerprint, "samplesPerEpoch": data.samples_per_epoch}
    return OrderRecord(hashed.hexdigest(), hashed.positions, known | _said(job))


def _said(job: ResolvedJob) -> dict[str, Any]:
    """What the job says that the order depends on, besides the data."""
    spec = job.spec
    said: dict[str, Any] = {"seed": spec.training.seed}
    if spec.data.kind == "text":
        said["contextLength"] = spec.model.block.tokens
        if spec.preparation is not None:
            said["packing"] = spec.data.packing
    train = spec.data.train.model_dump(mode="json", by_alias=True, exclude_none=True)
    return said | {name: train[name] for name in ("mixture", "weightChanges") if train.get(name)}
