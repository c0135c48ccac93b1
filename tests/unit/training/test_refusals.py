"""What a run refuses, and that nothing that was there is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.errors import DataError, InputError, OutputError, RaygenError, ValidationError
from raygen.inference.run import Run
from tests.jobs import job_document, write_text
from tests.unit.training.runs import losses, train

BAD_DATA = {
    "missing": (None, "no such file"),
    "empty": (b"", "holds no text"),
    "short": (b"the " * 5, "too few for contextLength"),
    "not UTF-8": (b"abc\xff" * 100, "not UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data_is_refused_before_anything_is_written(
    base: Path, content: bytes | None, message: str
) -> None:
    (base / "text.txt").unlink()
    if content is not None:
        (base / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        train(base)
    assert caught.value.remedy
    assert not list(base.glob("runs/*"))


def test_a_character_that_training_never_saw_is_named(base: Path) -> None:
    write_text(base / "other.txt").write_text("the queen\N{SNOWMAN} sleeps" * 20)
    document = job_document(data__validation={"sources": [{"uri": "other.txt"}]})
    with pytest.raises(DataError, match="U\\+2603"):
        train(base, document)


def test_an_output_that_is_a_file_is_refused(base: Path) -> None:
    (base / "runs").write_text("mine")
    with pytest.raises(OutputError) as caught:
        train(base)
    assert caught.value.remedy
    assert (base / "runs").read_text() == "mine"


def test_a_full_disk_fails_with_a_message_and_keeps_what_was_there(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    train(base, job_document(training__duration={"steps": 10}))
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RaygenError) as caught:
        train(base, job_document(training__duration={"steps": 30}))
    assert "space" in str(caught.value)
    monkeypatch.setattr(os, "fsync", real)
    assert train(base, job_document(training__duration={"steps": 30})).step == 30
    assert list(losses(base)) == list(range(1, 31))


def test_faults_come_before_everything_else(base: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        train(base, job_document(model__transformer__hiddenSize=15, training__globalBatchSize=0))
    assert {fault.path for fault in caught.value.faults} >= {
        "spec.model.transformer.hiddenSize",
        "spec.training.globalBatchSize",
    }


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/"])
def test_a_whole_bucket_is_no_run(uri: str) -> None:
    with pytest.raises(InputError, match="a whole bucket, and a run is a folder in it") as caught:
        Run.open(uri)
    assert caught.value.where == uri


def test_the_root_of_the_file_system_is_no_run() -> None:
    with pytest.raises(InputError, match="the root of the file system"):
        Run.open("/")


def test_the_output_is_probed_before_the_data_is_read(base: Path) -> None:
    (base / "text.txt").unlink()
    (base / "runs").write_text("a file in the way")
    with pytest.raises(OutputError, match="a file stands"):
        train(base)
