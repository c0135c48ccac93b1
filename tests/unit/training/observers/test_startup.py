from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from raygen.training.observers.startup import MODEL, START_WORKERS, Startup
from tests.unit.training.runs import Watcher, train


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_phases_follow_one_another() -> None:
    clock = Clock()
    startup, told = Startup(clock), []
    startup.then = lambda seconds: told.append(dict(seconds))
    for phase, seconds in (("job and data", 2.0), ("model", 0.5)):
        clock.now += seconds
        startup.done(phase)
    clock.now += 0.25
    startup.ready()
    assert told == [{"job and data": 2.0, "model": 0.5, "first step": 0.25}]
    assert list(told[0]) == ["job and data", "model", "first step"]


def test_a_worker_in_place_of_a_lost_one_is_no_start_up() -> None:
    clock = Clock()
    startup, told = Startup(clock), []
    startup.then = lambda seconds: told.append(dict(seconds))
    clock.now += 3
    startup.done(START_WORKERS)
    startup.worker_ready({MODEL: 1.0, "first step": 0.5})
    startup.worker_ready({MODEL: 7.0, "first step": 7.0})
    assert told == [{START_WORKERS: 3.0, MODEL: 1.0, "first step": 0.5}]


def test_a_run_tells_and_notes_its_start_up(base: Path) -> None:
    class Ready(Watcher):
        def ready(self, seconds: Mapping[str, float]) -> None:
            self.seconds = dict(seconds)

    watcher = Ready()
    train(base, observer=watcher)
    assert list(watcher.seconds) == ["job and data", "model", "first step"]
    (attempt,) = RunDirectory(open_storage(str(base / "runs")), "tiny").attempts()
    assert attempt.startup == {name: round(seconds, 3) for name, seconds in watcher.seconds.items()}
