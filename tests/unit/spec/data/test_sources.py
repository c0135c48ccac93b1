from __future__ import annotations

import pytest

from raygen.errors import ValidationError
from raygen.spec import parse
from tests.jobs import image_job_document, job_document


@pytest.mark.parametrize("form", ["Parquet", "Arrow", "Tar", "Mds", "HuggingFace"])
def test_texts_have_no_labels(form: str) -> None:
    source = {"uri": "in", "format": form, "contents": "Text", "labelField": "topic"}
    with pytest.raises(ValidationError) as caught:
        parse(job_document(data__train={"sources": [{"uri": "first.txt"}, source]}))
    (fault,) = caught.value.faults
    assert fault.path == "spec.data.train.sources[1].labelField"
    assert fault.rule.startswith("belongs to sources that hold images, and this one holds text")
    assert fault.remedy == "Remove labelField, or set contents: Images."


@pytest.mark.parametrize("form", ["Text", "JsonLines", "Csv", "Midi"])
@pytest.mark.parametrize("field", ["labelField", "labels"])
def test_formats_of_text_have_none_either(form: str, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(job_document(data__train={"sources": [{"uri": "in", "format": form, field: "topic"}]}))
    assert [fault.path for fault in caught.value.faults if "belongs to format" in fault.rule] == [
        f"spec.data.train.sources[0].{field}"
    ]


@pytest.mark.parametrize("contents", [{}, {"contents": "Images"}])
def test_images_have_labels(contents: dict[str, str]) -> None:
    source = {"uri": "in", "format": "Parquet", "labelField": "kind"} | contents
    parse(image_job_document(data__train={"sources": [source]}))
