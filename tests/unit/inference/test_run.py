"""A run that exists, and the ways to name it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygen.cli.main import main
from raygen.inference.run import Run
from tests.jobs import job_document
from tests.unit.training.runs import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `runs/tiny`, two links that lead there, and one to the folder of runs."""
    base = tmp_path_factory.mktemp("trained")
    (base / "text.txt").write_text("to be or not to be. " * 100, encoding="utf-8")
    document = job_document(training__duration={"steps": 2}, evaluation={}, data__validation=None)
    assert train(base, document).state == "Succeeded"
    (base / "mine").mkdir()
    (base / "mine" / "latest").symlink_to("../runs/tiny")
    (base / "mine" / "best").symlink_to("latest")
    (base / "all").symlink_to(base / "runs")
    (base / "a: b").symlink_to("runs")
    return base


NAMES = [
    ("runs/tiny", "."),
    ("runs/tiny", "./"),
    ("runs/tiny", "../tiny"),
    ("runs/tiny/samples", ".."),
    ("runs/tiny/samples", "../"),
    ("runs/tiny/samples", "../../tiny/."),
    ("runs", "tiny"),
    ("runs", "./tiny//"),
    (".", "mine/latest"),
    (".", "mine/latest/"),
    (".", "mine/best"),
    (".", "all/tiny"),
    (".", "a: b/tiny"),
    ("mine/latest", "."),
    (".", "{base}/runs/tiny"),
    (".", "file://{base}/mine/latest"),
    (".", "mine/../runs/tiny"),
]


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_a_run_is_named_as_its_folder_is(
    trained: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    (trained / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(trained / folder)
    run = Run.open(name.format(base=trained))
    assert run.directory.uri == str((trained / "runs" / "tiny").resolve())
    assert run.directory.name == "tiny"
    assert run.checkpoint().step == 2


def test_a_home_folder_is_found(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(trained))
    assert Run.open("~/mine/latest").directory.name == "tiny"


def test_every_verb_of_a_run_takes_such_a_name(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained / "mine" / "latest")
    assert main(["report", "."]) == 0
    assert main(["sample", "../../mine/latest/", "--max-tokens", "2", "--device", "cpu"]) == 0
    assert main(["export", ".", str(tmp_path / "exported")]) == 0
    # There is nothing of a pod's, and the folder was looked at.
    assert main(["logs", "."]) == 2


def test_job_json_has_the_folder_and_machine_of_the_newest_attempt(base: Path) -> None:
    document = job_document(training__duration={"steps": 2}, evaluation={}, data__validation=None)
    train(base, document)
    path = base / "runs" / "tiny" / "job.json"
    first = json.loads(path.read_text(encoding="utf-8"))
    stale = first | {"base": "/gone", "uri": "/gone/runs/tiny", "environment": {"python": "0"}}
    path.write_text(json.dumps(stale), encoding="utf-8")
    document["spec"]["training"]["duration"]["steps"] = 3
    assert train(base, document).step == 3
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again == first | {"job": again["job"]}
    assert again["job"]["spec"]["training"]["duration"]["steps"] == 3


def test_a_new_run_starts_from_one_behind_a_link(trained: Path) -> None:
    document = job_document(training__duration={"steps": 1}, evaluation={}, data__validation=None)
    result = train(trained, document, run="child", parent=str(trained / "mine" / "latest"))
    assert result.state == "Succeeded"
    again = train(trained, document, run="child", parent=str(trained / "runs" / "tiny"))
    assert again.reason == "AlreadyComplete"


def test_a_sample_says_why_it_ends(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--max-tokens", "3", "--ignore-end-of-text", "--json", "--device", "cpu"]
    assert main(["sample", str(trained / "runs" / "tiny"), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["request"]["ignore_end_of_text"]
    assert [(len(one["text"]), one["finished"]) for one in document["samples"]] == [(3, "MaxTokens")]


@pytest.mark.parametrize("name", [".", "mine", "mine/nothing", "text.txt"])
def test_where_no_run_is_the_message_names_the_folder(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(trained)
    assert main(["report", name]) == 2
    assert str((trained / name).resolve()) in capsys.readouterr().err
