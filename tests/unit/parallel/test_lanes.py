"""Samples with weights: any cutting of a step into parts and workers trains alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from raygen.data.protocol import Dataset, Samples
from raygen.data.readers import open_data
from raygen.data.remarks import Remark
from raygen.models.draws import Draws
from raygen.models.protocol import Alone, MicroBatch
from raygen.models.registry import build_family
from raygen.parallel.lanes import micro_batches
from raygen.spec import TrainingJob, parse, resolve
from raygen.spec.contents import IGNORED, Domain
from raygen.training.optimizers.updates import make_updates
from tests.budget import examples
from tests.jobs import job_document, write_text
from tests.workers import Crowd, Worker

CPU = torch.device("cpu")


class Answers:
    """A data set of text of which only the end of each window is learned: `learned` targets of it."""

    unit = "tokens"
    weighted = True

    def __init__(self, inner: Dataset, learned: Sequence[int]) -> None:
        self._inner, self._learned = inner, np.asarray(learned)
        self.units_per_sample, self.samples_per_epoch = inner.units_per_sample, inner.samples_per_epoch
        self.domain: Domain = inner.domain
        self.remarks: Sequence[Remark] = ()
        self.fingerprint = inner.fingerprint

    def files(self) -> Mapping[str, bytes]:
        return self._inner.files()

    def train_batch(self, positions: range) -> Samples:
        arrays = dict(self._inner.train_batch(positions).arrays)
        counts = self._learned[np.arange(positions.start, positions.stop) % len(self._learned)]
        places = np.arange(self.units_per_sample)
        arrays["targets"] = np.where(
            places >= self.units_per_sample - counts[:, None], arrays["targets"], IGNORED
        )
        return Samples(arrays, counts.astype(np.float32))

    def validation_batches(self, size: int) -> Iterator[Samples]:
        return self._inner.validation_batches(size)

    def close(self) -> None:
        self._inner.close()


def gradients(job: TrainingJob, data: Dataset, workers: int) -> tuple[float, NDArray[np.float64]]:
    """The loss and all gradients of the first step with this many workers, one after the other in rank."""
    families = [build_family(job, data.domain, CPU) for _ in range(workers)]

    def work(worker: Worker) -> tuple[float, list[Tensor]]:
        own = worker if workers > 1 else Alone()
        family = families[worker.rank]
        network = family.networks["model"]
        updates = make_updates(family, job.spec.training, 1, own)
        updates["model"].schedule(1)
        before = [p.detach().clone() for p in network.parameters()]
        scalars = family.step(micro_batches(job, data, CPU, 1, own), updates, own)
        after = network.parameters()
        return float(scalars["loss"]), [old - new.detach() for old, new in zip(before, after, strict=True)]

    loss, found = Crowd(workers).run(work)[0]
    return loss, np.concatenate([difference.double().flatten().numpy() for difference in found])


def sgd_job(micro: int | None) -> TrainingJob:
    """The change of the weights is the gradient."""
    return resolve(
        parse(
            job_document(
                training__globalBatchSize=6,
                training__microBatchSize=micro,
                training__optimizer={"type": "SGD", "learningRate": 1.0, "weightDecay": 0.0},
                training__schedule=None,
                training__gradientClipNorm=None,
            )
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("text")
    write_text(made / "text.txt")
    return made


@examples(10)
@given(
    learned=st.lists(st.integers(0, 16), min_size=6, max_size=6).filter(any),
    micro=st.sampled_from([None, 1, 2, 4]),
    workers=st.sampled_from([1, 2, 3]),
)
def test_a_step_is_the_mean_over_everything_that_counts(
    folder: Path, learned: list[int], micro: int | None, workers: int
) -> None:
    data = Answers(open_data(sgd_job(None), folder, {}), learned)
    loss, moved = gradients(sgd_job(micro), data, workers)

    samples = data.train_batch(range(6))
    family = build_family(sgd_job(None), data.domain, CPU)
    network = family.networks["model"]
    inputs, targets = (
        torch.from_numpy(np.ascontiguousarray(samples.arrays[n])) for n in ("inputs", "targets")
    )
    logits = network(inputs)
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    expected = torch.autograd.grad(whole, list(network.parameters()))
    assert loss == pytest.approx(float(whole.detach()), rel=1e-4)
    flat = np.concatenate([gradient.flatten().numpy() for gradient in expected])
    assert moved == pytest.approx(flat, rel=1e-2, abs=1e-5)


def test_a_step_without_anything_to_learn_changes_nothing(folder: Path) -> None:
    data = Answers(open_data(sgd_job(None), folder, {}), [0])
    loss, moved = gradients(sgd_job(2), data, 2)
    assert loss == 0.0
    assert not moved.any()


def test_weights_of_one_are_no_weights() -> None:
    draws = Draws((0,), range(3), CPU)
    values = torch.tensor([[1.0, 2.0], [3.0, 5.0], [8.0, 11.0]])
    plain = MicroBatch({}, 1.0, draws)
    weighted = MicroBatch({}, 1.0, draws, torch.ones(3))
    torch.testing.assert_close(plain.mean(values), weighted.mean(values))
    torch.testing.assert_close(plain.mean(values[:, 0]), torch.tensor(4.0))
    torch.testing.assert_close(
        MicroBatch({}, 1.0, draws, torch.tensor([0.0, 3.0, 1.0])).mean(values), torch.tensor([4.25, 6.5])
    )
