"""A training step must not make the host wait for the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from raygen.data.text.windows import open_data
from raygen.models.protocol import Alone
from raygen.models.registry import build_family
from raygen.parallel.lanes import micro_batches
from raygen.parallel.whole import SingleWorker
from raygen.spec import parse, resolve
from raygen.training.optimizers.updates import make_updates
from tests.jobs import job_document


class Reads(TorchDispatchMode):
    """Counts what copies a value from the device to the host: `.item()`, `float(t)`, `if t:`."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_the_counter_counts() -> None:
    with Reads() as reads:
        float(torch.ones(1).sum())
    assert reads.count == 1


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "Muon"])
def test_a_step_reads_nothing_from_the_device(base: Path, optimizer: str) -> None:
    document = job_document(
        training__optimizer={"type": optimizer, "learningRate": 1e-3},
        training__microBatchSize=2,
        training__ema={"decay": 0.9},
        training__gradientClipNorm=1.0,
    )
    job = resolve(parse(document))
    data = open_data(job, base, {})
    device = torch.device("cpu")
    family = build_family(job, data.domain, device)
    updates = make_updates(family, job.spec.training, 10, SingleWorker())
    with Reads() as reads:
        for step in (1, 2):
            updates["model"].schedule(step)
            family.step(micro_batches(job, data, device, step, SingleWorker(), Alone()), updates, Alone())
    assert reads.count == 0
