"""Whole runs with data and output on a real S3 server, and that no secret is in anything they leave or say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from tests.integration.s3.conftest import fresh, set_environment
from tests.integration.s3.proxy import Proxy, between
from tests.integration.s3.server import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    Server,
    environment,
    serving,
    without_aws,
)
from tests.jobs import job_document, write_images, write_text

PROGRAM = Path(sys.executable).with_name("raygen")
CANARIES = (ACCESS_KEY, SECRET_KEY)
SECONDS = 45
"""In which a run that cannot work must have ended, Python's start included."""


def put(server: Server, key: str, content: bytes) -> str:
    uri = f"s3://{BUCKET}/{key}"
    folder, _, name = uri.rpartition("/")
    open_storage(folder).write(name, content)
    return uri


def raygen(
    *arguments: str | Path, settings: Mapping[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env={**without_aws(), **settings},
        capture_output=True,
        text=True,
        timeout=240,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert_no_canary(said.encode(), "what was printed")
    return done


def assert_no_canary(content: bytes, where: object) -> None:
    for canary in CANARIES:
        assert canary.encode() not in content, where


def assert_no_canary_below(folder: Path) -> None:
    """In no object of a run, by name or content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert_no_canary(str(path).encode(), path)
        assert_no_canary(path.read_bytes(), path)


@pytest.fixture
def job(server: Server, aws: dict[str, str], tmp_path: Path) -> Path:
    """A job whose data is on the server; its output has to be named."""
    text = write_text(tmp_path / "text.txt").read_bytes()
    half = text.index(b"\n", len(text) // 2) + 1
    folder = fresh().removeprefix(f"s3://{BUCKET}/")
    put(server, f"{folder}/texts/a.txt", text[:half])
    put(server, f"{folder}/texts/deep/b.txt", text[half:])
    put(server, f"{folder}/texts/_SUCCESS", b"\xff")
    document = job_document(
        data__train={"sources": [{"uri": f"s3://{BUCKET}/{folder}/texts/"}]},
        training__duration={"steps": 60},
        evaluation__everySteps=20,
        output={"uri": f"s3://{BUCKET}/{folder}/runs"},
    )
    path = tmp_path / "job.json"
    path.write_text(json.dumps(document))
    return path


def output_of(job: Path) -> str:
    uri: str = json.loads(job.read_text())["spec"]["output"]["uri"]
    return uri


def losses(job: Path, run: str) -> dict[int, float]:
    lines = RunDirectory(open_storage(output_of(job)), run).read_metrics().lines
    return {line.step: line.values["loss"] for line in lines if line.kind == "train"}


def test_a_run_on_s3_trains_resumes_samples_reports_and_exports(
    job: Path, server: Server, aws: dict[str, str], tmp_path: Path
) -> None:
    whole = json.loads(raygen("train", job, "--run", "whole", "--json", settings=aws).stdout)
    assert (whole["state"], whole["report"]) == ("Succeeded", f"{output_of(job)}/whole/report.html")
    killed(job, aws, after=20)
    cut = json.loads(raygen("train", job, "--run", "cut", "--json", settings=aws).stdout)
    assert (cut["state"], cut["attempt"]) == ("Succeeded", 2)
    assert list(losses(job, "whole")) == list(range(1, 61))
    assert losses(job, "cut") == losses(job, "whole")
    run = f"{output_of(job)}/whole"
    assert json.loads(raygen("sample", run, "--max-tokens", "8", "--json", settings=aws).stdout)["samples"]
    raygen("report", run, settings=aws)
    raygen("export", run, tmp_path / "model", settings=aws)
    assert (tmp_path / "model" / "model.safetensors").stat().st_size > 0
    raygen("export", run, f"{run}/model", settings=aws, code=2)
    child = raygen("train", job, "--run", "child", "--from", run, "--json", settings=aws)
    assert json.loads(child.stdout)["state"] == "Succeeded"
    runs = server.folder / output_of(job).removeprefix("s3://")
    names = {path.relative_to(runs).as_posix() for path in runs.rglob("*") if path.is_file()}
    assert {"cut/attempts/001.json", "cut/attempts/002.json", "whole/report.html"} <= names
    assert not [name for name in names if "probe" in name]
    assert_no_canary_below(runs)
    events = EventAccumulator(str(runs / "whole" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")][-1] == 60


def killed(job: Path, settings: Mapping[str, str], after: int) -> None:
    """A run `cut` that gets SIGKILL once it has a checkpoint of this step or a later one."""
    checkpoints = open_storage(f"{output_of(job)}/cut/checkpoints")
    with subprocess.Popen(
        [PROGRAM, "train", job, "--run", "cut", "--set", "training.duration.steps=100000"],
        env={**without_aws(), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not any(
            entry.key >= f"step-{after:08}/manifest.json" and entry.key.endswith("manifest.json")
            for entry in checkpoints.list()
        ):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            pause.wait(0.02)
        process.kill()
        assert_no_canary(process.communicate()[0], "what was printed")
        assert process.returncode == -signal.SIGKILL


def test_two_workers_train_on_s3(job: Path, server: Server, aws: dict[str, str]) -> None:
    options = ["--set", "scale.workers=2", "--set", "training.duration.steps=10", "--cores", "2"]
    done = raygen("train", job, "--run", "two", "--json", *options, settings=aws)
    assert json.loads(done.stdout)["state"] == "Succeeded"
    assert_no_canary_below(server.folder / output_of(job).removeprefix("s3://"))


def test_images_are_read_from_s3_in_each_format(server: Server, aws: dict[str, str], tmp_path: Path) -> None:
    import gzip
    import struct

    import pyarrow.parquet as pq

    from raygen.data.images.files import read_images
    from raygen.spec import Source
    from raygen.spec.data.sources import ParquetSource

    table = write_images(tmp_path / "images.parquet", count=30)
    folder = fresh().removeprefix(f"s3://{BUCKET}/")
    parquet = put(server, f"{folder}/images.parquet", table.read_bytes())
    expected = read_images([ParquetSource(uri=str(table))], Path(), None)
    columns = pq.read_table(table).to_pydict()
    for number, (image, label) in enumerate(zip(columns["image"], columns["label"], strict=True)):
        put(server, f"{folder}/classes/{label}/{number:03}.png", image["bytes"])
    sizes = expected.pixels.shape
    idx = struct.pack(">4I", 0x803, sizes[0], sizes[2], sizes[3]) + expected.pixels.tobytes()
    labels = struct.pack(">2I", 0x801, sizes[0]) + bytes(columns["label"])
    put(server, f"{folder}/idx.gz", gzip.compress(idx))
    put(server, f"{folder}/labels", labels)
    base = f"s3://{BUCKET}/{folder}"

    found = read_images([ParquetSource(uri=parquet)], Path(), None)
    assert (found.pixels == expected.pixels).all()
    assert found.labels == expected.labels
    source = Source(uri=f"{base}/idx.gz", format="Idx", labels=f"{base}/labels")
    found = read_images([source], Path(), None)
    assert (found.pixels == expected.pixels).all()
    assert found.labels == expected.labels
    found = read_images([Source(uri=f"{base}/classes", format="ImageFolder")], Path(), None)
    assert list(found.labels or ()) == sorted(str(label) for label in columns["label"])
    assert found.pixels.sum() == expected.pixels.sum()


@contextmanager
def refused(seconds: float = SECONDS) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def fails(job: Path, settings: Mapping[str, str], *options: str) -> dict[str, Any]:
    """The error of a run that must end in seconds with code 2, for people and as JSON."""
    with refused():
        done = raygen("train", job, "--json", *options, settings=settings, code=2)
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    assert error["where"]
    assert error["remedy"]
    return error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": SECRET_KEY + "x"}, "the credentials are refused"),
        ({"AWS_ACCESS_KEY_ID": ACCESS_KEY + "X"}, "the credentials are refused"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the endpoint 127.0.0.1:9 does not answer"),
        ({"AWS_ENDPOINT_URL": f"http://{ACCESS_KEY}:{SECRET_KEY}@127.0.0.1:9"}, "does not answer"),
        ({"AWS_ENDPOINT_URL": "http://no-such-host.invalid"}, "no-such-host.invalid does not answer"),
        ({"AWS_ENDPOINT_URL": "not an address"}, "S3 cannot be set up"),
        ({"AWS_PROFILE": "nobody"}, "S3 cannot be set up"),
    ],
)
def test_what_cannot_work_ends_in_seconds_with_the_reason(
    job: Path, aws: dict[str, str], changes: dict[str, str], words: str
) -> None:
    error = fails(job, {**aws, **changes})
    assert words in error["what"]


def test_missing_credentials_are_named(job: Path, aws: dict[str, str]) -> None:
    settings = {k: v for k, v in aws.items() if "KEY" not in k}
    assert "there are no credentials" in fails(job, settings)["what"]


@pytest.mark.long
def test_an_endpoint_that_never_answers_is_given_up_soon(
    job: Path, proxy: Proxy, aws: dict[str, str]
) -> None:
    proxy.script = lambda request: "black hole"
    error = fails(job, {**aws, "AWS_ENDPOINT_URL": proxy.endpoint})
    assert f"127.0.0.1:{proxy.port} does not answer" in error["what"]


def test_a_missing_bucket_is_named(job: Path, aws: dict[str, str]) -> None:
    output = fails(job, aws, "--output", "s3://no-such-bucket/runs")
    assert output["what"] == "cannot be read: there is no such bucket"
    assert output["where"].startswith("s3://no-such-bucket/runs/tiny")
    data = fails(job, aws, "--set", 'data.train.sources=[{"uri": "s3://no-such-bucket/x.txt"}]')
    assert data["what"] == "cannot be read: there is no such bucket"


def test_missing_data_is_named(job: Path, aws: dict[str, str]) -> None:
    error = fails(job, aws, "--set", f'data.train.sources=[{{"uri": "s3://{BUCKET}/nowhere/*.txt"}}]')
    assert error["what"] == "there are no files"
    error = fails(job, aws, "--set", f'data.train.sources=[{{"uri": "s3://{BUCKET}/nowhere"}}]')
    assert error["what"] == "no such file or folder"


def test_a_read_only_bucket_is_named_before_the_data_is_read(job: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "other", "--readonly") as server:
        settings = environment(server.endpoint)
        error = fails(job, settings)
        assert "cannot be created: access is denied" in error["what"]
        assert "s3:PutObject" in error["remedy"]


def test_a_server_without_conditional_writes_is_refused_before_the_run(
    job: Path, proxy: Proxy, aws: dict[str, str]
) -> None:
    proxy.script = lambda request: "without conditions"
    error = fails(job, {**aws, "AWS_ENDPOINT_URL": proxy.endpoint})
    assert "passes over conditional writes" in error["what"]


def test_a_storage_that_fails_while_training_fails_the_run_with_the_reason(
    job: Path, server: Server, aws: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with between(server.port) as proxy:
        settings = set_environment(monkeypatch, proxy.endpoint)
        proxy.script = lambda request: (
            "403" if "checkpoints" in request.target and request.method == "PUT" else ""
        )
        done = raygen("train", job, "--run", "denied", "--json", settings=settings, code=2)
    error = json.loads(done.stdout)["error"]
    assert "access is denied" in error["what"]
    folder = server.folder / output_of(job).removeprefix("s3://") / "denied"
    assert "access is denied" in json.loads((folder / "outcome.json").read_text())["message"]
    assert_no_canary_below(folder)


def test_globs_match_as_they_do_on_this_machine(server: Server, aws: dict[str, str], tmp_path: Path) -> None:
    from raygen.data.text.documents import read_documents
    from raygen.spec import Source

    names = [
        "one.txt",
        "t/b.txt",
        "t/a.txt",
        "t/deep/c.txt",
        "t/deep/er/d.md",
        "t/.h.txt",
        "t/_S",
        "t/.git/config",
    ]
    folder = fresh().removeprefix(f"s3://{BUCKET}/")
    for name in names:
        put(server, f"{folder}/{name}", name.encode())
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for pattern in ("one.txt", "t", "t/", "t/*.txt", "t/[b-z]*", "t/**/*.txt", "**/d.md", "*/a*", "t/**"):
        here = read_documents([Source(uri=f"{tmp_path}/here/{pattern}")], Path())
        assert read_documents([Source(uri=f"s3://{BUCKET}/{folder}/{pattern}")], Path()) == here, pattern
