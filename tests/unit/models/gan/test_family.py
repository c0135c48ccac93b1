from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from raygen.data.images.pixels import ImageShape
from raygen.errors import DataError, ExportError, GuardError, InputError
from raygen.models.draws import Draws
from raygen.models.gan.family import iterate_spectral_norms
from raygen.models.protocol import Alone, SampleRequest
from raygen.parallel.whole import SingleWorker
from raygen.training.optimizers.updates import make_updates
from tests.jobs import image_job_document
from tests.unit.models.images import CPU, SHAPE, assert_same, batch_of, family_of, job_of, parts_of, train_on
from tests.unit.training.engine.test_synchronisation import Reads
from tests.unit.training.runs import losses, train

RESIDUAL: dict[str, Any] = {"network": "Residual", "latentSize": 4, "width": 4}
KINDS: dict[str, dict[str, Any]] = {
    "dcgan": {"network": "DCGAN", "latentSize": 4, "width": 4, "loss": "NonSaturating"},
    "hinge": {
        **RESIDUAL,
        "loss": "Hinge",
        "spectralNorm": True,
        "conditional": True,
        "discriminatorSteps": 2,
    },
    "wasserstein": {**RESIDUAL, "loss": "Wasserstein", "discriminatorSteps": 2},
    "relativistic": {**RESIDUAL, "loss": "Relativistic", "r1": 1.0, "r2": 1.0, "regulariseEvery": 2},
    "diffaugment": {**RESIDUAL, "loss": "NonSaturating", "augmentation": {"type": "DiffAugment"}},
    "adaptive": {**RESIDUAL, "loss": "NonSaturating", "augmentation": {"type": "Adaptive", "rampImages": 64}},
    "group": {**RESIDUAL, "loss": "Hinge", "normalisation": "Group", "conditional": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_and_resumes(image_base: Path, kind: str) -> None:
    document = image_job_document("GAN", model__gan=KINDS[kind], training__ema={"decay": 0.9})
    train(image_base, document, run="whole")
    first = {"training__duration__steps": 10, "training__ema": {"decay": 0.9}}
    train(image_base, image_job_document("GAN", model__gan=KINDS[kind], **first), run="parts")
    train(image_base, document, run="parts")
    assert losses(image_base, "whole") == losses(image_base, "parts")
    assert len(losses(image_base, "whole")) == 20


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dcgan"])
def test_workers_and_micro_batches_change_nothing(kind: str) -> None:
    batches = [batch_of(8, seed=seed) for seed in range(4)]

    def make() -> Any:
        return job_of("GAN", model__gan=KINDS[kind], training__globalBatchSize=8)

    one = train_on(1, make, batches)
    assert_same(one, train_on(2, make, batches), tolerance=5e-3)
    assert_same(one, train_on(1, make, batches, part=3), tolerance=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_reads_nothing_from_the_device(kind: str) -> None:
    job = job_of("GAN", model__gan=KINDS[kind])
    family = family_of(job)
    updates = make_updates(family, job.spec.training, 10, SingleWorker())
    with Reads() as reads:
        for step in (1, 2, 4):
            for update in updates.values():
                update.schedule(step)
            family.step(parts_of(batch_of(8), range(8), 8, step), updates, Alone())
    assert reads.count == 0


def test_the_generators_update_leaves_the_discriminator_alone() -> None:
    family = family_of(job_of("GAN"))
    norms: dict[str, float] = {}

    class Watching:
        def __init__(self, name: str) -> None:
            self.name = name

        def backward(self, loss: torch.Tensor, *, last: bool = False) -> None:
            torch.autograd.backward(loss)

        def step(self) -> torch.Tensor:
            other = "discriminator" if self.name == "generator" else "generator"
            norms[self.name] = sum(
                float(p.grad.abs().sum()) for p in family.networks[other].parameters() if p.grad is not None
            )
            for network in family.networks.values():
                network.zero_grad(set_to_none=True)
            return torch.zeros(())

    updates = {name: Watching(name) for name in family.networks}
    family.step(parts_of(batch_of(8), range(8), 8), updates, Alone())
    assert norms == {"discriminator": 0, "generator": 0}
    assert all(p.requires_grad for p in family.discriminator.parameters())


def test_scores_depend_on_the_class() -> None:
    family = family_of(job_of("GAN", model__gan__conditional=True))
    images = torch.rand(2, 1, 16, 16) * 2 - 1
    ours, theirs = (family.discriminator(images, torch.tensor([c, c])) for c in (0, 2))
    assert not torch.allclose(ours, theirs)
    latents = torch.randn(2, 4)
    made, other = (family.generator(latents, torch.tensor([c, c])) for c in (0, 2))
    assert made.shape == (2, 1, 16, 16)
    assert not torch.allclose(made, other)


def test_spectral_norm_bounds_every_layer() -> None:
    family = family_of(job_of("GAN", model__gan__spectralNorm=True))
    for _ in range(60):
        iterate_spectral_norms(family.discriminator)
    for module in family.discriminator.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), ord=2)) < 1.1


def test_adaptive_augmentation_follows_the_sign_of_the_scores() -> None:
    family = family_of(job_of("GAN", model__gan=KINDS["adaptive"], training__globalBatchSize=8))
    p = family.discriminator.augmentation_p
    family._adapt(torch.tensor(1.0), 4)
    assert float(p) == pytest.approx(8 * 4 / 64)
    family._adapt(torch.tensor(1.0), 5)
    assert float(p) == pytest.approx(0.5)
    family._adapt(torch.tensor(0.1), 8)
    assert float(p) == 0
    assert "augmentation_p" in family.discriminator.state_dict()


@pytest.mark.parametrize("kind", ["relativistic", "wasserstein", "dcgan"])
def test_what_is_right_depends_on_a_zero_only_where_scores_have_one(kind: str) -> None:
    job = job_of("GAN", model__gan=KINDS[kind])
    found = []
    for offset in (0.0, 100.0):
        family = family_of(job)
        with torch.no_grad():
            family.discriminator.head.bias.add_(offset)
        updates = make_updates(family, job.spec.training, 10, SingleWorker())
        for update in updates.values():
            update.schedule(1)
        scalars = family.step(parts_of(batch_of(8), range(8), 8), updates, Alone())
        found.append(float(scalars["discriminator_accuracy"]))
    if kind == "dcgan":
        assert found[1] == 0.5
    else:
        assert found[0] == found[1]


def test_pictures_have_a_class_per_column_and_repeat() -> None:
    family = family_of(job_of("GAN", model__gan__conditional=True))
    request = SampleRequest(count=6, seed=1)
    first, again = family.sample(request), family.sample(request)
    assert [one.png for one in first] == [one.png for one in again]
    assert [one.prompt for one in first] == ["samples", "interpolations"]
    assert Image.open(io.BytesIO(first[0].png or b"")).size == (3 * 18 + 2, 2 * 18 + 2)
    assert family.evaluate(batch_of(2), Draws((0,), range(2), CPU)) == {}


def test_classes_need_labels_and_sizes_must_be_doubled() -> None:
    with pytest.raises(DataError, match="no labels"):
        family_of(job_of("GAN", model__gan__conditional=True), ImageShape(1, 16, 16))
    for height, width in ((17, 17), (16, 32), (8, 9)):
        with pytest.raises(InputError, match="cannot make images") as caught:
            family_of(job_of("GAN"), ImageShape(1, height, width))
        assert "28, 32" in caught.value.remedy
    for size in (28, 32, 64, 128):
        made = family_of(job_of("GAN"), ImageShape(3, size, size)).generate(SampleRequest(), range(1))
        assert made["images"].shape == (1, 3, size, size)


def test_a_discriminator_that_diverges_ends_the_run_with_a_remedy(image_base: Path) -> None:
    document = image_job_document(
        "GAN",
        model__gan={**RESIDUAL, "loss": "Wasserstein"},
        training__optimizers__discriminator={"type": "SGD", "learningRate": 1000.0},
    )
    with pytest.raises(GuardError) as caught:
        train(image_base, document)
    assert "learningRate" in caught.value.remedy


def test_there_is_no_counterpart_to_export() -> None:
    with pytest.raises(ExportError, match="no architecture"):
        family_of(job_of("GAN"), SHAPE).huggingface()
