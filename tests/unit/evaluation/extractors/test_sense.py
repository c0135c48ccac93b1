"""Whether the distance by an extractor of our own recipe rises with what is wrong with digits that it has never seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from raygen.evaluation.extractors import read_extractor, train_extractor
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.storage import LocalStorage
from tests.unit.evaluation.images.corruptions import all_rise, blurred, noisy, shuffled_digits, without

COUNT = 600

Distance = Callable[[Tensor], dict[str, float]]


def grey(images: Tensor) -> Tensor:
    return (images * 255).round().byte()


@pytest.fixture(scope="module")
def halves() -> tuple[Tensor, Tensor, Tensor]:
    """Two sets of images and the labels of the second one."""
    images, labels = shuffled_digits(2 * COUNT)
    return images[:COUNT], images[COUNT:], labels[COUNT:]


@pytest.fixture(scope="module")
def distance(halves: tuple[Tensor, Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Distance:
    """From the first set."""
    images, labels = shuffled_digits(10_000, skip=3 * COUNT)
    trained = train_extractor(grey(images), labels, tuple("0123456789"), name="digits", steps=100)
    assert trained.accuracy > 0.97
    storage = LocalStorage(tmp_path_factory.mktemp("extractor"))
    storage.write("digits.safetensors", trained.content)
    extractor = read_extractor(storage, "digits.safetensors", sha256=trained.sha256)

    def sums(images: Tensor) -> FeatureSums:
        return FeatureSums.of(extractor.embed(grey(images)).features)

    of_real = sums(halves[0])
    return lambda other: {extractor.name: frechet_distance(of_real, sums(other)).value}


def test_halves_are_near_the_floor(halves: tuple[Tensor, Tensor, Tensor], distance: Distance) -> None:
    # The floor is what any other images of the same kind are apart.
    others, _ = shuffled_digits(3 * COUNT, skip=2 * COUNT)
    found, floor = (distance(one)["digits"] for one in (halves[1], others))
    assert 0.5 * floor < found < 2 * floor
    assert distance(noisy(halves[1], 0.2))["digits"] > 3 * max(found, floor)


def test_blur_noise_and_digits_that_never_come_count_the_more_there_is(
    halves: tuple[Tensor, Tensor, Tensor], distance: Distance
) -> None:
    _, other, labels = halves
    same = distance(other)
    assert all_rise([same, *(distance(blurred(other, sigma)) for sigma in (0.7, 1.0, 1.5, 2.0))])
    assert all_rise([same, *(distance(noisy(other, sigma)) for sigma in (0.1, 0.2, 0.4))])
    assert all_rise([same, *(distance(without(other, labels, least)) for least in (1, 3, 5))])
