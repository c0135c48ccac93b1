from __future__ import annotations

from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.spec import may_change, parse, resolve
from raygen.spec.data.reading import InProcessReading, RayDataReading
from tests.jobs import job_document

PREPARED = {"uri": "prepared"}


def job(reading: dict[str, Any], preparation: dict[str, Any] | None = PREPARED) -> dict[str, Any]:
    return job_document(data__reading=reading, preparation=preparation)


@pytest.mark.parametrize(
    ("reading", "resolved"),
    [
        ({"type": "InProcess"}, InProcessReading(type="InProcess")),
        ({"type": "RayData"}, RayDataReading(type="RayData", workers=1, cpus_per_worker=1)),
        ({"type": "RayData", "workers": 8, "cpusPerWorker": 2}, RayDataReading(type="RayData", workers=8, cpus_per_worker=2)),
    ],
)  # fmt: skip
def test_defaults_that_the_type_decides(reading: dict[str, Any], resolved: Any) -> None:
    once = resolve(parse(job(reading)))
    assert once.spec.data.reading == resolved
    assert resolve(once) == once


@pytest.mark.parametrize(
    ("document", "path", "rule"),
    [
        (job({"type": "RayData"}, None), "spec.data.reading", "needs spec.preparation"),
        (job({"type": "InProcess", "workers": 2}), "spec.data.reading.workers", "belongs to type RayData"),
        (job({"type": "InProcess", "cpusPerWorker": 2}), "spec.data.reading.cpusPerWorker", "belongs to type RayData"),
    ],
)  # fmt: skip
def test_rules(document: dict[str, Any], path: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(document)
    (only,) = caught.value.faults
    assert only.path == path
    assert rule in only.rule


def test_it_may_change_between_attempts() -> None:
    assert may_change("spec.data.reading.workers")
