from __future__ import annotations

from typing import Any

import pytest

from raygen.data.cleaning.entities import Replace, entities
from raygen.errors import DataError
from raygen.spec.data.cleaning import Masking

pytest.importorskip("presidio_analyzer", reason="needs the extra presidio")
TEXT = "The patient's NHS number is 943 476 5919, and the SSN is 536-90-4399."


@pytest.fixture(scope="module")
def replace() -> Replace:
    return entities(Masking(entities=("UK_NHS", "US_SSN")))


def test_kinds_that_are_known_by_their_form_need_no_model(replace: Replace) -> None:
    masked, counts = replace(TEXT)
    assert masked == "The patient's NHS number is [UK_NHS], and the SSN is [US_SSN]."
    assert counts == {"UK_NHS": 1, "US_SSN": 1}
    assert replace(masked) == (masked, {})


def test_harmless_text_stays(replace: Replace) -> None:
    text = "The build of 2026-11-29 took 943 seconds on 476 cores; see section 5919."
    assert replace(text) == (text, {})


def test_long_texts_are_looked_at_in_parts(replace: Replace) -> None:
    text = f"{'word ' * 30_000}\n{TEXT}\n"
    masked, counts = replace(text)
    assert counts == {"UK_NHS": 1, "US_SSN": 1}
    assert masked.startswith("word " * 30_000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"entities": ("US_SNN",)}, "Did you mean US_SSN?"),
        ({"entities": ("PERSON",)}, "Kinds such as PERSON need entityModel."),
        (
            {"entities": ("PERSON",), "entity_model": "no_such_model"},
            "python -m spacy download no_such_model",
        ),
    ],
)
def test_what_cannot_be_found_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        entities(Masking(**fields))
    assert message in str(caught.value)
