from __future__ import annotations

import logging
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raygen.errors import InputError, MissingExtraError
from raygen.run.directory import RunDirectory
from raygen.spec import parse
from raygen.storage import LocalStorage
from raygen.training.observers import trackers as module
from raygen.training.observers.trackers import (
    Guarded,
    MLflowTracker,
    Status,
    TensorBoardTracker,
    Tracker,
    WandbTracker,
    open_trackers,
    run_identity,
)
from tests.jobs import job_document

SECONDS = 30
"""How long a test waits for another thread before it fails."""


def png() -> bytes:
    head = struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress((b"\0" + bytes(9)) * 2)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class Memory:
    """A tracker that remembers its calls; `fault` may raise, or wait, at each of them."""

    def __init__(self, fault: Callable[[int], None] = lambda number: None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._fault = fault
        self._number = 0

    def _take(self, *call: Any) -> None:
        self._number += 1
        self._fault(self._number)
        self.calls.append(call)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._take("log", step, dict(values))

    def text(self, step: int, name: str, text: str) -> None:
        self._take("text", step, name, text)

    def image(self, step: int, name: str, png: bytes) -> None:
        self._take("image", step, name, png)

    def close(self, status: Status = "Failed") -> None:
        self._take("close", status)


def read_back(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    return events


def scalars(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_tensorboard_reads_numbers_texts_and_pictures(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path / "events")
    tracker.log(1, {"train/loss": 2.0, "train/learning_rate": 0.5})
    tracker.log(2, {"train/loss": 1.5})
    tracker.text(2, "sample/0", "ROMEO:\n<b>But soft</b>")
    tracker.image(2, "sample/1", png())
    tracker.close("Succeeded")
    events = read_back(tmp_path / "events")
    assert scalars(events, "train/loss") == [(1, 2.0), (2, 1.5)]
    assert scalars(events, "train/learning_rate") == [(1, 0.5)]
    text = events.Tensors(events.Tags()["tensors"][0])[0]
    assert text.tensor_proto.string_val == [b"    ROMEO:\n    <b>But soft</b>"]
    image = events.Images("sample/1")[0]
    assert (image.step, image.width, image.height, image.encoded_image_string) == (2, 3, 2, png())


def test_tensorboard_hides_what_a_resumed_attempt_measures_again(tmp_path: Path) -> None:
    first = TensorBoardTracker(tmp_path)
    for step in range(1, 9):
        first.log(step, {"loss": 1.0})
    first.close("Failed")
    second = TensorBoardTracker(tmp_path, step=5)
    second.log(6, {"loss": 2.0})
    second.close("Succeeded")
    assert scalars(read_back(tmp_path), "loss") == [*((step, 1.0) for step in range(1, 6)), (6, 2.0)]


def test_a_guarded_tracker_gets_every_call_in_order() -> None:
    memory, notices = Memory(), list[str]()
    guarded = Guarded("Service", lambda: memory, notices.append)
    values = {"loss": 1.0}
    guarded.log(1, values)
    values["loss"] = 9.0
    guarded.text(1, "sample", "half \ud83d")
    guarded.image(1, "sample", b"png")
    guarded.close("Succeeded")
    assert memory.calls == [
        ("log", 1, {"loss": 1.0}),
        ("text", 1, "sample", "half ?"),
        ("image", 1, "sample", b"png"),
        ("close", "Succeeded"),
    ]
    assert notices == []


def test_a_failure_is_told_once_and_later_calls_go_on() -> None:
    def fault(number: int) -> None:
        if number <= 3:
            raise ConnectionError(f"quota exceeded {number}\nlong details")

    memory, notices = Memory(fault), list[str]()
    guarded = Guarded("Service", lambda: memory, notices.append)
    for step in range(1, 6):
        guarded.log(step, {})
    guarded.close("Succeeded")
    assert notices == ["Service does not get everything; training goes on: quota exceeded 1"]
    assert memory.calls == [("log", 4, {}), ("log", 5, {}), ("close", "Succeeded")]


def test_without_a_notice_the_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fault(number: int) -> None:
        raise RuntimeError

    with caplog.at_level(logging.WARNING):
        guarded = Guarded("Service", lambda: Memory(fault))
        guarded.log(1, {})
        guarded.log(2, {})
        guarded.close()
    assert [record.message for record in caplog.records] == [
        "Service does not get everything; training goes on: RuntimeError"
    ]


def test_a_tracker_that_cannot_be_made_is_told_and_left_out() -> None:
    def make() -> Tracker:
        raise OSError("no route to host")

    notices = list[str]()
    guarded = Guarded("Service", make, notices.append)
    guarded.log(1, {})
    guarded.close("Succeeded")
    assert notices == ["Service does not get everything; training goes on: no route to host"]


def test_a_service_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    hangs, goes_on = threading.Event(), threading.Event()

    def fault(number: int) -> None:
        hangs.set()
        goes_on.wait(SECONDS)

    memory, notices = Memory(fault), list[str]()
    patience: dict[Status, float] = {"Succeeded": 0.01, "Stopped": 0.01, "Failed": 0.01}
    guarded = Guarded("Service", lambda: memory, notices.append, patience=patience)
    guarded.log(0, {})
    assert hangs.wait(SECONDS)
    for step in range(1, 100):
        guarded.log(step, {})
    [notice] = notices
    assert notice.endswith("training goes on: it is too slow, and some of the numbers are left out")
    guarded.close("Stopped")
    assert memory.calls == []
    goes_on.set()


def test_closing_tells_when_the_service_has_not_taken_everything() -> None:
    goes_on = threading.Event()

    def fault(number: int) -> None:
        goes_on.wait(SECONDS)

    memory, notices = Memory(fault), list[str]()
    patience: dict[Status, float] = {"Succeeded": 0.01, "Stopped": 0.01, "Failed": 0.01}
    guarded = Guarded("Service", lambda: memory, notices.append, patience=patience)
    guarded.log(1, {})
    guarded.close("Succeeded")
    goes_on.set()
    assert notices == [
        "Service does not get everything; training goes on: it has not taken everything within 0.01 s"
    ]


def test_a_closed_tracker_takes_nothing_more() -> None:
    memory = Memory()
    guarded = Guarded("Service", lambda: memory)
    guarded.close("Stopped")
    guarded.close("Failed")
    guarded.log(1, {})
    assert memory.calls == [("close", "Stopped")]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(LocalStorage(tmp_path / "runs"), "tiny")
    directory.claim()
    return directory


def test_a_folder_as_output_gets_event_files(run: RunDirectory, tmp_path: Path) -> None:
    opened = open_trackers(parse(job_document()), run, 0, pytest.fail)
    for tracker in opened:
        tracker.log(1, {"train/loss": 3.0})
        tracker.close("Succeeded")
    assert scalars(read_back(tmp_path / "runs" / "tiny" / "tensorboard"), "train/loss") == [(1, 3.0)]


@pytest.mark.parametrize(
    ("package", "tracking"),
    [("wandb", {"wandb": {"project": "p"}}), ("mlflow", {"mlflow": {"experiment": "e"}})],
)
def test_a_missing_package_is_an_error_before_training(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, package: str, tracking: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        open_trackers(parse(job_document(tracking=tracking)), run, 0, pytest.fail)
    assert (
        str(caught.value) == f"{package} is not installed\nInstall it with: pip install 'raygen[{package}]'"
    )


def test_a_tracker_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"raygen\[wandb\]"):
        WandbTracker("p", "id", "n", {}, tmp_path)
    with pytest.raises(MissingExtraError, match=r"raygen\[mlflow\]"):
        MLflowTracker("e", "id", "n", {})


def test_wandb_without_credentials_never_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def login(**options: Any) -> bool:
        asked.append(options)
        return False

    wandb = ModuleType("wandb")
    wandb.__spec__ = SimpleNamespace(name="wandb")  # type: ignore[assignment]
    wandb.setup = lambda: SimpleNamespace(settings=SimpleNamespace(mode="online"))  # type: ignore[attr-defined]
    wandb.login = login  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with pytest.raises(InputError, match="WANDB_API_KEY"):
        WandbTracker("p", "id", "n", {}, tmp_path)
    assert asked == [{"prompt": False}]


def test_an_identity_is_that_of_all_attempts_and_of_no_other_run() -> None:
    identity = run_identity("shakespeare", "host", 7, "2026-11-24T03:00:00+00:00")
    assert identity == run_identity("shakespeare", "host", 7, "2026-11-24T03:00:00+00:00")
    assert len(identity) == 16
    assert identity != run_identity("shakespeare", "host", 7, "2026-11-24T04:00:00+00:00")
    assert identity != run_identity("other", "host", 7, "2026-11-24T03:00:00+00:00")


def test_no_torch_is_needed() -> None:
    program = "import sys; sys.modules['torch'] = None; import raygen.training.observers.trackers"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
