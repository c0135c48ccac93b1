from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from raygen.data.images.pixels import ImageShape
from raygen.errors import ExportError, ValidationError
from raygen.models.draws import Draws
from raygen.models.protocol import Alone, SampleRequest
from tests.jobs import image_job_document
from tests.unit.models.images import CPU, assert_same, batch_of, family_of, job_of, parts_of, train_on
from tests.unit.training.runs import losses, train

MLP: dict[str, Any] = {"network": "MLP", "hiddenSizes": [16], "latentSize": 3}
CONV: dict[str, Any] = {"network": "ConvResidual", "channels": [8, 8], "latentSize": 3}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {**MLP, "likelihood": "Bernoulli"},
    "dynamic": {**MLP, "likelihood": "Bernoulli", "binarisation": "Dynamic"},
    "weighted": {**MLP, "likelihood": "Bernoulli", "beta": 2.0, "freeBits": 0.1, "klWarmupSteps": 3},
    "importance": {**MLP, "likelihood": "Bernoulli", "importanceSamples": 4},
    "gaussian": {**CONV, "likelihood": "Gaussian"},
    "logistic": {**CONV, "likelihood": "DiscretisedLogistic"},
    "codebook": {**CONV, "likelihood": "Bernoulli", "codebook": {"size": 8}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_and_resumes(image_base: Path, kind: str) -> None:
    document = image_job_document(model__vae=KINDS[kind], training__optimizer__type="Adam")
    whole = train(image_base, document, run="whole")
    train(
        image_base,
        image_job_document(
            model__vae=KINDS[kind], training__optimizer__type="Adam", training__duration__steps=10
        ),
        run="parts",
    )
    train(image_base, document, run="parts")
    course = losses(image_base, "whole")
    assert course == losses(image_base, "parts")
    assert whole.metrics["loss"] < course[1]


@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_micro_batches_change_nothing(kind: str) -> None:
    batches = [batch_of(10, seed=seed) for seed in range(3)]

    def make() -> Any:
        return job_of("VAE", model__vae=KINDS[kind], training__globalBatchSize=10)

    one = train_on(1, make, batches)
    assert_same(one, train_on(1, make, batches, part=3))
    assert_same(one, train_on(3, make, batches))
    assert_same(one, train_on(2, make, batches, part=2))


def test_the_loss_is_the_negative_bound() -> None:
    """Against the definition, computed in float64 from the same latents."""
    family = family_of(job_of("VAE", model__vae__beta=1.5))
    batch = batch_of(6)
    (micro,) = parts_of(batch, range(6), 6)
    target = batch["images"].double().div(255)
    with torch.no_grad():
        mean, log_variance = family.network.encoder(target.float()).double().chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * micro.draws.normal("latent", 3).double()
        p = torch.sigmoid(family.network.decoder(z.float()).double())
    fit = (target * p.log() + (1 - target) * (1 - p).log()).sum(dim=(1, 2, 3)).mean()
    kl = (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum(dim=1).mean()

    class Nothing:
        def backward(self, loss: torch.Tensor, *, last: bool = False) -> None:
            torch.autograd.backward(loss)

        def step(self) -> torch.Tensor:
            return torch.zeros(())

    scalars = family.step([micro], {"model": Nothing()}, Alone())
    assert float(scalars["loss"]) == pytest.approx(float(1.5 * kl - fit), rel=1e-5)
    assert float(scalars["kl"]) == pytest.approx(float(kl), rel=1e-5)


def test_more_importance_samples_give_a_tighter_bound() -> None:
    metrics = [
        {"name": f"k{k}", "type": "NegativeLogLikelihood", "importanceSamples": k} for k in (1, 20, 400)
    ]
    family = family_of(job_of("VAE", evaluation__metrics=metrics))
    with torch.inference_mode():
        sums = family.evaluate(batch_of(64), Draws((1, 1), range(64), CPU))
    values = [float(sums[f"k{k}/sum"] / sums[f"k{k}/count"]) for k in (1, 20, 400)]
    assert values[0] > values[1] > values[2]


def test_a_likelihood_of_some_images_counts_these_alone_and_chunks_change_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metric = {"name": "nll", "type": "NegativeLogLikelihood", "importanceSamples": 3000, "images": 10}
    family = family_of(job_of("VAE", evaluation__metrics=[metric]))
    found = []
    for size in (1 << 26, 1 << 20):
        monkeypatch.setattr("raygen.models.vae.family.IMPORTANCE_BYTES", size)
        with torch.inference_mode():
            sums = family.evaluate(batch_of(8), Draws((1, 1), range(5, 13), CPU))
        assert float(sums["nll/count"]) == 5
        found.append(float(sums["nll/sum"]))
    assert found[0] == pytest.approx(found[1], rel=5e-3)


@pytest.mark.parametrize("kind", ["mlp", "codebook"])
def test_evaluation_adds_up_each_image_times_its_weight(kind: str) -> None:
    metrics = [{"name": "nll", "type": "NegativeLogLikelihood", "importanceSamples": 2, "images": 3}]
    changes = {} if kind == "codebook" else {"evaluation__metrics": metrics}
    family = family_of(job_of("VAE", model__vae=KINDS[kind], **changes))
    batch, weights = batch_of(4), torch.tensor([0.5, 3.0, 0.0, 2.0])
    with torch.inference_mode():
        found = family.evaluate(batch, Draws((1, 1), range(4), CPU), weights)
        ones = [
            family.evaluate({n: t[[row]] for n, t in batch.items()}, Draws((1, 1), range(row, row + 1), CPU))
            for row in range(4)
        ]
    for name, value in found.items():
        own = weights.square() if name == "nll/square_weights" else weights
        expected = sum(w * one[name].double() for w, one in zip(own, ones, strict=True))
        torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-4)


def test_pictures_show_samples_interpolations_and_reconstructions() -> None:
    family = family_of(job_of("VAE"))
    request = SampleRequest(count=6, seed=3)
    assert [one.prompt for one in family.sample(request)] == ["samples", "interpolations"]
    with torch.inference_mode():
        family.evaluate(batch_of(20), Draws((1, 1), range(20), CPU))
    first, again = family.sample(request), family.sample(request)
    assert [one.prompt for one in first] == ["samples", "interpolations", "reconstructions"]
    assert [one.png for one in first] == [one.png for one in again]
    assert first[0].png != family.sample(SampleRequest(count=6, seed=4))[0].png
    sizes = [Image.open(io.BytesIO(one.png or b"")).size for one in first]
    assert sizes == [(3 * 18 + 2, 2 * 18 + 2), (8 * 18 + 2, 3 * 18 + 2), (8 * 18 + 2, 4 * 18 + 2)]


@pytest.mark.parametrize("size", [(3, 9, 14), (1, 28, 28)])
def test_convolutions_take_any_size(size: tuple[int, int, int]) -> None:
    shape = ImageShape(*size)
    vae = {**CONV, "channels": [8, 8, 8], "likelihood": "DiscretisedLogistic"}
    family = family_of(job_of("VAE", model__vae=vae), shape)
    batch = {"images": batch_of(2, shape)["images"]}
    with torch.inference_mode():
        sums = family.evaluate(batch, Draws((1, 1), range(2), CPU))
    assert sums["dimensions"] == 2 * size[0] * size[1] * size[2]
    assert family.reconstruct(batch["images"]).shape == batch["images"].shape


def test_there_is_no_counterpart_to_export() -> None:
    with pytest.raises(ExportError, match="no architecture"):
        family_of(job_of("VAE")).huggingface()


@pytest.mark.parametrize("kind", ["NegativeLogLikelihood", "ActiveUnits", "BitsPerDim"])
def test_a_codebook_has_no_likelihood_to_measure(kind: str) -> None:
    metrics = [{"name": "m", "type": kind}]
    with pytest.raises(ValidationError, match=r"ValidationLoss with model\.vae\.codebook"):
        job_of("VAE", model__vae=KINDS["codebook"], evaluation__metrics=metrics)
