from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.errors import OutputError
from tests.jobs import job_document, write_text
from tests.prepared import documents, write_lines
from tests.unit.training.runs import train

Verified = tuple[int, dict[str, Any]]


def prepared_job(**changes: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "data__train": {"sources": [{"uri": "lines", "format": "JsonLines"}]},
        "data__tokenizer": {"type": "Byte"},
        "evaluation__samples": None,
        "training__duration__steps": 5,
        "preparation": {"uri": "prepared"},
    }
    return job_document(**defaults | changes)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was trained on prepared data."""
    write_lines(tmp_path / "lines" / "0.jsonl", documents(300))
    train(tmp_path, prepared_job())
    return tmp_path / "runs" / "tiny"


def verified(run: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Verified:
    code = main(["data", "verify", str(run), "--json", *options])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


def job_json(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "job.json").read_text())
    return document


def test_a_run_is_what_it_says(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = verified(run, capsys, "--contents")
    assert code == 0
    assert document["equal"]
    assert document["order"] == job_json(run)["order"]
    assert document["shards"] == 2
    card = json.loads((run.parents[1] / "prepared" / "card.json").read_text())
    assert document["order"] == card["order"]
    assert main(["data", "verify", str(run)]) == 0
    text = capsys.readouterr().out
    assert "state       equal" in text
    assert document["order"]["sha256"] in text
    assert "not read" in text


def test_it_says_how_many_of_the_positions_used_it_covers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that has not used a whole epoch; and one that takes its samples from several, of which one is hashed."""
    write_lines(tmp_path / "lines" / "0.jsonl", documents(20))
    train(tmp_path, prepared_job())
    run = tmp_path / "runs" / "tiny"
    epoch = job_json(run)["order"]["of"]["samplesPerEpoch"]
    assert verified(run, capsys)[1]["positions"] == {"used": 20, "covered": 20}
    assert main(["data", "verify", str(run)]) == 0
    assert "covers      all 20 positions that the run has used" in capsys.readouterr().out
    steps = epoch // 4 + 5
    train(tmp_path, prepared_job(training__duration__steps=steps))
    assert verified(run, capsys)[1]["positions"] == {"used": 4 * steps, "covered": epoch}
    assert main(["data", "verify", str(run)]) == 0
    text = capsys.readouterr().out
    assert (
        f"covers      the first {epoch:,} of {4 * steps:,} positions that the run has used; the others"
        in text
    )


def test_what_differs_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = job_json(run)
    document["job"]["spec"]["training"]["seed"] = 2
    (run / "job.json").write_text(json.dumps(document))
    code, found = verified(run, capsys)
    assert code == 1
    assert found["differences"][0] == {"what": "seed", "recorded": 1, "found": 2}
    assert main(["data", "verify", str(run)]) == 1
    assert "seed: recorded 1, found 2" in capsys.readouterr().out


def test_a_shard_that_was_changed_ends_with_its_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = next((run.parents[1] / "prepared" / "train").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert verified(run, capsys)[0] == 0
    code, found = verified(run, capsys, "--contents")
    assert code == 1
    assert found["differences"][0]["what"] == "train/000/00000-00000.parquet"


def test_an_index_that_was_altered_is_wrong_input(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = run.parents[1] / "prepared" / "index.json"
    index.write_text(index.read_text().replace('"shards_per_window": 8', '"shards_per_window": 4'))
    code, found = verified(run, capsys)
    assert code == 2
    assert "the index was altered" in found["error"]["what"]
    index.unlink()
    code, found = verified(run, capsys)
    assert code == 2
    assert "there is no prepared data" in found["error"]["what"]


def test_a_run_on_data_in_memory_can_be_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write_text(tmp_path / "text.txt")
    train(tmp_path, job_document(training__duration__steps=5))
    assert verified(tmp_path / "runs" / "tiny", capsys)[0] == 0
    assert verified(tmp_path / "runs" / "tiny", capsys, "--contents")[0] == 0
    text.write_text(text.read_text().replace("fox", "cat"))
    code, found = verified(tmp_path / "runs" / "tiny", capsys, "--contents")
    assert code == 1
    assert found["differences"][0]["what"] == "fingerprint"


def test_a_run_without_a_record_says_what_to_do(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = job_json(run)
    order = document.pop("order")
    (run / "job.json").write_text(json.dumps(document))
    code, found = verified(run, capsys)
    assert code == 2
    assert "no record of the order" in found["error"]["what"]
    # As the remedy says, going on adds it.
    train(run.parents[1], prepared_job(training__duration__steps=8))
    assert job_json(run)["order"] == order


def test_a_run_does_not_go_on_in_another_order(run: Path) -> None:
    document = job_json(run)
    document["order"]["sha256"] = "0" * 64
    (run / "job.json").write_text(json.dumps(document))
    with pytest.raises(OutputError, match="in another order than when it began"):
        train(run.parents[1], prepared_job(training__duration__steps=8))


def test_there_must_be_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = verified(tmp_path / "none", capsys)
    assert code == 2
    assert "there is no run" in found["error"]["what"]
