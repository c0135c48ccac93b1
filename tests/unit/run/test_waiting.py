"""What is advised where training waits for data for long."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.run.waiting import waiting_remedy
from raygen.spec import parse, resolve
from tests.jobs import image_job_document, job_document

PREPARED = {"uri": "prepared/"}


def remedy(document: dict[str, Any]) -> str:
    return waiting_remedy(resolve(parse(document)))


def test_data_that_is_not_prepared_should_be() -> None:
    assert remedy(job_document()) == (
        "Prepare the data beforehand (spec.preparation, raygen prepare), keep it on a nearer or faster disk, or give each"
        " worker more cores (scale.cpusPerWorker)."
    )


@pytest.mark.parametrize("reading", [None, {"type": "InProcess"}])
def test_prepared_data_should_be_read_by_other_processes(reading: dict[str, Any] | None) -> None:
    said = remedy(job_document(preparation=PREPARED, data__reading=reading))
    assert said.startswith("Let other processes read ahead (data.reading: {type: RayData, workers: 4}), keep")


def test_more_processes_should_read_where_some_do() -> None:
    reading = {"type": "RayData", "workers": 3}
    said = remedy(job_document(preparation=PREPARED, data__reading=reading))
    assert said.startswith("Let more processes read ahead (data.reading.workers, now 3), keep")


def test_pictures_in_png_should_be_raw() -> None:
    said = remedy(image_job_document(preparation=PREPARED | {"encoding": "PNG"}))
    assert said.startswith("Prepare the images as Raw in another folder (preparation.encoding)")
    assert "Raw" not in remedy(image_job_document(preparation=PREPARED))


def test_a_bucket_should_be_cached_nearby() -> None:
    assert "RAYGEN_CACHE_DIR" in remedy(job_document(preparation={"uri": "s3://bucket/prepared"}))


def test_changes_of_samples_can_be_fewer() -> None:
    said = remedy(image_job_document(data__augmentation={"flip": {}}))
    assert said.endswith("or change samples by less (data.augmentation).")
