"""A copy of the state in host memory, taken while training waits and written while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state that no longer changes.

    Attributes:
        tensors: Each distinct tensor once, contiguous, on the CPU.
        aliases: For every name that was saved, the name in `tensors` that holds its data.
        copies: Recorded after the copies from each device; the data are valid once they passed.
    """

    tensors: Mapping[str, torch.Tensor]
    aliases: Mapping[str, str]
    copies: tuple[torch.cuda.Event, ...]

    def wait(self) -> None:
        """Waits until the copies from the devices have arrived."""
        for event in self.copies:
            event.synchronize()


class Buffers:
    """Host memory that is reused from one snapshot to the next.

    A snapshot is valid until the next one is taken: the buffers are the same.
    """

    def __init__(self) -> None:
        self._held: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def take(self, tensors: Mapping[str, torch.Tensor]) -> Snapshot:
        """Copies `tensors`; tied ones (the same memory seen the same way) once.

        Copies from CUDA are queued on the current stream, before whatever changes the tensors
        next, so this does not wait for the device; `Snapshot.wait` does.
        """
        aliases: dict[str, str] = {}
        first: dict[tuple[object, ...], str] = {}
        held: dict[str, torch.Tensor] = {}
        for name, tensor in tensors.items():
            owner = aliases[name] = first.setdefault(_identity(name, tensor), name)
            if owner == name:
                held[name] = self._buffer(name, tensor)
                held[name].copy_(tensor.detach(), non_blocking=tensor.is_cuda)
        self._held = held
        devices = {tensor.device for tensor in tensors.values() if tensor.is_cuda}
        return Snapshot(held, aliases, tuple(_mark(device) for device in devices))

    def _buffer(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        held = self._held.get(name)
        if held is not None and held.shape == tensor.shape and held.dtype == tensor.dtype:
            return held
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=tensor.is_cuda)


def _identity(name: str, tensor: torch.Tensor) -> tuple[object, ...]:
    if tensor.numel() == 0:
        return (name,)
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _mark(device: torch.device) -> torch.cuda.Event:
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event
