"""Learning a vocabulary: the same bytes for ordinary text, bounded for any other, and ended when asked."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from raygen.data.progress import Progress
from raygen.data.text import learning
from raygen.data.text.learning import LONGEST_WORD, learn
from raygen.data.text.tokenizers import Tokenizer, train_tokenizer
from raygen.errors import DataError
from raygen.spec import Tokenizer as Spec
from tests.jobs import job_document
from tests.unit.data.text.test_tokenizers import BPE, DOCUMENTS, VERSE
from tests.unit.training.runs import train


def digest(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(tokenizer.to_json().encode()).hexdigest()


def test_the_tokenizer_of_ordinary_text_is_that_of_earlier_versions() -> None:
    assert digest(BPE) == "b904d861cb25bae54cc9e440fdade266b8a7c26b5d8f327e6038f5a99c526180"


def test_a_process_of_its_own_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "ALONE_FROM", 0)

    assert digest(train_tokenizer(Spec(type="BPE", vocabulary_size=300), DOCUMENTS)) == digest(BPE)


def test_modules_of_the_user_s_that_lie_about_are_not_taken_for_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "ALONE_FROM", 0)
    monkeypatch.chdir(tmp_path)
    for name in ("tokenizers", "random", "raygen"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not this one')")

    assert digest(train_tokenizer(Spec(type="BPE", vocabulary_size=300), DOCUMENTS)) == digest(BPE)


def test_a_run_without_a_boundary_is_learned_from_in_bounded_time() -> None:
    text = "".join(random.Random(0).choices("ACGT", k=20_000))

    began = time.process_time()
    tokenizer = train_tokenizer(Spec(type="BPE", vocabulary_size=600), [text])

    assert time.process_time() - began < 20, "as one word it takes minutes"
    assert tokenizer.size == 600
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert max(tokenizer.token_bytes) <= LONGEST_WORD
    assert len(tokenizer.encode(text)) < 0.4 * len(text)
    assert "ACGT" not in tokenizer.to_json().partition('"pre_tokenizer"')[2].partition('"model"')[0]
    assert str(LONGEST_WORD) not in tokenizer.to_json().partition('"model"')[0], "cut for learning alone"


class Clock:
    """Seconds that pass by themselves, at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 20.0
        return self.now


def test_learning_that_takes_long_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "ALONE_FROM", 0)
    notices: list[str] = []

    learn([VERSE * 20] * 3, 300, Progress(notices.append, Clock()))

    assert notices
    assert all(line.startswith("learning the tokenizer, documents read: ") for line in notices)
    assert all(line.endswith(" of 3") for line in notices)


def test_a_notice_comes_after_ten_seconds_and_then_each_minute() -> None:
    notices: list[str] = []
    seconds = 0.0
    progress = Progress(notices.append, lambda: seconds)
    for number in range(131):
        seconds = float(number)
        progress.at("decoding images", number, 1000)

    assert notices == [f"decoding images: {number} of 1,000" for number in (10, 70, 130)]


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if learns(child)]


def learns(process: psutil.Process) -> bool:
    try:
        return "raygen.data.text.learning" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        # Of another test; it has ended.
        return False


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def endless() -> list[str]:
    """Letters by chance, of which learning takes minutes even when they are cut."""
    table = str.maketrans("0123456789", "ghijklmnop")
    return [random.Random(1).randbytes(2_000_000).hex().translate(table)]


def when_learning(act: Callable[[psutil.Process], object]) -> threading.Thread:
    """Acts on the process that learns, as soon as it is given documents: `Popen` itself cannot be interrupted cleanly."""

    def wait() -> None:
        wait_for(lambda: children() and "learning" in [thread.name for thread in threading.enumerate()])
        act(children()[0])

    thread = threading.Thread(target=wait, name="acts")
    thread.start()
    return thread


def interrupt(_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_it_and_its_process() -> None:
    thread = when_learning(interrupt)

    with pytest.raises(KeyboardInterrupt):
        learn(endless(), 4096, Progress())
    thread.join()

    assert not children()


def test_one_ctrl_c_ends_a_run_that_is_still_learning(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(endless()[0])
    thread = when_learning(interrupt)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, job_document(data__tokenizer={"type": "BPE"}))
    thread.join()

    assert not children()
    assert not (tmp_path / "runs/tiny/job.json").exists()


def test_a_process_that_was_killed_is_named() -> None:
    thread = when_learning(psutil.Process.kill)

    with pytest.raises(DataError, match="was ended by SIGKILL") as caught:
        learn(endless(), 4096, Progress())
    thread.join()
    assert "memory" in caught.value.remedy


LEARN = """
import random
from raygen.data.text.learning import learn
from raygen.data.progress import Progress
learn([random.Random(1).randbytes(2_000_000).hex()] * 2, 4096, Progress())
"""


def test_it_ends_with_the_process_that_asked() -> None:
    with subprocess.Popen([sys.executable, "-c", LEARN]) as parent:
        process = psutil.Process(parent.pid)
        wait_for(process.children)
        (child,) = process.children()
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive
