"""Data that is prepared before a run: stopped between two parts, gone on with, and told of meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.errors import InputError
from raygen.spec import ResolvedJob, parse, resolve
from raygen.spec.names import CACHE_LIMIT_VARIABLE
from raygen.training import data_preparation
from raygen.training.data_preparation import PreparationStoppedError, prepare_data, prepare_missing
from raygen.training.driver import train
from raygen.training.engine.control import Control
from raygen.training.observers.events import Observer, Preparing
from tests.jobs import job_document, write_text

NAMES = ("a.txt", "b.txt", "c.txt")


class Told(Observer):
    """Keeps what is told, and asks to stop after so many parts of the first stage."""

    def __init__(self, control: Control, stop_after: int | None = None) -> None:
        self.control, self.stop_after = control, stop_after
        self.said: list[tuple[str, int, int]] = []

    def preparing(self, preparing: Preparing) -> None:
        self.said.append((preparing.doing, preparing.done, preparing.parts))
        if preparing.doing == "cleaning" and preparing.done == self.stop_after:
            self.control.stop("Test")


def a_job(folder: Path, **changes: object) -> ResolvedJob:
    for name in NAMES:
        write_text(folder / name, lines=3000)
    sources = [{"uri": name} for name in NAMES]
    document = job_document(data__train={"sources": sources}, preparation={"uri": "prepared"}, **changes)
    return resolve(parse(document))


def test_it_stops_between_two_parts_and_goes_on_to_the_same_data(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("calm", "stopped")]
    for folder in folders:
        folder.mkdir()
    calm = prepare_data(a_job(folders[0]), folders[0], 1, Observer())
    control = Control()
    told = Told(control, stop_after=2)
    job = a_job(folders[1])
    with pytest.raises(PreparationStoppedError):
        prepare_data(job, folders[1], 1, told, control)
    assert told.said == [("listing sources", 0, 0), ("cleaning", 1, 3), ("cleaning", 2, 3)]
    assert not list((folders[1] / "prepared").glob("*.json"))
    again = Told(Control())
    found = prepare_missing(job, folders[1], 1, again, again.control)
    assert found is not None
    assert found.index.fingerprint == calm.index.fingerprint
    assert {doing for doing, _, _ in again.said} == {
        "listing sources",
        "cleaning",
        "encoding",
        "writing shards",
    }


def test_a_pod_that_goes_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_preparation.drain, "asked", lambda: True)
    control = Control()
    with pytest.raises(PreparationStoppedError):
        prepare_data(a_job(tmp_path), tmp_path, 1, Observer(), control)
    assert control.reason == "PodLeaving"


def test_data_that_is_whole_needs_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(tmp_path)
    first = prepare_data(job, tmp_path, 1, Observer())
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    second = prepare_data(job, tmp_path, 1, Observer())
    assert (first.new, second.new) == (True, False)
    assert second.index.fingerprint == first.index.fingerprint
    assert prepare_missing(job, tmp_path, 1, Observer(), Control()) is None


def test_a_run_that_is_stopped_meanwhile_has_not_begun(tmp_path: Path) -> None:
    a_job(tmp_path)
    sources = [{"uri": name} for name in NAMES]
    document = job_document(data__train={"sources": sources}, preparation={"uri": "prepared"})
    control = Control()
    told = Told(control, stop_after=1)
    result = train(document, base=tmp_path, output=str(tmp_path / "runs"), observer=told, control=control)
    assert (result.state, result.reason, result.attempt) == ("Stopped", "Test", 0)
    assert result.exit_code == 3


def test_a_cache_that_is_described_wrongly_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_LIMIT_VARIABLE, "1Mi")
    told = Told(Control())
    with pytest.raises(InputError, match="not a size of at least 100Mi"):
        prepare_data(a_job(tmp_path), tmp_path, 1, told)
    assert told.said == []
    assert not (tmp_path / "prepared").exists()
