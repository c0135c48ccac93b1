"""Gradients that lie together in memory, so that a few large messages carry them to the other workers.

A bucket's buffer is one Float32 vector: the gradients, each on a boundary of 64 bytes, then a flag for each parameter
that says whether this worker has its gradient. A sum over all workers so carries the flags too, and a parameter that got
no gradient here takes that of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from raygen.models.protocol import Pending, Workers

ALIGNMENT = 16
"""Float32 numbers; kernels read whole vectors from such boundaries."""


class Slot:
    """A parameter's place in a bucket.

    Args:
        parameter: The parameter.
        buffer: The bucket's.
        start: Its first number there.
    """

    def __init__(self, parameter: nn.Parameter, buffer: Tensor, start: int) -> None:
        self.parameter = parameter
        # As the parameter lies in memory: fused optimizers walk through both in the same order.
        strides = torch.empty_like(parameter, device="meta").stride()
        self._place = buffer.as_strided(parameter.shape, strides, start)
        self._shared = parameter.dtype == torch.float32

    @property
    def filled(self) -> bool:
        """Whether the parameter has a gradient."""
        return self.parameter.grad is not None

    def move(self) -> None:
        """Moves a gradient into the bucket, where later ones are added to it; of another type than Float32, not yet."""
        if self._shared and self.parameter.grad is not self._place and self.parameter.grad is not None:
            self._place.copy_(self.parameter.grad)
            self.parameter.grad = self._place

    def pack(self) -> None:
        """Makes the bucket hold the gradient, or zeros without one."""
        if self.parameter.grad is None:
            self._place.zero_()
        elif self._shared:
            self.move()
        else:
            self._place.copy_(self.parameter.grad)

    def unpack(self) -> None:
        """Gives the parameter what the bucket holds as its gradient."""
        if self._shared:
            self.parameter.grad = self._place
        elif self.parameter.grad is None:
            self.parameter.grad = self._place.to(self.parameter.dtype)
        else:
            self.parameter.grad.copy_(self._place)


class Bucket:
    """Gradients that are summed over all workers in one message.

    Args:
        parameters: Whose gradients, all on one device.

    Attributes:
        slots: The places of the gradients.
        missing: Parameters whose gradients are still to come in the last backward pass of a step.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        starts, end = [], 0
        for parameter in parameters:
            starts.append(end)
            end += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        count = len(parameters)
        self._buffer = torch.zeros(end + count, dtype=torch.float32, device=parameters[0].device)
        self._flags = self._buffer[end:]
        self.slots = [Slot(p, self._buffer, start) for p, start in zip(parameters, starts, strict=True)]
        self.missing = set(self.slots)
        self._filled: list[bool] = []
        self._pending: Pending | None = None

    @property
    def started(self) -> bool:
        """Whether the sum of this step was started."""
        return self._pending is not None

    def start(self, workers: Workers) -> None:
        """Starts the sum over all workers."""
        for slot in self.slots:
            slot.pack()
        self._filled = [slot.filled for slot in self.slots]
        if all(self._filled):
            self._flags.fill_(1)
        else:
            self._flags.copy_(torch.tensor(self._filled, dtype=torch.float32))
        self._pending = workers.start_sum(self._buffer)

    def finish(self) -> None:
        """Waits for the sum that was started, and gives it to the parameters of which any worker has a gradient."""
        if self._pending is None:
            return
        self._pending.wait()
        self._pending = None
        # The flags are read only where they can change something, since that waits for the device.
        anywhere = self._filled if all(self._filled) else [flag > 0 for flag in self._flags.tolist()]
        for slot, present in zip(self.slots, anywhere, strict=True):
            if present:
                slot.unpack()
        self.missing = set(self.slots)


def fill_buckets(parameters: Iterable[nn.Parameter], size: int) -> list[Bucket]:
    """Buckets of at most `size` bytes of Float32, or of one parameter, in the order of the parameters."""
    groups: list[list[nn.Parameter]] = []
    held = 0
    for parameter in parameters:
        held += 4 * parameter.numel()
        if not groups or held > size or parameter.device != groups[-1][0].device:
            groups.append([])
            held = 4 * parameter.numel()
        groups[-1].append(parameter)
    return [Bucket(group) for group in groups]
