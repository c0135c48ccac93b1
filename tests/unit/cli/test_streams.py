"""What becomes of a verb whose output nobody takes, or not as it is."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from raygen.cli.main import main
from raygen.cli.streams import Streams, lasting_streams
from tests.jobs import job_document

Leads = Callable[..., None]


@pytest.fixture
def leads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Leads]:
    """Leads sys.stdout or sys.stderr to a descriptor."""
    opened: list[io.TextIOWrapper] = []

    def to(descriptor: int, name: str = "stdout", encoding: str = "utf-8") -> None:
        opened.append(open(descriptor, "w", encoding=encoding))  # noqa: SIM115 (the fixture closes it)
        monkeypatch.setattr(sys, name, opened[-1])

    yield to
    for stream in opened:
        stream.close()


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def without_a_reader() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


def read_only() -> int:
    return os.open(os.devnull, os.O_RDONLY)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "é漢.yaml"
    path.write_text(yaml.safe_dump(job_document()), encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("lost", "code", "why"),
    [
        (full, 1, "No space left on device"),
        (read_only, 1, "Bad file descriptor"),
        (without_a_reader, 141, ""),
    ],
)
def test_a_verb_that_only_prints_fails_with_its_output(
    leads: Leads,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    lost: Callable[[], int],
    code: int,
    why: str,
) -> None:
    leads(lost())
    assert main(["version", *options]) == code
    assert capsys.readouterr().err == (f"error: stdout cannot be written: {why}\n" if why else "")


@pytest.mark.parametrize(("lost", "code"), [(full, 1), (read_only, 1), (without_a_reader, 141)])
def test_actions_that_only_print_fail_with_their_output(
    leads: Leads, base: Path, lost: Callable[[], int], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base)
    Path("job.yaml").write_text(yaml.safe_dump(job_document()), encoding="utf-8")
    leads(lost())
    assert main(["data", "inspect", "text.txt"]) == code
    leads(lost())
    assert main(["data", "preview", "job.yaml", "-n", "1", "--device", "cpu"]) == code
    assert main(["data", "inspect", "no-such.txt"]) == 2


@pytest.mark.parametrize(("lost", "code"), [(full, 1), (read_only, 1), (without_a_reader, 141)])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["data", "inspect", "--help"]])
def test_help_and_version_fail_with_their_output(
    leads: Leads, capsys: pytest.CaptureFixture[str], arguments: list[str], lost: Callable[[], int], code: int
) -> None:
    leads(lost())
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == code
    error = capsys.readouterr().err
    assert error.startswith("error: stdout cannot be written: ") if code == 1 else not error


def test_a_wrong_command_line_is_exit_code_2_whatever_becomes_of_the_output(leads: Leads) -> None:
    leads(full())
    with pytest.raises(SystemExit) as end:
        main(["data", "inspct"])
    assert end.value.code == 2


@pytest.mark.parametrize("lost", [full, read_only, without_a_reader])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_the_exit_code_says_how_a_verb_ended(
    leads: Leads, job: Path, name: str, lost: Callable[[], int]
) -> None:
    leads(lost(), name)
    assert main(["validate", str(job)]) == 0
    assert main(["validate", f"{job}.none"]) == 2
    assert main(["validate", f"{job}.none", "--json"]) == 2


@pytest.mark.parametrize("lost", [full, without_a_reader])
def test_a_run_goes_on_and_succeeds(
    leads: Leads, base: Path, lost: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base)
    Path("job.yaml").write_text(yaml.safe_dump(job_document()), encoding="utf-8")
    leads(lost())
    leads(lost(), "stderr")
    assert main(["train", "job.yaml", "--output", "runs", "--device", "cpu"]) == 0
    assert json.loads(Path("runs/tiny/outcome.json").read_text(encoding="utf-8"))["state"] == "Succeeded"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_an_encoding_lacks_are_escaped(
    leads: Leads, job: Path, tmp_path: Path, encoding: str
) -> None:
    out = tmp_path / "out"
    for options in ([], ["--json"]):
        leads(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), encoding=encoding)
        assert main(["validate", str(job), *options]) == 0
        sys.stdout.close()
        text = out.read_text(encoding=encoding)
        assert json.loads(text)["file"] == str(job) if options else r"\u6f22.yaml: valid" in text


def test_a_slow_reader_gets_everything(leads: Leads) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    leads(write)
    chunks: list[bytes] = []

    def drain() -> None:
        while chunk := os.read(read, 4096):
            chunks.append(chunk)

    text = "x" * 1_000_000
    reader = threading.Thread(target=drain)
    with lasting_streams() as streams:
        reader.start()
        print(text)
        streams.out.flush()
        assert streams.out.lost is None
    sys.stdout.close()
    reader.join(10)
    os.close(read)
    assert b"".join(chunks) == text.encode() + b"\n"


def test_streams_are_put_back_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr, sys.stdout.errors
    with lasting_streams() as streams:
        assert isinstance(streams, Streams)
        print("\udc80")
    assert (sys.stdout, sys.stderr, sys.stdout.errors) == before
    assert capsys.readouterr().out == "\\udc80\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_get_nothing(job: Path, closed: str) -> None:
    """The next file that is opened has the number of a closed one; what is printed must not go there."""
    command = f"exec {sys.executable} -m raygen validate {job} {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert yaml.safe_load(job.read_text(encoding="utf-8")) == job_document()
