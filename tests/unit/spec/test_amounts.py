"""Amounts that no pod can have are refused with their path, and names that no service can have."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.spec import parse
from tests.jobs import job_document


@pytest.mark.parametrize(
    "text",
    ["100Mi", "512Mi", "16Gi", "1.5Gi", "0.5Gi", "9999Gi", "1Ti", "17179869184", "1048576Ki", "64G", "200M"],
)
def test_memory_that_a_machine_may_have_is_taken(text: str) -> None:
    parse(job_document(scale={"memoryPerWorker": text}))


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0Gi",
        "0.0Gi",
        "00Gi",
        "1",
        "0.5",
        "64Mi",
        "0.05Gi",
        "-1Gi",
        "9999999999999999999999E",
        "1E",
        "1P",
        "99999Gi",
        "10Ti",
        "1e9",
        "16 Gi",
        "16gi",
        "Gi",
    ],
)
def test_memory_that_stands_for_none_or_for_too_much_is_refused(text: str) -> None:
    refused("spec.scale.memoryPerWorker", scale={"memoryPerWorker": text})


@pytest.mark.parametrize("name", ["1digit", "-a", "a-", "A", "a.b", "a_b", "", "a" * 41])
def test_a_name_that_no_service_can_have_is_refused(name: str) -> None:
    document = job_document()
    document["metadata"]["name"] = name
    with pytest.raises(ValidationError) as caught:
        parse(document)
    assert [fault.path for fault in caught.value.faults] == ["metadata.name"]


def refused(path: str, **changes: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(job_document(**changes))
    assert [fault.path for fault in caught.value.faults] == [path]
