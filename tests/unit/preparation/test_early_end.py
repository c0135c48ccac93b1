"""What makes a data set impossible ends the work at once, and not after all of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygen.errors import DataError
from raygen.preparation import plan as planning
from raygen.preparation import ray_data
from raygen.preparation.ray_data import RayData
from tests.prepared import documents, prepared, text_job, write_lines

PARTS = 20


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for nearly each file."""
    monkeypatch.setattr(planning, "TEXT_PART", 7_000)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in range(PARTS):
        write_lines(tmp_path / "lines" / f"{number:02}.jsonl", documents(30, seed=number))
    return tmp_path


class Rows:
    """A pipeline that does its tasks one by one, when they are asked for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self.works: Any = None
        self.at_a_time = 0
        self.done = 0

    def map(self, works: Any, compute: int, **settings: Any) -> Rows:
        del settings
        self.works, self.at_a_time = works, compute
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.done += 1
            yield self.works(row)


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> list[Rows]:
    """The pipelines of Ray Data that were made, without Ray."""
    made: list[Rows] = []

    def dataset_of(rows: list[dict[str, Any]]) -> Rows:
        made.append(Rows(rows))
        return made[-1]

    data = SimpleNamespace(TaskPoolStrategy=lambda workers: workers)
    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(data=data, exceptions=exceptions))
    monkeypatch.setattr(ray_data, "dataset_of", dataset_of)
    return made


def test_too_many_broken_records_end_the_work_when_that_is_certain(base: Path) -> None:
    for path in (base / "lines").iterdir():
        path.write_text("no JSON\n" * 30)
    with pytest.raises(DataError, match=r"records are broken, and at most 1\.00% may be"):
        prepared(text_job(), base)
    assert len(list((base / "prepared" / "quarantine").iterdir())) < PARTS / 2


def test_broken_records_of_the_first_part_are_weighed_against_all(base: Path) -> None:
    path = base / "lines" / "00.jsonl"
    path.write_text(path.read_text() + "no JSON\n" * 5)
    prepared(text_job(), base)
    path.write_text(path.read_text() + "no JSON\n" * 5)
    other = text_job(preparation={"uri": "other"})
    with pytest.raises(DataError, match=r"10 of [56]\d\d records are broken"):
        prepared(other, base)


def test_workers_of_ray_prepare_the_same(base: Path, pipelines: list[Rows]) -> None:
    expected = prepared(text_job(), base).index
    other = text_job(preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})
    assert prepared(other, base, RayData(2, {"num_cpus": 1})).index == expected
    # Cleaning, encoding, and writing shards.
    assert len(pipelines) == 3


def test_no_stage_asks_for_more_workers_than_it_has_tasks(base: Path, pipelines: list[Rows]) -> None:
    """Of which Ray would warn."""
    prepared(text_job(), base, RayData(5, {"num_cpus": 1}))
    # Cleaning has a task for each of many parts, and all samples are written by one.
    assert [each.at_a_time for each in pipelines] == [5, 5, 1]


def test_the_first_error_of_a_worker_ends_a_stage(
    base: Path, pipelines: list[Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, real = base / "lines" / "02.jsonl", ray_data.dataset_of

    def after_listing(rows: list[dict[str, Any]]) -> Any:
        gone.unlink()
        return real(rows)

    monkeypatch.setattr(ray_data, "dataset_of", after_listing)
    with pytest.raises(DataError, match="cannot be read") as caught:
        prepared(text_job(), base, RayData(2, {"num_cpus": 1}))
    assert caught.value.where == str(gone)
    assert pipelines[0].done == 3
