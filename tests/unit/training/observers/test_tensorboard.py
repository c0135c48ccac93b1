from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raygen.errors import OutputError
from raygen.storage import LocalStorage
from raygen.training.observers.tensorboard import StoredTensorBoardTracker


def steps(folder: Path) -> list[int]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars("loss")]


class Counted(LocalStorage):
    """Counts writes, which take two seconds of the tracker's clock each."""

    now = 0.0
    writes = 0

    def write(self, key: str, data: bytes | bytearray | memoryview) -> None:
        self.writes += 1
        self.now += 2.0
        super().write(key, data)


def test_event_files_are_uploaded_whole_now_and_then(tmp_path: Path) -> None:
    storage = Counted(tmp_path)
    tracker = StoredTensorBoardTracker(storage, clock=lambda: storage.now)
    uploads = []
    for step in range(1, 101):
        storage.now += 1.0
        tracker.log(step, {"loss": 1.0})
        uploads.append(storage.writes)
    # After 30 s; then, since an upload takes 2 s, every 40 s for a share of 5 %.
    assert [uploads.index(count) + 1 for count in (1, 2)] == [30, 70]
    tracker.close("Succeeded")
    assert steps(tmp_path) == list(range(1, 101))
    assert len(list(storage.list())) == 1


@pytest.mark.parametrize("again", [0, 5])
def test_a_later_attempt_hides_what_it_measures_again(tmp_path: Path, again: int) -> None:
    # Also one that begins again at 0, after a kill before the first checkpoint.
    for first, last in ((0, 8), (again, 10)):
        for number, earlier in enumerate(tmp_path.iterdir()):
            # As if it had begun in an earlier second.
            earlier.rename(tmp_path / f"events.out.tfevents.100000000{number}.vm")
        tracker = StoredTensorBoardTracker(LocalStorage(tmp_path), first)
        for step in range(first + 1, last + 1):
            tracker.log(step, {"loss": 1.0})
        tracker.close()
    assert steps(tmp_path) == list(range(1, 11))
    assert len(list(LocalStorage(tmp_path).list())) == 2


def test_a_storage_that_fails_tells_the_caller_and_not_the_writer_s_thread(tmp_path: Path) -> None:
    class Full(LocalStorage):
        def stream(self, key: str, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
            raise OutputError("full")

    tracker = StoredTensorBoardTracker(Full(tmp_path))
    tracker.log(1, {"loss": 1.0})
    with pytest.raises(OutputError, match="full"):
        tracker.close()
