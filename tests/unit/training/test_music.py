"""Music from MIDI files to MIDI files, from memory and prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from symusic import Score

import raygen
from raygen.data.shards.index import read_index
from raygen.errors import DataError
from raygen.models.sample import SampleRequest
from raygen.storage import open_storage
from tests.jobs import job_document
from tests.music import piece, write_pieces
from tests.unit.training.runs import Watcher

PROMPT = "Bar_None TimeSig_4/4 Position_0"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    write_pieces(folder / "pieces", 30)
    (folder / "pieces" / "notes.txt").write_text("where they are from")
    return folder


def document(**changes: Any) -> dict[str, Any]:
    samples = {"everySteps": 20, "count": 2, "prompts": [PROMPT], "maxTokens": 40}
    return job_document(
        **{
            "data__train__sources": [{"uri": "pieces", "format": "Midi"}],
            "data__tokenizer": {"type": "REMI"},
            "evaluation__samples": samples,
        }
        | changes
    )


def train(base: Path, run: str, watcher: Watcher | None = None, **changes: Any) -> raygen.Result:
    return raygen.train(
        document(**changes),
        base=base,
        output=str(base / "runs"),
        run=run,
        device="cpu",
        observer=watcher or Watcher(),
    )


@pytest.mark.parametrize("prepared", [False, True], ids=["memory", "prepared"])
def test_music_is_learned_and_composed(base: Path, prepared: bool) -> None:
    name, watcher = f"prepared-{prepared}".lower(), Watcher()
    changes: dict[str, Any] = {"preparation": {"uri": "prepared"}} if prepared else {}

    result = train(base, name, watcher, **changes)

    assert result.metrics["loss"] < watcher.evaluations[10]["loss"] < 6.5
    folder = base / "runs" / name / "samples" / "step-00000020"
    assert sorted(path.name for path in folder.iterdir()) == ["music-000.mid", "music-001.mid", "texts.jsonl"]
    Score.from_midi((folder / "music-000.mid").read_bytes())
    text = json.loads((folder / "texts.jsonl").read_text().splitlines()[0])
    assert text["prompt"] == PROMPT
    composed = raygen.Run.open(base / "runs" / name).sample(SampleRequest(count=1, max_tokens=10))
    assert composed[0].midi is not None
    assert composed[0].midi[:4] == b"MThd"


def test_other_files_are_named(base: Path) -> None:
    watcher = Watcher()

    train(base, "named", watcher, training__duration={"steps": 1}, evaluation={})

    assert any("notes.txt" in notice and "not MIDI" in notice for notice in watcher.notices)


def test_a_damaged_piece_ends_a_run_from_memory_and_is_set_aside_in_preparing(tmp_path: Path) -> None:
    write_pieces(tmp_path / "pieces", 30)
    (tmp_path / "pieces" / "broken.mid").write_bytes(piece(0)[:-20])

    with pytest.raises(DataError, match="it is cut off"):
        train(tmp_path, "memory", evaluation={})
    train(tmp_path, "prepared", preparation={"uri": "prepared"}, data__cleaning={"maxBrokenShare": 0.1})

    index = read_index(open_storage(str(tmp_path / "prepared")))
    assert index is not None
    (aside,) = (tmp_path / "prepared" / "quarantine").glob("*.jsonl")
    (line,) = aside.read_text().splitlines()
    assert json.loads(line)["key"] == "broken.mid"
    assert "cut off" in json.loads(line)["reason"]


def test_a_prompt_of_other_words_is_refused_before_training(base: Path) -> None:
    samples = {"everySteps": 10, "prompts": ["Pitch_500"]}
    with pytest.raises(DataError, match="'Pitch_500' is not a word of music"):
        train(base, "prompt", evaluation__samples=samples)


@pytest.mark.parametrize("tokenizer", ["Byte", "Character", "BPE"])
def test_music_has_a_tokenizer_of_its_own(base: Path, tokenizer: str) -> None:
    with pytest.raises(raygen.RaygenError, match="REMI"):
        train(base, "other", data__tokenizer={"type": tokenizer})
