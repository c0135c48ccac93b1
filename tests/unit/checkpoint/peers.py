"""The writers of several workers, in one process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from raygen.checkpoint import Block, Writer
from raygen.storage import Storage
from tests.unit.checkpoint.faults import Mortal

SECONDS = 30


class Meeting:
    """Where the writers of several workers exchange messages."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count, timeout=SECONDS)
        self.messages = [""] * count


class Peer:
    """One of them."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.meeting = meeting
        self.rank = rank
        self.count = meeting.count

    def gather(self, message: str) -> Sequence[str]:
        self.meeting.messages[self.rank] = message
        self.meeting.barrier.wait()
        found = list(self.meeting.messages)
        self.meeting.barrier.wait()
        return found


def save_together(
    storages: Sequence[Storage],
    step: int,
    tensors: Sequence[Mapping[str, torch.Tensor | Block]],
    values: dict[str, Any],
    **options: Any,
) -> list[BaseException | None]:
    """Saves one checkpoint with a worker for each storage and its tensors; gives what each of them raised."""
    meeting = Meeting(len(storages))
    writers = [
        Writer(storage, peers=Peer(meeting, rank), keep=2, **options) for rank, storage in enumerate(storages)
    ]
    for writer, own, storage in zip(writers, tensors, storages, strict=True):
        if isinstance(storage, Mortal):
            # The others hear of a death, as over a connection that is cut.
            storage.mourners.append(meeting.barrier.abort)
        writer.save(step, own, values)
    errors: list[BaseException | None] = []
    for writer in writers:
        try:
            writer.close()
        except BaseException as error:  # noqa: BLE001 (a death too)
            errors.append(error)
        else:
            errors.append(None)
    return errors


def rows(state: Mapping[str, torch.Tensor], rank: int, count: int) -> dict[str, torch.Tensor | Block]:
    """A worker's rows of each tensor, as even as may be; scalars are the first worker's."""
    found: dict[str, torch.Tensor | Block] = {}
    for name, tensor in state.items():
        if tensor.dim() == 0:
            found |= {name: tensor} if rank == 0 else {}
            continue
        first, end = (len(tensor) * number // count for number in (rank, rank + 1))
        offsets = (first, *(0,) * (tensor.dim() - 1))
        found[name] = Block(tensor[first:end], offsets, tuple(tensor.shape))
    return found
