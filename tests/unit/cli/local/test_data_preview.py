"""`raygen data preview`: one picture of images before and after, or the texts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raygen.cli.main import main
from tests.jobs import image_job_document, job_document, write_images, write_text


@pytest.fixture
def preview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Looks at a job's samples, and gives the JSON that was printed."""
    write_text(tmp_path / "text.txt")
    write_images(tmp_path / "images.parquet")

    def act(document: dict[str, Any], *options: str, code: int = 0) -> dict[str, Any]:
        (tmp_path / "job.json").write_text(json.dumps(document))
        job = str(tmp_path / "job.json")
        assert main(["data", "--json", "preview", job, "--device", "cpu", *options]) == code
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        return printed

    return act


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())))


def test_images_are_shown_above_what_becomes_of_them(preview: Any, tmp_path: Path) -> None:
    plain, changed = tmp_path / "plain.png", tmp_path / "changed.png"
    document = image_job_document("VAE", training__globalBatchSize=4)
    found = preview(document, "-n", "10", "--out", str(plain))
    assert found == {"picture": str(plain), "samples": 10}
    document["spec"]["data"]["augmentation"] = {"flip": {"horizontal": 1, "vertical": 1}}
    preview(document, "-n", "10", "--out", str(changed))
    before, after = pixels(plain), pixels(changed)
    side, across = 128, 128 + 4
    assert before.shape == after.shape
    place = (slice(4, 4 + side), slice(56, 56 + side))
    below = (slice(4 + across, 4 + across + side), place[1])
    # The word at the left differs from row to row, the images do not.
    assert np.array_equal(before[place], before[below])
    assert np.array_equal(after[place], before[place])
    assert np.array_equal(after[below], before[place][::-1, ::-1])


def test_texts_are_printed_with_marks_around_what_was_replaced(preview: Any) -> None:
    document = job_document(data__augmentation={"tokenDropout": {"share": 0.4}})
    samples = preview(document, "-n", "3")["samples"]
    assert len(samples) == 3
    for sample in samples:
        assert sample["tokens"] == 16
        assert 0 < sample["replaced"] < 16
        assert sample["before"] != sample["after"]
        assert len(sample["after"].replace("[[", "").replace("]]", "")) == len(sample["before"])


def test_text_is_readable_without_json(
    preview: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview(job_document(data__augmentation={"spanMasking": {}}))
    assert main(["data", "preview", str(tmp_path / "job.json"), "-n", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("sample 1: ")
    assert printed.count("  before | ") >= 2


def test_a_picture_that_cannot_be_written_says_where(preview: Any, tmp_path: Path) -> None:
    error = preview(image_job_document("VAE"), "--out", str(tmp_path / "no" / "x.png"), code=2)["error"]
    assert "cannot be written" in error["what"]
    assert error["where"].endswith("x.png")


@pytest.mark.parametrize("count", ["0", "-1", "x", "1000000"])
def test_a_count_is_a_number_of_samples(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "preview", "job.json", "-n", count])
    assert "must be a whole number from 1 to 99999" in capsys.readouterr().err
