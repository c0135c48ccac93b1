"""The command line as a person uses it: real processes, real signals, real files."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygen.jobfile import dumps
from raygen.run.directory import RunDirectory
from raygen.spec import parse
from raygen.storage import open_storage
from tests.jobs import job_document

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "01-gpt-tiny.yaml"


def raygen(*arguments: str | Path, cwd: Path = ROOT, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "raygen", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextmanager
def started(*arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone when the context ends; its messages are in `stderr.txt`."""
    with (cwd / "stderr.txt").open("wb") as errors:
        command = [sys.executable, "-m", "raygen", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def write_job(base: Path, **changes: Any) -> Path:
    path = base / "job.yaml"
    path.write_text(yaml.safe_dump(job_document(**changes)))
    return path


def losses(base: Path, run: str) -> dict[int, float]:
    lines = RunDirectory(open_storage(str(base / "runs")), run).read_metrics().lines
    return {line.step: line.values["loss"] for line in lines if line.kind == "train"}


def newest_step(base: Path, run: str) -> int:
    """The newest complete checkpoint, 0 without one."""
    found = (base / "runs" / run).glob("checkpoints/*/manifest.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in found), default=0)


def wait_for_step(process: subprocess.Popen[bytes], base: Path, run: str, step: int) -> None:
    """Until the run has a complete checkpoint of this step or a later one."""
    limit = time.monotonic() + 120
    while newest_step(base, run) < step:
        assert process.poll() is None, (base / "stderr.txt").read_text()
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, shortened, trained to `runs/gpt-tiny`."""
    base = tmp_path_factory.mktemp("example")
    short = ["training.duration.steps=30", "evaluation.everySteps=15", "evaluation.samples.everySteps=15"]
    small = ["evaluation.samples.maxTokens=20", "model.transformer.layers=1"]
    options = [part for change in (*short, *small) for part in ("--set", change)]
    done = raygen("train", EXAMPLE, "--output", base / "runs", "--device", "cpu", "--json", *options)
    result = json.loads(done.stdout)
    assert result["state"] == "Succeeded"
    assert 2.0 < result["metrics"]["loss"] < 4.0
    assert "step 15/30" in done.stderr
    assert "sample at step 15" in done.stderr
    return base


def test_the_example_leaves_a_report_and_event_files(trained: Path) -> None:
    run = trained / "runs" / "gpt-tiny"
    report = (run / "report.html").read_text()
    assert "Content-Security-Policy" in report
    assert "ROMEO:" in report
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))


def test_nothing_moves_where_there_is_no_terminal(trained: Path) -> None:
    done = raygen("train", EXAMPLE, "--output", trained / "runs", "--set", "model.transformer.layers=1",
                  "--set", "training.duration.steps=30")  # fmt: skip
    assert "AlreadyComplete" in done.stdout
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_sample_is_repeatable_and_prints_json(trained: Path) -> None:
    run = trained / "runs" / "gpt-tiny"
    options = [
        "--prompt",
        "ROMEO:",
        "--prompt",
        "JULIET:",
        "--count",
        "2",
        "--max-tokens",
        "12",
        "--top-k",
        "9",
    ]
    first = json.loads(raygen("sample", run, *options, "--json").stdout)
    again = json.loads(raygen("sample", run, *options, "--json").stdout)
    assert first == again
    assert [sample["prompt"] for sample in first["samples"]] == ["ROMEO:", "JULIET:"] * 2
    other = json.loads(raygen("sample", run, *options, "--seed", "1", "--json").stdout)
    assert other["samples"] != first["samples"]
    assert raygen("sample", run, "--prompt", "ROMEO:").stdout.startswith("ROMEO:")


def test_sample_refuses_what_cannot_be(trained: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "gpt-tiny"
    assert "--top-p" in raygen("sample", run, "--top-p", "2", code=2).stderr
    assert "U+2603" in raygen("sample", run, "--prompt", "\N{SNOWMAN}", code=2).stderr
    assert "no run" in raygen("sample", tmp_path, code=2).stderr
    missing = raygen("sample", run, "--step", "7", code=2).stderr
    assert "there is no checkpoint of step 7" in missing
    assert "There are those of " in missing
    assert "the run's model is not told the class" in raygen("sample", run, "--class", "3", code=2).stderr


def test_report_is_written_again(trained: Path) -> None:
    path = trained / "runs" / "gpt-tiny" / "report.html"
    path.unlink()
    assert json.loads(raygen("report", path.parent, "--json").stdout)["report"].endswith("report.html")
    assert path.exists()


def test_export_writes_a_new_folder_only(trained: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "gpt-tiny"
    done = json.loads(raygen("export", run, tmp_path / "model", "--json").stdout)
    names = {Path(file).name for file in done["files"]}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert "not an empty folder" in raygen("export", run, tmp_path / "model", code=2).stderr


def test_validate_prints_every_fault_with_its_line(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("layers: 4", "layers: 0, laiers: 4").replace("Muon", "Muonn")
    path = tmp_path / "job.yaml"
    path.write_text(text)
    done = raygen("validate", path, code=2)
    assert "laiers" in done.stderr
    assert "layers" in done.stderr
    assert "Did you mean Muon?" in done.stderr
    faults = json.loads(raygen("validate", path, "--json", code=2).stdout)["faults"]
    line = 1 + text[: text.index("laiers")].count("\n")
    assert {fault["path"]: fault["line"] for fault in faults}["spec.model.transformer.laiers"] == line


def test_validate_names_what_depends_on_the_number_of_workers(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(dumps(parse(job_document(model__transformer__dropout=0.1, scale={"workers": 2}))))
    assert "notice: spec.model.transformer.dropout" in raygen("validate", path).stdout
    (notice,) = json.loads(raygen("validate", path, "--json").stdout)["notices"]
    assert "scale.workers" in notice


def test_plan_measures_the_job(tmp_path: Path) -> None:
    plan = json.loads(raygen("plan", EXAMPLE, "--device", "cpu", "--json").stdout)
    assert plan["parameters"] == 800_256
    assert (plan["steps"], plan["units"]) == (2000, 1_536_000)
    assert plan["largest_micro_batch"] > 12
    # Weights and gradients of 4 bytes; Muon keeps one moment of each matrix, AdamW two of everything else.
    assert 12 <= plan["state_bytes"] / plan["parameters"] < 12.2
    assert plan["activation_bytes"] > 12 * 64 * 128 * 4
    assert plan["seconds"] == pytest.approx(2000 * plan["step_seconds"])
    assert plan["precision"] == "Float32"
    assert plan["bfloat16_speed"] > 0
    text = raygen("plan", EXAMPLE, "--device", "cpu").stdout
    assert "parameters" in text
    assert re.search(r"Float32; products in BFloat16 are \d+\.\d times (faster|slower) than", text)


def test_version_and_completion(tmp_path: Path) -> None:
    assert "torch" in raygen("version").stdout
    assert json.loads(raygen("version", "--json").stdout)["raygen"]
    script = tmp_path / "completion.bash"
    script.write_text(raygen("completion", "bash").stdout)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "validate" in script.read_text()


def test_kills_change_no_loss(base: Path) -> None:
    """SIGKILL at random moments; every loss, before and after, equals those of an undisturbed run.

    benchmarks/kill_resume.py does the same with twenty kills.
    """
    changes = {
        "training__duration": {"steps": 400},
        "evaluation": {"everySteps": 100},
        "checkpoint__everySteps": 10,
    }
    job = write_job(base, **changes)
    raygen("train", job, "--run", "whole", cwd=base)
    moments = random.Random(7)
    for _ in range(3):
        with started("train", job, "--run", "cut", cwd=base) as process:
            wait_for_step(process, base, "cut", newest_step(base, "cut") + 10 * moments.randrange(1, 6))
            time.sleep(moments.random() * 0.05)  # the moment of the kill is the test's input
            process.kill()
            assert process.wait() == -signal.SIGKILL
    raygen("train", job, "--run", "cut", cwd=base)
    assert RunDirectory(open_storage(str(base / "runs")), "cut").attempts()[-1].number == 4
    assert list(losses(base, "whole")) == list(range(1, 401))
    assert losses(base, "cut") == losses(base, "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_checkpoints_and_leaves_with_code_3(base: Path, number: signal.Signals) -> None:
    job = write_job(base, training__duration={"steps": 100_000}, evaluation__samples=None)
    with started("train", job, "--run", "cut", cwd=base) as process:
        wait_for_step(process, base, "cut", 5)
        process.send_signal(number)
        assert process.wait(timeout=10) == 3, (base / "stderr.txt").read_text()
    outcome = json.loads((base / "runs/cut/outcome.json").read_text())
    assert (outcome["state"], outcome["reason"]) == ("Stopped", number.name)
    assert max(losses(base, "cut")) == outcome["step"]
    steps = outcome["step"] + 5
    done = raygen(
        "train", job, "--run", "cut", "--set", f"training.duration.steps={steps}", "--json", cwd=base
    )
    assert json.loads(done.stdout)["step"] == steps
    assert list(losses(base, "cut")) == list(range(1, steps + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_training_leaves_with_code_3_at_once(base: Path, number: signal.Signals) -> None:
    os.mkfifo(base / "job.yaml")
    # The second file opens when the process has opened it too, and waits for its job.
    with started("train", base / "job.yaml", cwd=base) as process, (base / "job.yaml").open("w"):
        process.send_signal(number)
        assert process.wait(timeout=10) == 3
    assert (base / "stderr.txt").read_text() == "interrupted\n"


def test_training_goes_on_when_nobody_reads_its_messages(base: Path) -> None:
    job = write_job(base, training__duration={"steps": 300}, evaluation__everySteps=20)
    command = [sys.executable, "-m", "raygen", "train", str(job), "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=base, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert "run " in process.stderr.readline()
        process.stderr.close()
        assert json.loads(process.stdout.read())["step"] == 300
    assert process.returncode == 0


def test_output_that_cannot_be_written_is_one_clear_error(base: Path) -> None:
    job = write_job(base)
    (base / "file").write_text("mine")
    done = raygen("train", job, "--output", base / "file", cwd=base, code=2)
    assert done.stderr.startswith("error:")
    assert (base / "file").read_text() == "mine"
    raygen("train", job, "--output", "s3://bucket/runs", cwd=base, code=2)
    raygen("train", job, "--device", "cuda" if not _has_cuda() else "mps", cwd=base, code=2)


def test_a_full_disk_is_one_clear_error(base: Path) -> None:
    """On a real file system that is full: /dev/shm cannot be shrunk without root, so the file size is limited."""
    job = write_job(base)
    limited = "ulimit -f 8; exec " + " ".join([sys.executable, "-m", "raygen", "train", str(job)])
    done = subprocess.run(
        ["bash", "-c", limited], cwd=base, capture_output=True, text=True, env=os.environ, timeout=240
    )
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-2].startswith("error:") or "error:" in done.stderr


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def test_help_and_validate_import_no_training_package() -> None:
    script = (
        "import sys; from raygen.cli.main import main\n"
        f"code = main(['validate', {str(EXAMPLE)!r}])\n"
        "heavy = {'torch', 'numpy', 'tokenizers', 'ray', 'kubernetes', 'rich'} & set(sys.modules)\n"
        "sys.exit(code or (f'loaded: {heavy}' if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    light = (
        "import sys, raygen.cli.main as m\n"
        "m.build_parser().format_help()\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", light], check=False).returncode == 0
