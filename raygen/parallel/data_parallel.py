"""Every worker holds the whole network and trains on its own samples; gradients are summed while they come.

The sums run beside the backward pass, as in PyTorch's DistributedDataParallel (Li et al. 2020, VLDB 13(12), section 3.2),
with buckets that never change: which numbers are added up together, and so how they are rounded, is the same at the first
step after an interruption as at any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from raygen.errors import ModelError
from raygen.models.protocol import Workers
from raygen.parallel.buckets import Bucket, Slot, fill_buckets
from raygen.parallel.whole import Whole

BUCKET_BYTES = 25 << 20
"""Large enough to use the network well, small enough that the first sum starts early; DistributedDataParallel's size."""


class DataParallel:
    """Copies of each network on all workers, each trained on a part of the samples.

    Args:
        workers: All of them, as this one sees them.
        bucket_bytes: Most bytes of gradients in one message, unless a single one is larger.

    Attributes:
        data_rank: This worker's part of the samples, from 0.
        data_count: How many parts there are.
    """

    def __init__(self, workers: Workers, bucket_bytes: int = BUCKET_BYTES) -> None:
        self.data_rank = workers.rank
        self.data_count = workers.count
        self._workers = workers
        self._bucket_bytes = bucket_bytes

    def attach(self, network: nn.Module) -> Replica:
        """Takes over the gradients of a network that is on its device."""
        return Replica(network, self._workers, self._bucket_bytes)


class Replica(Whole):
    """This worker's copy of a network.

    Gradients live in buckets, filled in the reverse order of the parameters, which is about the order in which the
    backward pass makes them. A bucket's sum starts once its last gradient is there, and never before that of the bucket
    in front of it, so that all workers send the same messages in the same order.
    """

    def __init__(self, network: nn.Module, workers: Workers, bucket_bytes: int) -> None:
        super().__init__(network)
        self._workers = workers
        self._bucket_bytes = bucket_bytes
        # Frozen ones send nothing; those that are trained in a step after all are summed at its end.
        self._frozen = [p for p in self._parameters if not p.requires_grad]
        self._trained_now: set[nn.Parameter] = set()
        self._thawed: list[nn.Parameter] = []
        self._thawed_buckets: list[Bucket] = []
        trained = [p for p in self._parameters if p.requires_grad]
        self._buckets = fill_buckets(reversed(trained), bucket_bytes)
        self._in_last_pass = False
        for bucket in self._buckets:
            for slot in bucket.slots:
                hook = partial(self._arrived, bucket, slot)
                slot.parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds gradients; in the last backward pass of a step, sums each bucket as soon as it is complete."""
        self._note_thawed()
        self._in_last_pass = last
        try:
            super().backward(loss)
        finally:
            self._in_last_pass = False
        if last:
            # Not as late as in `reduce`: before it a family may call collectives of its own, and which
            # buckets are complete by then may differ between workers, but the order of messages may not.
            self._start(incomplete=True)

    def reduce(self) -> list[Tensor]:
        """The gradients, summed over all workers."""
        self._start(incomplete=True)
        for bucket in self._buckets:
            bucket.finish()
        self._reduce_thawed()
        return super().reduce()

    def pieces(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All of it on the first worker and nothing on the others, since all have the same."""
        return tensors if self._workers.rank == 0 else {}

    def _note_thawed(self) -> None:
        """Notes which of the parameters that were frozen at first are trained; they may be frozen again before `reduce`."""
        self._trained_now.update(p for p in self._frozen if p.requires_grad)

    @torch.no_grad()
    def _reduce_thawed(self) -> None:
        """Sums the gradients of parameters that were frozen at first and are trained in this step.

        Which these are is the same on all workers; which of them got a gradient is not, and the flags tell.
        """
        self._note_thawed()
        thawed = [p for p in self._frozen if p in self._trained_now]
        self._trained_now.clear()
        if [*map(id, thawed)] != [*map(id, self._thawed)]:
            self._thawed = thawed
            self._thawed_buckets = fill_buckets(reversed(thawed), self._bucket_bytes)
        for bucket in self._thawed_buckets:
            bucket.start(self._workers)
        for bucket in self._thawed_buckets:
            bucket.finish()

    @torch.no_grad()
    def _arrived(self, bucket: Bucket, slot: Slot, parameter: Tensor) -> None:  # noqa: ARG002 (the hook's)
        """Called when a backward pass has added to a parameter's gradient."""
        if bucket.started:
            raise ModelError(
                "a gradient came after those of its step were already being summed over the workers",
                remedy="Pass last=True to `backward` only where no other loss of the step reaches the network.",
            )
        slot.move()
        if self._in_last_pass:
            bucket.missing.discard(slot)
            self._start(incomplete=False)

    @torch.no_grad()
    def _start(self, *, incomplete: bool) -> None:
        """Starts the sums that may start: of complete buckets up to the first incomplete one, or of all."""
        for bucket in self._buckets:
            if bucket.started:
                continue
            if bucket.missing and not incomplete:
                break
            bucket.start(self._workers)
