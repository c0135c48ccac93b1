"""A container's limits, in what a run computes with and in what `raygen plan` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from raygen import machine
from raygen.cli.main import main
from raygen.compute.device import limited_threads
from raygen.jobfile import dumps
from raygen.spec import parse
from tests.jobs import job_document
from tests.unit.training.runs import Watcher, train

GIB = 2**30


@pytest.fixture
def _four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("_four_threads")
def test_no_more_threads_than_cores_and_as_before_afterwards() -> None:
    for cores, threads in ((1, 1), (3, 3), (8, 4)):
        with limited_threads(cores):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("_four_threads")
def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with limited_threads(1):
        assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("_four_threads")
def test_a_run_and_a_plan_keep_to_the_containers_limits(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: machine.Cores(1, 1.5))
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(GIB, 2 * GIB))
    watcher = Watcher()
    train(base, job_document(scale={"workers": 2}), observer=watcher, dry_run=True)
    (notice,) = (notice for notice in watcher.notices if notice.startswith("scale.workers"))
    assert "with 1 core (the container's CPU limit is 1.5)" in notice
    (base / "job.yaml").write_text(dumps(parse(job_document())))
    assert main(["plan", str(base / "job.yaml"), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(", 1 threads")
    assert lines[1] == "cores        1 (the container's CPU limit is 1.5)"
    assert lines[3].endswith("of 1.0 GiB available (the container's limit is 2.0 GiB)")
