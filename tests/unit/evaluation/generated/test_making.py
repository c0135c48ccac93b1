"""What workers make together: the same for any number of them, and nothing where one gives up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar, cast

import pytest
import torch
from torch import Tensor

from raygen.errors import ModelError
from raygen.evaluation.extractors import Embedded, Network, open_extractor
from raygen.evaluation.generated.making import (
    BLOCK,
    Team,
    blocks_of,
    embedded,
    generated_images,
    generated_texts,
)
from raygen.models.protocol import Alone, Batch, Family, SampleRequest, Workers
from tests.unit.evaluation.extractors.files import network_file, random_images, sha256

T = TypeVar("T")
COUNT = 2 * BLOCK + 17
IMAGES = random_images(COUNT)


class Crowd:
    """Workers of one process, which wait for each other wherever real ones do."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._barrier = Barrier(count, timeout=30)
        self._said: list[Any] = [None] * count

    def exchange(self, rank: int, own: Any) -> list[Any]:
        self._said[rank] = own
        self._barrier.wait()
        found = list(self._said)
        self._barrier.wait()
        return found

    def run(
        self, work: Callable[[Team], T], go_on: Callable[[int], Callable[[], bool]] | None = None
    ) -> list[T]:
        """What each worker returns, in the order of their ranks."""

        def of(rank: int) -> T:
            def gather(own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
                return self.exchange(rank, own)

            worker = cast("Workers", Worker(self, rank, self.count))
            asked = (lambda: True) if go_on is None else go_on(rank)
            return work(Team(worker, torch.device("cpu"), asked, gather))

        with ThreadPoolExecutor(self.count) as threads:
            return list(threads.map(of, range(self.count)))


@dataclass
class Worker:
    """One that sums."""

    crowd: Crowd
    rank: int
    count: int

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        parts = self.crowd.exchange(self.rank, tensors)
        return tuple(torch.stack(one).sum(dim=0) for one in zip(*parts, strict=True))


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("extractor") / "pets.safetensors"
    path.write_bytes(content := network_file())
    return open_extractor(str(path), Network(), sha256=sha256(content))


def pictures(samples: range) -> Tensor:
    return IMAGES[samples.start : samples.stop]


@dataclass
class Writer:
    """A model of texts: text i repeats the token i, and is as long as i says."""

    found: str = "tokens"

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        tokens = torch.full((len(samples), request.max_tokens), -1)
        for row, number in enumerate(samples):
            tokens[row, : number % (request.max_tokens + 1)] = number
        return {self.found: tokens}


def family(found: str = "tokens") -> Family:
    return cast("Family", Writer(found))


@pytest.mark.parametrize("count", [1, BLOCK, COUNT])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_blocks_are_the_same_for_any_number_of_workers(count: int, workers: int) -> None:
    found = [
        list(blocks_of(count, cast("Workers", Worker(Crowd(1), rank, workers)))) for rank in range(workers)
    ]
    every = sorted((block for part in found for block in part), key=lambda block: block.start)
    assert every == list(blocks_of(count, Alone()))
    assert [number for block in every for number in block] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_features_are_the_same_bits_for_any_number_of_workers(extractor: Any, workers: int) -> None:
    alone = embedded(pictures, COUNT, extractor, Team())
    assert alone is not None
    assert alone.probabilities is not None
    direct: Embedded = extractor.embed(IMAGES)
    assert torch.equal(alone.features, direct.features)
    for one in Crowd(workers).run(lambda team: embedded(pictures, COUNT, extractor, team)):
        assert one is not None
        assert torch.equal(one.features, alone.features)
        assert one.probabilities is not None
        assert torch.equal(one.probabilities, alone.probabilities)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_texts_are_the_same_for_any_number_of_workers(workers: int) -> None:
    request = SampleRequest(count=COUNT, seed=0, max_tokens=5)
    expected = [[number] * (number % 6) for number in range(COUNT)]
    assert Crowd(workers).run(lambda team: generated_texts(family(), request, team)) == [expected] * workers


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("after", [0, 1])
def test_all_give_up_where_the_last_worker_does(extractor: Any, workers: int, after: int) -> None:
    def go_on(rank: int) -> Callable[[], bool]:
        left = iter([True] * after) if rank == workers - 1 else iter([True] * COUNT)
        return lambda: next(left, False)

    # With three workers the last one has a single block.
    many = COUNT + BLOCK * workers
    request = SampleRequest(count=many, seed=0, max_tokens=2)
    crowd = Crowd(workers)
    assert crowd.run(lambda team: generated_texts(family(), request, team), go_on) == [None] * workers
    found = crowd.run(lambda team: embedded(lambda block: IMAGES[: len(block)], many, extractor, team), go_on)
    assert found == [None] * workers


def test_a_model_that_generates_something_else_is_told() -> None:
    request = SampleRequest(count=3, seed=0, max_tokens=2)
    with pytest.raises(ModelError, match="nothing to generate texts from"):
        generated_texts(family("images"), request, Team())
    with pytest.raises(ModelError, match="nothing to generate images from"):
        generated_images(family("tokens"), request)(range(3))
