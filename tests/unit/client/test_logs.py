"""What a driver prints, to its last line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.client import dashboard
from raygen.client import logs as module
from raygen.client.logs import logs
from raygen.errors import RunError
from raygen.storage import LocalStorage
from raygen.train.logs import KeptLogs
from tests.unit.client.stub import JOB, Answer, Cluster, Way, ended, job, serving


class Head:
    """A head pod whose job goes on a bit whenever its logs were read.

    Attributes:
        life: Status and log, one after the other; None for a head that is gone.
    """

    def __init__(self) -> None:
        self.life: list[tuple[str, str] | None] = []

    def answer(self, method: str, target: str, body: dict[str, Any]) -> Answer:
        del method, body
        now = self.life[0]
        if now is None:
            if len(self.life) > 1:
                self.life.pop(0)
            return None
        if not target.endswith("/logs"):
            return 200, {"status": now[0]}
        if len(self.life) > 1:
            self.life.pop(0)
        return 200, {"logs": now[1]}


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    return Head()


@pytest.fixture
def followed(head: Head) -> Iterator[Callable[..., tuple[str, bool]]]:
    """Follows the life of a head; gives what was written, and whether the end was seen."""
    with serving(head.answer) as url:

        def follow(*life: tuple[str, str] | None, over: bool = False) -> tuple[str, bool]:
            head.life = list(life)
            found: list[str] = []
            seen = logs(url, "j", found.append, follow=True, over=lambda: over)
            return "".join(found), seen

        yield follow


def test_the_last_lines_are_there(followed: Callable[..., tuple[str, bool]]) -> None:
    # The driver ends just after its log was read.
    assert followed(("RUNNING", "a\n"), ("FAILED", "a\nerror: why\n")) == ("a\nerror: why\n", True)


@pytest.mark.parametrize("second", ["c\n", "c\nthat is longer\n"])
def test_a_head_that_starts_anew_has_its_log_from_the_beginning(
    followed: Callable[..., tuple[str, bool]], second: str
) -> None:
    assert followed(("RUNNING", "aaa\nbbb\n"), ("SUCCEEDED", second)) == (f"aaa\nbbb\n{second}", True)


def test_a_job_that_never_had_a_driver_says_what_it_waits_for(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = job("Queued")
    del document["status"]["driver"]
    cluster.objects[JOB] = document
    assert main(["logs", "tiny", "--kubeconfig", cluster.kubeconfig(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "the driver has not started" in said
    assert "Queued it is. Wait for it: raygen wait tiny --for Training" in said


def test_what_a_preempted_job_printed_is_there_while_it_waits(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = job("Queued")
    del document["status"]["driver"]
    document["status"]["attempts"][0]["firstStep"] = 1
    document["status"]["run"] = str(tmp_path / "run")
    cluster.objects[JOB] = document
    assert main(["logs", "tiny", "--kubeconfig", cluster.kubeconfig(tmp_path)]) == 2
    assert "nothing is kept of what the driver printed" in capsys.readouterr().err, "it was looked for"


def test_a_head_that_goes_with_the_end_is_the_end(followed: Callable[..., tuple[str, bool]]) -> None:
    assert followed(("RUNNING", "a\n"), None, over=True) == ("a\n", False)


def test_a_head_that_answers_again_is_followed_on(followed: Callable[..., tuple[str, bool]]) -> None:
    assert followed(("RUNNING", "a\n"), None, ("SUCCEEDED", "a\nb\n")) == ("a\nb\n", True)


def test_a_head_that_is_lost_while_its_attempt_goes_on_is_an_error(
    followed: Callable[..., tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOST_SECONDS", 0.05)
    with pytest.raises(RunError, match="the head pod does not answer"):
        followed(("RUNNING", "a\n"), None)


def test_the_command_ends_with_its_job_and_names_the_run_directory(
    head: Head,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head.life = [("RUNNING", "step 1\n"), None]

    def answer(method: str, target: str, body: dict[str, Any]) -> Answer:
        given = head.answer(method, target, body)
        if given is None:
            cluster.objects[JOB] = ended()
        return given

    with serving(answer) as url:
        monkeypatch.setattr(dashboard, "portforward", Way(url))
        assert main(["logs", "tiny", "--follow", "--kubeconfig", cluster.kubeconfig(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == "step 1\n"
    assert "all that was kept: raygen logs s3://runs/team/tiny" in said.err


@pytest.fixture
def left(cluster: Cluster, tmp_path: Path) -> Path:
    """The run of a job that has ended, with what two processes of two attempts printed."""
    run = tmp_path / "runs" / "tiny"
    document = ended()
    document["status"]["run"] = str(run)
    cluster.objects[JOB] = document
    for attempt, rank, text in ((1, None, "first"), (2, None, "second"), (2, 0, "of a worker\x1b[2J")):
        kept = KeptLogs("tiny", rank)
        kept.attach(LocalStorage(run), attempt)
        kept.add("stdout", text)
        kept.flush()
    return run


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "second\n"), (["--attempt=1"], "first\n"), (["--rank=0"], "of a worker\\x1b[2J\n")],
)
def test_when_the_pods_are_gone_the_run_directory_is_read(
    left: Path,
    cluster: Cluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert main(["logs", "tiny", "--kubeconfig", cluster.kubeconfig(tmp_path), *options]) == 0
    assert capsys.readouterr().out == said
    # Nor is a cluster needed.
    assert main(["logs", str(left), *options]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("option", ["--attempt=9", "--rank=5"])
def test_what_was_not_kept_is_said(left: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["logs", str(left), option]) == 2
    assert "nothing is kept of what" in capsys.readouterr().err
