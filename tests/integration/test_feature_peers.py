"""The same features in torch-fidelity, torchmetrics and prdc: who agrees to six digits and more, and where they do not, why."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygen.evaluation.images.features import neighbourhood
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.evaluation.images.kernel import gaussian_kernel_distance, kernel_distance
from raygen.evaluation.images.probabilities import class_probabilities, classifier_score

SIX_DIGITS = 1e-6
FIDELITY = "torch-fidelity==0.4.0"

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("fidelity")]


@pytest.fixture(scope="module")
def fidelity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """torch-fidelity, in a folder of its own: its wheel holds a package named tests, which would hide this project's from processes."""
    folder = tmp_path_factory.mktemp("fidelity")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv is not None, "needs uv"
    command = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        sys.executable,
        "--target",
        folder,
        FIDELITY,
    ]
    subprocess.run(command, check=True)
    sys.path.append(str(folder))
    yield
    sys.path.remove(str(folder))


def peer(name: str) -> Any:
    """A module of a peer, whose warnings are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def quiet(function: Any, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


class Given(nn.Module):
    """An extractor whose images are features already."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions

    def forward(self, features: Tensor) -> Tensor:
        return features


def features(kind: str, seed: int, count: int = 500, dimensions: int = 32) -> Tensor:
    """Correlated features in float64, about 0, or rectified like those of a network."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(99)).double()
    found = torch.randn(count, dimensions, generator=generator, dtype=torch.float64) @ mixing
    return found.clamp(min=0) if kind == "rectified" else found


def sets(kind: str, dimensions: int = 32) -> tuple[Tensor, Tensor]:
    return features(kind, 0, dimensions=dimensions), 1.1 * features(kind, 1, dimensions=dimensions) + 0.2


def in_torchmetrics(name: str, real: Tensor, fake: Tensor, **options: Any) -> Any:
    module = peer(f"torchmetrics.image.{name}")
    kind = {"fid": "FrechetInceptionDistance", "kid": "KernelInceptionDistance"}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = getattr(module, kind)(feature=Given(real.shape[1]), **options)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return metric.compute()


def in_torch_fidelity(real: Tensor, fake: Tensor) -> float:
    module = peer("torch_fidelity.metric_fid")
    both = [module.fid_features_to_statistics(part) for part in (real, fake)]
    found: float = module.fid_statistics_to_metric(*both, False)["frechet_inception_distance"]
    return found


@pytest.mark.parametrize("kind", ["about 0", "rectified"])
@pytest.mark.parametrize("dimensions", [8, 32, 128])
def test_frechet_distance(kind: str, dimensions: int) -> None:
    real, fake = sets(kind, dimensions)
    found = frechet_distance(FeatureSums.of(real), FeatureSums.of(fake)).value
    assert found == pytest.approx(in_torch_fidelity(real, fake), rel=SIX_DIGITS)
    assert found == pytest.approx(float(in_torchmetrics("fid", real, fake)), rel=SIX_DIGITS)


def test_frechet_distance_of_fewer_samples_than_dimensions() -> None:
    real, fake = features("about 0", 0, 40, 128), features("about 0", 1, 30, 128) + 1
    found = frechet_distance(FeatureSums.of(real), FeatureSums.of(fake))
    assert found.singular
    assert found.value == pytest.approx(in_torch_fidelity(real, fake), rel=SIX_DIGITS)
    assert found.value == pytest.approx(float(in_torchmetrics("fid", real, fake)), rel=SIX_DIGITS)


def test_frechet_distance_of_features_with_a_large_mean() -> None:
    # Multiples of 1/8 stay exact under a mean of 2^20, in float32 too, so that the distance has to stay as it is.
    real, fake = ((features("about 0", seed).clamp(-8, 8) * 4).round() / 8 for seed in (0, 1))
    expected = frechet_distance(FeatureSums.of(real), FeatureSums.of(fake)).value
    far, further = (real + 2.0**20).float(), (fake + 2.0**20).float()
    ours = frechet_distance(FeatureSums.of(far), FeatureSums.of(further)).value
    assert ours == pytest.approx(expected, rel=1e-12)
    # torch-fidelity takes the mean in the features' type; torchmetrics sums squares with the mean in them, and returns that type.
    assert in_torch_fidelity(far, further) != pytest.approx(expected, rel=1e-3)
    assert in_torch_fidelity(far.double(), further.double()) == pytest.approx(expected, rel=SIX_DIGITS)
    assert float(in_torchmetrics("fid", far.double(), further.double())) != pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["about 0", "rectified"])
def test_kernel_distance(kind: str) -> None:
    real, fake = sets(kind)
    found = kernel_distance(real, fake).value
    module = peer("torch_fidelity.metric_kid")
    options = {"kid_subsets": 1, "kid_subset_size": len(real), "verbose": False}
    theirs = module.kid_features_to_metric(real, fake, **options)["kernel_inception_distance_mean"]
    assert found == pytest.approx(theirs, rel=SIX_DIGITS)
    other, _ = in_torchmetrics("kid", real, fake, subsets=1, subset_size=len(real))
    assert found == pytest.approx(float(other), rel=SIX_DIGITS)


def test_kernel_distance_of_float32_features_with_a_common_mean() -> None:
    real, fake = (10 + 0.1 * features("about 0", seed).float() for seed in (0, 1))
    found = kernel_distance(real, fake).value
    exact, _ = in_torchmetrics("kid", real.double(), fake.double(), subsets=1, subset_size=len(real))
    assert found == pytest.approx(float(exact), rel=SIX_DIGITS)
    rounded, _ = in_torchmetrics("kid", real, fake, subsets=1, subset_size=len(real))
    assert float(rounded) != pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("kind", ["about 0", "rectified"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbourhoods(kind: str, k: int) -> None:
    real, fake = (part[:, :6].contiguous() for part in sets(kind))
    # Rectified, some are equal: at the edge of a ball torch-fidelity counts what prdc does not.
    found = neighbourhood(real, fake, k)
    theirs = quiet(peer("prdc").compute_prdc, real.numpy(), fake.numpy(), k)
    for name, value in theirs.items():
        assert getattr(found, name) == pytest.approx(float(value), rel=SIX_DIGITS), name
    if kind == "about 0":
        module = peer("torch_fidelity.metric_prc")
        others = module.prc_features_to_metric(fake, real, prc_neighborhood=k, verbose=False)
        assert found.precision == pytest.approx(others["precision"], rel=SIX_DIGITS)
        assert found.recall == pytest.approx(others["recall"], rel=SIX_DIGITS)


def test_who_copies_each_sample_has_no_recall_by_prdc_and_all_by_torch_fidelity() -> None:
    real = features("about 0", 0, 60)
    fake = real.repeat(10, 1)
    found = neighbourhood(real, fake, 5)
    assert (found.recall, found.precision, found.fake_copies) == (0, 1, 1)
    others = peer("torch_fidelity.metric_prc").prc_features_to_metric(
        fake, real, prc_neighborhood=5, verbose=False
    )
    assert (others["recall"], others["precision"]) == (1, 1)


def logits(count: int = 500) -> Tensor:
    return 2 * torch.randn(count, 10, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def scores_in_torchmetrics(given: Tensor, splits: int) -> tuple[float, float]:
    module = peer("torchmetrics.image.inception")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = module.InceptionScore(feature=Given(given.shape[1]), splits=splits)
        metric.update(given)
        state = torch.get_rng_state()
        torch.manual_seed(0)
        order = torch.randperm(len(given))
        torch.manual_seed(0)
        # It shuffles by the global generator; so the samples are put where its shuffling brings them back.
        metric.features = [given[order.argsort()]]
        value, deviation = metric.compute()
        torch.set_rng_state(state)
    return float(value), float(deviation)


@pytest.mark.parametrize("splits", [1, 10])
def test_classifier_score(splits: int) -> None:
    given = logits()
    found = classifier_score(class_probabilities(given), splits, seed=None)
    module = peer("torch_fidelity.metric_isc")
    theirs = module.isc_features_to_metric(given, splits, shuffle=False)
    assert found.value == pytest.approx(theirs["inception_score_mean"], rel=SIX_DIGITS)
    assert found.deviation == pytest.approx(theirs["inception_score_std"], rel=SIX_DIGITS, abs=1e-12)
    if splits > 1:
        value, deviation = scores_in_torchmetrics(given, splits)
        assert found.value == pytest.approx(value, rel=SIX_DIGITS)
        # It divides by the number of parts less one.
        assert found.deviation * (splits / (splits - 1)) ** 0.5 == pytest.approx(deviation, rel=SIX_DIGITS)


def test_classifier_score_of_parts_of_unequal_size() -> None:
    given = logits(111)
    found = classifier_score(class_probabilities(given), 10, seed=None)
    theirs = peer("torch_fidelity.metric_isc").isc_features_to_metric(given, 10, shuffle=False)
    assert found.value == pytest.approx(theirs["inception_score_mean"], rel=SIX_DIGITS)
    # torchmetrics takes parts of 12, of which the last has 3.
    assert scores_in_torchmetrics(given, 10)[0] != pytest.approx(found.value, rel=1e-3)


def test_the_gaussian_distance_is_what_the_code_of_cmmd_computes_in_float64() -> None:
    real, fake = (nn.functional.normalize(part).numpy() for part in sets("about 0"))

    def mean(x: Any, y: Any) -> float:
        squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1)[None, :] - 2 * x @ y.T
        return float(np.mean(np.exp(-squares / (2 * 10**2))))

    expected = 1000 * (mean(real, real) + mean(fake, fake) - 2 * mean(real, fake))
    found = gaussian_kernel_distance(torch.from_numpy(real), torch.from_numpy(fake))
    assert found.value == pytest.approx(expected, rel=SIX_DIGITS)
