"""What a driver prints, to its last line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygen.cli.main import main
from raygen.client import dashboard
from raygen.client import logs as module
from raygen.client.dashboard import TROUBLE
from raygen.client.logs import logs
from raygen.errors import InputError, RunError
from raygen.run.directory import RunDirectory
from raygen.run.logs import KeptLogs
from raygen.storage import LocalStorage
from tests.unit.client.stub import JOB, Answer, Cluster, Frames, Way, ended, job, serving


class Head:
    """A head pod whose job goes on whenever its log was read.

    Attributes:
        life: What each reading finds, the last one for ever: status, log, and how the connection ends (a close code, or None
            where it breaks); None for a head that is gone.
        started: When the job was started, for each of these.
        sent: Characters of all logs that were sent.
    """

    def __init__(self) -> None:
        self.life: list[tuple[str, str, int | None] | None] = []
        self.started: list[int] = []
        self.sent = 0

    def answer(self, method: str, target: str, body: dict[str, Any]) -> Answer:
        del method, body
        now = self.life[0]
        if now is None:
            self._go_on()
            return None
        if target.endswith("/logs"):
            return 200, {"logs": now[1]}
        return 200, {"status": now[0], "start_time": self.started[0] if self.started else 1}

    def tail(self, target: str) -> Frames:
        assert target == "/api/jobs/j/logs/tail"
        now = self.life[0]
        assert now is not None
        self.sent += len(now[1])
        # As Ray does it, in some lines at a time.
        yield from now[1].splitlines(keepends=True)
        self._go_on()
        if now[2] is not None:
            yield now[2]

    def _go_on(self) -> None:
        if len(self.life) > 1:
            self.life.pop(0)
            del self.started[:1]


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    return Head()


Follow = Callable[..., tuple[str, bool]]


@pytest.fixture
def followed(head: Head) -> Iterator[Follow]:
    """Follows the life of a head; gives what was written, and whether the end was seen."""
    with serving(head.answer, tail=head.tail) as url:

        def follow(*life: tuple[str, str, int | None] | None, over: bool = False) -> tuple[str, bool]:
            head.life = list(life)
            found: list[str] = []
            seen = logs(url, "j", found.append, follow=True, over=lambda: over)
            return "".join(found), seen

        yield follow


def test_a_log_comes_through_one_connection_as_it_grows(head: Head, followed: Follow) -> None:
    text = "".join(f"step {number}\n" for number in range(500))
    assert followed(("SUCCEEDED", text, 1000)) == (text, True)
    assert head.sent == len(text), "it is not read again"


def test_nothing_is_lost_or_written_twice_across_connections(head: Head) -> None:
    """Lines repeat, a connection breaks within them, and the next one brings the log from its beginning."""

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(
        lines=st.lists(st.sampled_from(["a\n", "b\n", "\n", "é漢\n", "x" * 300 + "\n"]), max_size=20),
        breaks=st.lists(st.tuples(st.integers(0, 60), st.sampled_from([None, 1000, 1011])), max_size=4),
    )
    def check(lines: list[str], breaks: list[tuple[int, int | None]]) -> None:
        text = "".join(lines)
        head.life = [
            ("RUNNING", text[:place], how) for place, how in sorted(breaks, key=lambda pair: pair[0])
        ]
        head.life.append(("SUCCEEDED", text, 1000))
        found: list[str] = []
        assert logs(url, "j", found.append, follow=True, over=lambda: False)
        assert "".join(found) == text

    with serving(head.answer, tail=head.tail) as url:
        check()


def test_the_last_lines_are_there(followed: Follow) -> None:
    # The driver ends just after its connection.
    assert followed(("FAILED", "a\n", None), ("FAILED", "a\nerror: why\n", 1000)) == (
        "a\nerror: why\n",
        True,
    )


@pytest.mark.parametrize("second", ["c\n", "aaa\n", "aaa\nbbb\nand more\n"])
def test_a_head_that_is_started_again_has_its_log_from_the_beginning(
    head: Head, followed: Follow, second: str
) -> None:
    head.started = [1, 2]
    life = ("RUNNING", "aaa\nbbb\n", None), ("SUCCEEDED", second, 1000)
    assert followed(*life) == (f"aaa\nbbb\n{second}", True)


def test_a_connection_without_a_word_is_replaced(monkeypatch: pytest.MonkeyPatch, head: Head) -> None:
    """A way to the pod that is dead, though neither end knows it."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(module, "QUIET_TIMES", 3)
    ended, silent = threading.Event(), [True]

    def tail(target: str) -> Frames:
        if silent.pop():
            yield "a\n"
            silent.insert(0, False)
            ended.wait(10)
        else:
            silent.append(False)
            yield from head.tail(target)

    head.life = [("RUNNING", "a\nb\n", 1000), ("SUCCEEDED", "a\nb\n", 1000)]
    found: list[str] = []
    with serving(head.answer, tail=tail) as url:
        assert logs(url, "j", found.append, follow=True, over=lambda: False)
        ended.set()
    assert "".join(found) == "a\nb\n"


def test_a_reader_that_is_gone_ends_it(followed: Follow, head: Head) -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError(text)

    head.life = [("RUNNING", "a\n", 1000)]
    with serving(head.answer, tail=head.tail) as url, pytest.raises(BrokenPipeError):
        logs(url, "j", broken, follow=True, over=lambda: False)
    del followed


def test_a_proxy_is_not_asked_for_a_port_of_this_machine(
    followed: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert followed(("SUCCEEDED", "a\n", 1000)) == ("a\n", True)


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


def test_a_head_that_goes_after_the_log_has_ended_has_been_seen_to_the_end(
    head: Head, cluster: Cluster
) -> None:
    """Its job has ended when the connection does; nobody is there to be asked once more."""
    del cluster
    life = iter([("RUNNING", "a\n", 1000), ("SUCCEEDED", "a\n", 1000)])
    found: list[str] = []

    def tail(target: str) -> Frames:
        del target
        head.life = [next(life)]
        yield "a\n"
        head.life = [("SUCCEEDED", "a\n", 1000), None]
        yield 1000

    head.life = [("RUNNING", "a\n", 1000)]
    with serving(head.answer, tail=tail) as url:
        assert logs(url, "j", found.append, follow=True, over=lambda: True)
    assert found == ["a\n"]


def test_a_head_that_goes_with_the_end_is_the_end(followed: Follow) -> None:
    assert followed(("RUNNING", "a\n", None), None, over=True) == ("a\n", False)


def test_a_head_that_answers_again_is_followed_on(followed: Follow) -> None:
    assert followed(("RUNNING", "a\n", None), None, None, ("SUCCEEDED", "a\nb\n", 1000)) == ("a\nb\n", True)


@pytest.mark.parametrize("rest", [None, ("RUNNING", "a\n", None), ("RUNNING", "a\n", 1011)])
def test_a_head_that_is_lost_while_its_attempt_goes_on_is_an_error(
    followed: Follow, monkeypatch: pytest.MonkeyPatch, rest: tuple[str, str, int | None] | None
) -> None:
    monkeypatch.setattr(module, "LOST_SECONDS", 0.05)
    with pytest.raises(RunError, match="the head pod does not answer"):
        followed(("RUNNING", "a\n", None), rest)


@pytest.mark.parametrize(("status", "error"), [(403, InputError), (502, RunError)])
def test_a_way_that_is_closed_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(module, "LOST_SECONDS", -1.0)
    asked: list[Any] = []

    def refused(method: str, target: str, body: dict[str, Any]) -> Answer:
        del method, body
        if target.endswith("/tail"):
            return status, "pods/portforward is forbidden\nAsk for the right.", {TROUBLE: "yes"}
        return 200, {"status": "RUNNING", "start_time": 1}

    with serving(refused, asked) as url, pytest.raises(error, match="is forbidden") as caught:
        logs(url, "j", asked.append, follow=True, over=lambda: False)
    assert "Ask for the right." in str(caught.value)


def test_without_follow_what_there_is_is_written_once(head: Head) -> None:
    head.life = [("RUNNING", "a\nb\n", None)]
    found: list[str] = []
    with serving(head.answer) as url:
        assert logs(url, "j", found.append, follow=False, over=lambda: False)
    assert found == ["a\nb\n"]


def test_the_command_ends_with_its_job_and_names_the_run_directory(
    head: Head,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head.life = [("RUNNING", "step 1\n", None), None]

    def answer(method: str, target: str, body: dict[str, Any]) -> Answer:
        given = head.answer(method, target, body)
        if given is None:
            cluster.objects[JOB] = ended()
        return given

    with serving(answer, tail=head.tail) as url:
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


def test_a_run_directory_is_followed_until_its_attempt_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(LocalStorage(tmp_path), "tiny")
    attempt, log = directory.claim(), KeptLogs("tiny")
    log.attach(directory.storage, attempt.number)

    def say(text: str) -> None:
        log.add("stdout", text)
        log.flush()

    said = iter(["second", "third"])

    def wait(seconds: float) -> None:
        del seconds
        if text := next(said, ""):
            say(text)
        else:
            attempt.end("Completed", 3)
            say("last")

    monkeypatch.setattr("raygen.cli.cluster.logs.time.sleep", wait)
    say("first")
    assert main(["logs", directory.uri, "--follow"]) == 0
    assert capsys.readouterr().out == "first\nsecond\nthird\nlast\n"
    # Of one whose end nobody noted, as of a process that was killed, a newer attempt says it.
    killed = directory.claim()
    log = KeptLogs("tiny")
    log.attach(directory.storage, killed.number)
    monkeypatch.setattr("raygen.cli.cluster.logs.time.sleep", lambda _: directory.claim())
    say("alone")
    assert main(["logs", directory.uri, "--follow"]) == 0
    assert capsys.readouterr().out == "alone\n"


@pytest.mark.parametrize("option", ["--attempt=9", "--rank=5"])
def test_what_was_not_kept_is_said(left: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["logs", str(left), option]) == 2
    assert "nothing is kept of what" in capsys.readouterr().err
