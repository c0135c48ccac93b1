from __future__ import annotations

from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.spec import parse, resolve
from raygen.spec.data.cleaning import (
    BlockList,
    ImageDuplicates,
    Masking,
    MinHash,
    Perceptual,
    ResolvedCleaning,
    TextCleaning,
    TextDuplicates,
)
from tests.jobs import image_job_document, job_document
from tests.unit.spec.cel import evaluate


def text_job(cleaning: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return job_document(data__cleaning=cleaning, **({"preparation": {"uri": "prepared"}} | changes))


def fault(document: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        parse(document)
    (only,) = caught.value.faults
    return only.path, only.rule


def cleaning_of(document: dict[str, Any]) -> ResolvedCleaning:
    cleaning = resolve(parse(document)).spec.data.cleaning
    assert cleaning is not None
    return cleaning


def test_the_block_of_what_the_data_holds_is_there_when_resolved() -> None:
    text = cleaning_of(text_job({}))
    assert text.text is not None
    assert text.images is None
    assert (text.text.unicode, text.text.masking, text.max_broken_share) == ("NFC", None, 0.01)
    images = cleaning_of(
        image_job_document("VAE", data__cleaning={"maxBrokenShare": 0.5}, preparation={"uri": "p"})
    )
    assert images.text is None
    assert images.images is not None
    assert images.max_broken_share == 0.5


def test_defaults_that_a_choice_decides() -> None:
    near = cleaning_of(text_job({"text": {"duplicates": {"type": "MinHash"}}}))
    assert near.text is not None
    assert near.text.duplicates == MinHash(type="MinHash", threshold=0.8, shingle_words=5)
    exact = cleaning_of(text_job({"text": {"duplicates": {"type": "Exact"}}}))
    assert exact.text is not None
    assert exact.text.duplicates is not None
    assert exact.text.duplicates.threshold is None
    images = {"images": {"duplicates": {"type": "Perceptual"}}}
    pictures = cleaning_of(image_job_document("VAE", data__cleaning=images, preparation={"uri": "p"}))
    assert pictures.images is not None
    assert pictures.images.duplicates == Perceptual(type="Perceptual", distance=6)


@pytest.mark.parametrize(
    ("document", "path", "rule"),
    [
        (text_job({}, preparation=None), "spec.data.cleaning", "needs spec.preparation"),
        (text_job({"images": {}}), "spec.data.cleaning.images", "hold images, and these hold text"),
        (image_job_document("VAE", data__cleaning={"text": {}}, preparation={"uri": "p"}), "spec.data.cleaning.text", "hold text, and these hold images"),
        (text_job({"text": {"maxWords": 3, "minWords": 4}}), "spec.data.cleaning.text.maxWords", "must be at least minWords (4)"),
        (text_job({"text": {"languages": ["English"]}}), "spec.data.cleaning.text.languages[0]", "a language code of two or three"),
        (text_job({"text": {"blockList": {}}}), "spec.data.cleaning.text.blockList", "exactly one of words, uri"),
        (text_job({"text": {"duplicates": {"type": "Exact", "threshold": 0.8}}}), "spec.data.cleaning.text.duplicates.threshold", "belongs to type MinHash"),
        (text_job({"text": {"masking": {"patterns": ["Email", "Email"]}}}), "spec.data.cleaning.text.masking.patterns", "kinds that differ"),
    ],
)  # fmt: skip
def test_rules(document: dict[str, Any], path: str, rule: str) -> None:
    found = fault(document)
    assert found[0] == path
    assert rule in found[1]


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (TextCleaning, {}),
        (TextCleaning, {"minWords": 5, "maxWords": 5}),
        (TextCleaning, {"minWords": 5, "maxWords": 4}),
        (TextCleaning, {"maxCharacters": 1}),
        (TextCleaning, {"minCharacters": 2, "maxCharacters": 1}),
        (Masking, {"patterns": ["Email", "Phone"]}),
        (Masking, {"patterns": ["Email", "Email"]}),
        (BlockList, {"words": ["a"]}),
        (BlockList, {"words": ["a"], "uri": "b"}),
        (BlockList, {"uri": "s3://a/%41"}),
        (TextDuplicates, {"type": "MinHash", "threshold": 0.9}),
        (TextDuplicates, {"type": "Exact", "shingleWords": 3}),
        (ImageDuplicates, {"type": "Pixels", "distance": 3}),
    ],
)
def test_rules_and_their_cel_agree(model: Any, value: dict[str, Any]) -> None:
    lists = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    loose = model.model_construct(
        **{
            **{name: field.get_default() for name, field in model.model_fields.items()},
            **by_name(model, lists),
        }
    )
    for rule in model.rules:
        if "matches" not in rule.cel:
            assert evaluate(rule.cel, value) == rule.holds(loose), rule.at


def by_name(model: Any, value: dict[str, Any]) -> dict[str, Any]:
    names = {field.alias: name for name, field in model.model_fields.items()}
    return {names[key]: item for key, item in value.items()}
