from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import JobFileError, ValidationError
from raygen.jobfile import dumps, load, loads
from raygen.spec import Fault, parse
from tests.budget import examples
from tests.jobs import job_document
from tests.unit.spec.documents import valid_jobs

TEXT = """\
apiVersion: raygen.io/v1alpha1
kind: TrainingJob
metadata: {name: tiny}
spec:
  model:
    type: Transformer
    transformer: {layers: 1, heads: 1, hiddenSize: 8, contextLength: 8}
  data:
    train: {sources: [{uri: text.txt}]}
    tokenizer: {type: Character}
  training:
    duration: {steps: 10}
    globalBatchSize: 2
    optimizer: {type: AdamW, learningRate: 1e-3}
    gradientClipNorm: 1.0
    seed: 1337
"""


def faults_of(text: str | bytes, name: str = "job.yaml", **options: Any) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        loads(text, name, **options)
    return list(caught.value.faults)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(TEXT, encoding="utf-8")
    loaded = load(path)
    assert loaded.path == path
    assert loaded.job.spec.training.optimizer.learning_rate == 1e-3
    assert loaded.raw["spec"]["training"]["seed"] == 1337
    assert load(str(path)) == loaded


def test_faults_have_the_line_of_their_key() -> None:
    text = TEXT.replace("seed: 1337", "seed: x").replace("gradientClipNorm", "gradientClip") + "  scal: {}\n"
    lines = text.splitlines()
    found = {fault.path: fault.line for fault in faults_of(text)}
    assert found == {
        "spec.training.seed": lines.index("    seed: x") + 1,
        "spec.training.gradientClip": next(n for n, line in enumerate(lines, 1) if "gradientClip:" in line),
        "spec.scal": len(lines),
    }


def test_json_is_read_with_lines_too() -> None:
    document = job_document(training__seed=-1)
    text = json.dumps(document, indent=2)
    (fault,) = faults_of(text, "job.json")
    assert text.splitlines()[(fault.line or 0) - 1].strip().startswith('"seed": -1')
    assert loads(json.dumps(job_document()), "JOB.JSON").job == parse(job_document())


def test_yaml_reads_json_as_well() -> None:
    assert loads(json.dumps(job_document())).job == parse(job_document())


def test_overrides_come_after_the_file_and_have_no_line() -> None:
    assert loads(TEXT, overrides=["training.seed=3"]).raw["spec"]["training"]["seed"] == 3
    (fault,) = faults_of(TEXT, overrides=["training.seed=x"])
    assert (fault.path, fault.line) == ("spec.training.seed", None)


def test_messages_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT.replace("1337", "x"), encoding="utf-8")
    with pytest.raises(ValidationError, match="1 fault in the job") as caught:
        load(path)
    assert caught.value.where == str(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    link = tmp_path / "loop"
    link.symlink_to(link)
    for path, problem in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder"),
        (link, "cannot be read"),
        (Path("a\0b"), "is not a path"),
        (tmp_path / ("x" * 5000), "cannot be read"),
    ):
        with pytest.raises(JobFileError, match=problem) as caught:
            load(path)
        assert caught.value.remedy


def test_files_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(JobFileError, match="may not be read"):
        load(tmp_path / "job.yaml")


def test_too_large_files_are_not_read_whole() -> None:
    with pytest.raises(JobFileError, match="larger than 1 MiB"):
        load("/dev/zero")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"---\n...\n", "is empty"),
        (b"\xff\xfea\x00", "is UTF-16"),
        (b"\xfe\xff\x00a", "is UTF-16"),
        (b"a: 1\nb: \xff\n", "is not UTF-8: byte 0xff"),
        (b"\x7fELF\x02\x01\x00", "U\\+007F"),
        (b"a: \x00", "U\\+0000"),
        ("a: \ud800", "U\\+D800"),
        (b"a" * (1 << 20) + b"b", "larger than 1 MiB"),
    ],
)
def test_what_is_no_text(content: bytes | str, problem: str) -> None:
    with pytest.raises(JobFileError, match=problem) as caught:
        loads(content)
    assert caught.value.remedy


def test_a_byte_order_mark_is_no_fault() -> None:
    assert loads(b"\xef\xbb\xbf" + TEXT.encode()).job == loads(TEXT).job


@examples(200)
@given(valid_jobs(), st.text(max_size=30))
def test_dumps_gives_what_loads_reads(document: dict[str, Any], note: str) -> None:
    document["metadata"]["annotations"] = {"note": note.replace("\0", "")}
    job = parse(document)
    text = dumps(job)
    loaded = loads(text)
    assert loaded.job == job
    assert dumps(loaded.job) == text


@pytest.mark.parametrize("word", ["1e-3", "0o17", "017", "1_000", "1:30", "yes", "no", "~", "", "2026-11-24", ".5", "0x1f", ".inf", "true", " x", "- x", "a: b", "# x", "é😀", "\x85", "<<", "="])  # fmt: skip
def test_dumps_quotes_what_would_be_something_else(word: str) -> None:
    document = job_document()
    document["metadata"]["annotations"] = {"note": word}
    assert loads(dumps(parse(document))).job.metadata.annotations == {"note": word}


def test_dumps_leaves_out_what_was_not_set() -> None:
    text = dumps(parse(job_document()))
    assert "dropout" not in text
    assert text.startswith("apiVersion: raygen.io/v1alpha1\nkind: TrainingJob\n")
