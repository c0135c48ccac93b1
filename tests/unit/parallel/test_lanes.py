"""Samples with weights: any cutting of a step into parts and workers trains alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from raygen.errors import DataError
from raygen.models.draws import Draws
from raygen.models.protocol import Alone, MicroBatch
from raygen.models.registry import build_family
from raygen.parallel.choice import make_strategy
from raygen.parallel.lanes import micro_batches, parts_of, validation_batches
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

    def order(self, positions: range) -> NDArray[np.int64]:
        return self._inner.order(positions)

    def close(self) -> None:
        self._inner.close()


def gradients(job: TrainingJob, data: Dataset, workers: int) -> tuple[float, NDArray[np.float64]]:
    """The loss and all gradients of the first step with this many workers, one after the other in rank."""
    families = [build_family(job, data.domain, CPU) for _ in range(workers)]

    def work(worker: Worker) -> tuple[float, list[Tensor]]:
        own = worker if workers > 1 else Alone()
        strategy = make_strategy(own)
        family = families[worker.rank]
        network = family.networks["model"]
        updates = make_updates(family, job.spec.training, 1, strategy)
        updates["model"].schedule(1)
        before = [p.detach().clone() for p in network.parameters()]
        scalars = family.step(micro_batches(job, data, CPU, 1, strategy, own), updates, own)
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


class Given:
    """A data set that gives these weights."""

    def __init__(self, *weights: Sequence[float] | None, weighted: bool = True) -> None:
        self.weighted = weighted
        self._batches = [None if w is None else np.asarray(w, dtype=np.float32) for w in weights]

    def _samples(self, weights: NDArray[np.float32] | None) -> Samples:
        return Samples({"inputs": np.zeros((4, 4), np.int64)}, weights)

    def train_batch(self, positions: range) -> Samples:
        return self._samples(self._batches[positions.start // 4 % len(self._batches)])

    def validation_batches(self, size: int) -> Iterator[Samples]:
        return map(self._samples, self._batches)


GOOD = [1.0, 0.0, 2.0, 0.5]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Given(None), "samples 4 to 7 have no weights, where all should have"),
        (Given(GOOD, weighted=False), "samples 4 to 7 have weights, where none should have"),
        (Given([1.0]), r"samples 4 to 7 have weights of shape (1,) instead of (4,)"),
        (Given([1.0, np.nan, 1.0, 1.0]), "samples 4 to 7 have a weight of nan, that of sample 5"),
        (Given([1.0, 1.0, np.inf, 1.0]), "samples 4 to 7 have a weight of inf, that of sample 6"),
        (Given([1.0, 1.0, 1.0, -0.5]), "samples 4 to 7 have a weight of -0.5, that of sample 7"),
    ],
)
def test_weights_that_cannot_be_are_refused(data: Any, words: str) -> None:
    job = resolve(parse(job_document(training__globalBatchSize=4)))
    with pytest.raises(DataError) as caught:
        parts_of(job, data, CPU, 2, 0, 1)
    assert caught.value.what == words
    assert caught.value.where == "spec.data.train"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([None, GOOD], "samples 4 to 7 have weights, where none should have"),
        ([GOOD, None], "samples 4 to 7 have no weights, where all should have"),
        ([GOOD, [-1.0, 0, 0, 0]], "samples 4 to 7 have a weight of -1.0, that of sample 4"),
        ([[0.0] * 4, [0.0] * 4], "all samples of the validation split have weight 0"),
    ],
)
@pytest.mark.parametrize("rank", [0, 1])
def test_weights_of_the_validation_split_are_checked_on_every_worker(
    batches: Any, words: str, rank: int
) -> None:
    job = resolve(parse(job_document(training__globalBatchSize=4)))
    data: Any = Given(*batches)
    with pytest.raises(DataError) as caught:
        list(validation_batches(job, data, CPU, make_strategy(Crowd(2).workers[rank])))
    assert words in caught.value.what
    assert caught.value.where == "spec.data.validation"


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
