"""Runs families of images without a training loop: batches, workers in threads, updates that keep gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raygen.data.images.pixels import ImageShape
from raygen.data.order import lanes_of
from raygen.models.draws import Draws
from raygen.models.protocol import MicroBatch
from raygen.models.registry import build_family
from raygen.parallel.choice import make_strategy
from raygen.spec import TrainingJob, parse, resolve
from raygen.training.optimizers.updates import make_updates
from tests.jobs import image_job_document
from tests.workers import Crowd, Worker

CPU = torch.device("cpu")
SHAPE = ImageShape(1, 16, 16, ("a", "b", "c"))


def job_of(family: str, **changes: Any) -> TrainingJob:
    return resolve(parse(image_job_document(family, **changes)))


def family_of(job: TrainingJob, shape: ImageShape = SHAPE) -> Any:
    return build_family(job, shape, CPU)


def batch_of(count: int, shape: ImageShape = SHAPE, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size = (count, shape.channels, shape.height, shape.width)
    return {
        "images": torch.randint(256, size, generator=generator, dtype=torch.uint8),
        "labels": torch.randint(max(len(shape.classes), 1), (count,), generator=generator),
    }


def parts_of(batch: dict[str, Tensor], slots: range, part: int, step: int = 1) -> list[MicroBatch]:
    """Some slots of a step as micro-batches of at most `part` samples."""
    total = len(batch["images"])
    found = []
    for start in range(slots.start, slots.stop, part):
        own = range(start, min(start + part, slots.stop))
        tensors = {name: tensor[own.start : own.stop] for name, tensor in batch.items()}
        found.append(MicroBatch(tensors, len(own) / total, Draws((1, 0, step), own, CPU), step=step))
    return found


def train_on(
    workers: int, make: Callable[[], TrainingJob], batches: list[dict[str, Tensor]], part: int = 100
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Trains one step on each batch with this many workers; gives the scalars and the weights of worker 0."""
    job = make()
    # Made one after the other: initial weights are drawn from the process's own generator.
    families = [family_of(job) for _ in range(workers)]

    def work(own: Worker) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        family = families[own.rank]
        updates = make_updates(family, job.spec.training, len(batches), make_strategy(own))
        scalars = []
        for step, batch in enumerate(batches, start=1):
            for update in updates.values():
                update.schedule(step)
            slots = lanes_of(own.rank, workers, len(batch["images"]))
            found = family.step(parts_of(batch, slots, part, step), updates, own)
            scalars.append({name: float(value) for name, value in found.items()})
        state = {f"{n}/{k}": v for n, net in family.networks.items() for k, v in net.state_dict().items()}
        return scalars, state

    return Crowd(workers).run(work)[0]


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any], tolerance: float = 2e-4) -> None:
    for ours, theirs in zip(one[0], other[0], strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(theirs[name], value, rtol=tolerance, atol=tolerance, msg=name)
    for name, tensor in one[1].items():
        torch.testing.assert_close(other[1][name], tensor, rtol=1e-3, atol=tolerance)


def write_model(folder: Path, source: str) -> None:
    (folder / "model.py").write_text(source, encoding="utf-8")
