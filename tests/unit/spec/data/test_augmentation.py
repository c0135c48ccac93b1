"""What a job may say of augmentation, and what is wrong with the rest."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.spec import parse, resolve
from raygen.spec.data.augmentation import IMAGE_FIELDS, TEXT_FIELDS, Augmentation
from raygen.spec.job.changes import may_change
from tests.jobs import image_job_document, job_document


def document(family: str, augmentation: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changes["data__augmentation"] = augmentation
    return job_document(**changes) if family == "Transformer" else image_job_document(family, **changes)


@pytest.mark.parametrize(
    ("family", "augmentation", "changes", "path", "words"),
    [
        ("VAE", {"tokenDropout": {}}, {}, "data.augmentation", "has something for text"),
        ("Transformer", {"flip": {}}, {}, "data.augmentation", "has something for images"),
        ("GAN", {"mixing": {"type": "MixUp"}}, {}, "data.augmentation.mixing", "belongs to model.type Custom or VAE"),
        ("VAE", {"flip": {}}, {"data__images": {"horizontalFlip": True}}, "data.augmentation.flip", "mirrors"),
        ("VAE", {"crop": {"type": "Padded", "scale": [0.5, 1]}}, {}, "data.augmentation.crop.scale", "Resized"),
        ("VAE", {"blur": {"sigma": [2, 1]}}, {}, "data.augmentation.blur.sigma", "the smaller number first"),
        ("VAE", {"rotate": {}}, {}, "data.augmentation.rotate.degrees", "is missing"),
        ("VAE", {"erasing": {"scale": [0.1]}}, {}, "data.augmentation.erasing.scale", "2 items"),
        ("VAE", {"colorJitter": {}}, {}, "data.augmentation.colorJitter", "colourJitter"),
    ],
)  # fmt: skip
def test_a_fault_is_named_where_it_is(
    family: str, augmentation: dict[str, Any], changes: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(document(family, augmentation, **changes))
    (fault,) = caught.value.faults
    assert fault.path == f"spec.{path}"
    assert words in str(fault)


def test_defaults_are_written_out_by_type() -> None:
    job = resolve(parse(document("VAE", {"crop": {"type": "Padded"}, "erasing": {}})))
    assert job.spec.data.augmentation is not None
    assert job.spec.data.augmentation.model_dump(mode="json", exclude_none=True) == {
        "crop": {"type": "Padded", "padding": 4, "border": "Black"},
        "erasing": {"scale": [0.02, 0.33], "ratio": [0.3, 3.3], "level": 0, "probability": 0.5},
    }
    resized = resolve(parse(document("GAN", {"crop": {"type": "Resized"}}))).spec.data.augmentation
    assert resized is not None
    assert resized.crop is not None
    assert resized.crop.ratio == (3 / 4, 4 / 3)


def test_a_job_without_it_has_none() -> None:
    assert resolve(parse(job_document())).spec.data.augmentation is None


def test_it_stays_the_same_over_a_run() -> None:
    assert not may_change("spec.data.augmentation.flip.horizontal")


def test_every_field_is_for_text_or_for_images() -> None:
    assert {*TEXT_FIELDS, *IMAGE_FIELDS} == set(Augmentation.model_fields)
