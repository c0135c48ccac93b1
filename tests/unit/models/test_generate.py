"""What families generate for metrics: a function of the request and a sample's number, as people are shown it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from raygen.errors import ModelError
from raygen.models.custom import CustomFamily
from raygen.models.pictures import grid
from raygen.models.protocol import SampleRequest
from raygen.models.transformer.family import TransformerFamily
from raygen.spec.contents import IGNORED
from tests.unit.models.images import family_of, job_of
from tests.unit.models.transformer.models import architecture
from tests.unit.models.transformer.models import family_of as text_family

CODEBOOK = {
    "network": "ConvResidual",
    "channels": [8, 8],
    "latentSize": 3,
    "likelihood": "Bernoulli",
    "codebook": {"size": 8},
}
SPLITS = ([range(7)], [range(1), range(1, 7)], [range(3), range(3, 5), range(5, 7)])
IMAGES = {
    "VAE": {},
    "GAN": {},
    "classes": {"model__gan__conditional": True},
}


def images_of(kind: str) -> Any:
    family = "VAE" if kind == "VAE" else "GAN"
    return family_of(job_of(family, **IMAGES[kind]))


def text() -> TransformerFamily:
    return text_family(architecture())


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_depends_on_the_request_and_its_number_alone(kind: str) -> None:
    family, request = images_of(kind), SampleRequest(seed=4)
    network = next(iter(family.networks.values())).train()
    found = []
    for split in SPLITS:
        made = [family.generate(request, part) for part in split]
        found.append({name: torch.cat([one[name] for one in made]) for name in made[0]})
    assert network.training
    assert found[0]["images"].shape == (7, 1, 16, 16)
    assert found[0]["images"].dtype == torch.uint8
    for other in found[1:]:
        # Of as many levels as arithmetic in another order may differ by.
        assert (other["images"].int() - found[0]["images"].int()).abs().max() <= 1
        assert torch.equal(other.get("labels", torch.empty(0)), found[0].get("labels", torch.empty(0)))
    assert not torch.equal(found[0]["images"], family.generate(SampleRequest(seed=5), range(7))["images"])
    assert family.sample(SampleRequest(seed=4, count=7))[0].png == grid(
        found[0]["images"], 3 if kind == "classes" else None
    )


def test_classes_take_turns_from_the_number_on() -> None:
    family = images_of("classes")
    assert family.generate(SampleRequest(), range(2, 6))["labels"].tolist() == [2, 0, 1, 2]
    assert family.generate(SampleRequest(labels=(2, 1)), range(1, 4))["labels"].tolist() == [1, 2, 1]


def test_a_codebook_has_no_prior_to_draw_from() -> None:
    family = family_of(job_of("VAE", model={"type": "VAE", "vae": CODEBOOK}))
    assert family.generate(SampleRequest(), range(3)) == {}


@pytest.mark.parametrize("prompts", [(), ("abc",), ("a", "bc", "")])
def test_a_text_depends_on_the_request_and_its_number_alone(prompts: tuple[str, ...]) -> None:
    family, request = text(), SampleRequest(seed=3, count=7, prompts=prompts, max_tokens=20, temperature=1.5)
    whole = family.generate(request, range(7))["tokens"]
    assert whole.shape == (7, 20)
    for split in SPLITS:
        parts = [family.generate(request, part)["tokens"] for part in split]
        assert torch.equal(torch.cat(parts), whole)
    for row, sample in zip(whole.tolist(), family.sample(request), strict=True):
        own = row[: row.index(IGNORED)] if IGNORED in row else row
        assert set(row[len(own) :]) <= {IGNORED}
        assert sample.text == family.vocabulary.decode(own)
        assert sample.finished == ("EndOfText" if IGNORED in row else "MaxTokens")
    assert len({sample.finished for sample in family.sample(request)}) == 2
    goes_on = SampleRequest(seed=3, max_tokens=20, ignore_end_of_text=True)
    assert IGNORED not in family.generate(goes_on, range(7))["tokens"]


def own(made: Any) -> CustomFamily:
    """A user's family that generates this."""
    methods = {} if made is None else {"generate": lambda request, samples: made}
    return CustomFamily(SimpleNamespace(networks={"one": torch.nn.Linear(1, 1)}, **methods), "model:Model")


def test_a_family_of_the_user_need_not_generate_and_is_checked_if_it_does() -> None:
    assert own(None).generate(SampleRequest(), range(2)) == {}
    images = {"images": torch.zeros(2, 1, 4, 4, dtype=torch.uint8)}
    assert own(images).generate(SampleRequest(), range(2)) is images
    wrong: list[object] = [[1], {"images": [1, 2]}, {1: torch.zeros(2)}, {"images": torch.zeros(3, 1)}]
    for made in [*wrong, {"images": torch.tensor(2.0)}]:
        with pytest.raises(ModelError, match="generate gives no dict of tensors with 2 rows"):
            own(made).generate(SampleRequest(), range(2))
