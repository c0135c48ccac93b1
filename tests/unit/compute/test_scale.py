"""Whether PyTorch has to be asked for devices, which a driver of workers avoids; and how cores are shared out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from raygen.compute.scale import fit_reading, may_have_accelerator
from raygen.errors import InputError
from raygen.spec import ResolvedJob, parse, resolve
from tests.jobs import job_document


@pytest.mark.parametrize("name", ["nvidiactl", "kfd", "dxg"])
def test_a_driver_of_an_accelerator_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "dev").mkdir()
    assert not may_have_accelerator(tmp_path)
    (tmp_path / "dev" / name).touch()
    assert may_have_accelerator(tmp_path)


def test_elsewhere_than_on_linux_there_may_always_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert may_have_accelerator(tmp_path)


def reading_job(workers: int, cpus: int | None, reading: dict[str, Any]) -> ResolvedJob:
    scale = {"workers": workers} | ({} if cpus is None else {"cpusPerWorker": cpus})
    return resolve(parse(job_document(data__reading=reading, preparation={"uri": "prepared"}, scale=scale)))


@pytest.mark.parametrize(
    ("workers", "cpus", "cores", "wanted", "got"),
    [(1, None, 8, 4, 4), (2, 2, 8, 4, 4), (2, 3, 8, 4, 2), (3, None, 4, 4, 1), (1, 1, 2, 1, 1)],
)
def test_those_who_read_have_the_cores_that_training_leaves(
    workers: int, cpus: int | None, cores: int, wanted: int, got: int
) -> None:
    fitted, notes = fit_reading(reading_job(workers, cpus, {"type": "RayData", "workers": wanted}), cores)
    reading = fitted.spec.data.reading
    assert reading is not None
    assert reading.workers == got
    assert [note.partition(";")[0] for note in notes] == (
        [] if got == wanted else [f"data.reading.workers: {wanted} -> {got}"]
    )


@pytest.mark.parametrize(("workers", "cpus", "each"), [(2, None, 1), (1, 2, 1), (1, 1, 2)])
def test_without_room_for_one_who_reads_nothing_begins(workers: int, cpus: int | None, each: int) -> None:
    job = reading_job(workers, cpus, {"type": "RayData", "cpusPerWorker": each})
    with pytest.raises(InputError, match=f"needs {each} cores beside the") as caught:
        fit_reading(job, 2)
    assert caught.value.where == "spec.data.reading"


def test_who_reads_in_process_needs_no_cores() -> None:
    job = reading_job(2, 1, {"type": "InProcess"})
    assert fit_reading(job, 2) == (job, [])
