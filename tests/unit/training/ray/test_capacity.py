"""Waiting for machines that join a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from raygen.errors import InputError
from raygen.spec import Scale
from raygen.spec.data.reading import RayDataReading
from raygen.spec.names import JOIN_VARIABLE
from raygen.training.engine.control import Control
from raygen.training.ray import capacity

HEAD = {"Alive": True, "Resources": {"CPU": 0.0}}
WORKER = {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 1.0}}
GONE = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}


class Time:
    """A clock that goes on when it is slept by; machines join by it."""

    def __init__(self, *, joining: dict[float, dict[str, Any]]) -> None:
        self.now = 0.0
        self.joining = joining

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def nodes(self) -> list[dict[str, Any]]:
        return [HEAD, GONE, *(node for at, node in self.joining.items() if at <= self.now)]


def waits(
    monkeypatch: pytest.MonkeyPatch, time: Time, scale: Scale, control: Control, seconds: float = 60
) -> tuple[bool, list[str]]:
    monkeypatch.setattr(capacity, "time", time)
    notices: list[str] = []
    found = capacity.find_room(time.nodes, scale, 2, control, notices.append, seconds=seconds)
    return found, notices


def test_machines_that_join_in_time_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(joining={0.0: WORKER, 20.0: WORKER})
    found, notices = waits(monkeypatch, time, Scale(workers=2, cpus_per_worker=2), Control())
    assert found
    assert 20 <= time.now < 21
    (notice,) = notices
    assert notice.startswith("2 workers need 2 CPUs each, and Ray's 2 nodes have room for 1: 0 CPUs; 3 CPUs;")
    assert notice.endswith("waiting up to 60 s for more to join")


def test_an_autoscaler_is_asked_once_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    for joining, control in (({20.0: WORKER}, Control()), ({}, Control())):
        time, said = Time(joining=joining), list[str]()
        monkeypatch.setattr(capacity, "time", time)

        def ask(said: list[str] = said) -> Callable[[], None]:
            said.append("asked")
            return lambda: said.append("released")

        scale = Scale(workers=1, cpus_per_worker=2)
        wait = partial(capacity.find_room, time.nodes, scale, 2, control, said.append, seconds=60, ask=ask)
        if joining:
            assert wait()
        else:
            with pytest.raises(InputError):
                wait()
        assert said[1:] == ["asked", "released"]


def test_room_that_is_there_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(joining={0.0: WORKER})
    assert waits(monkeypatch, time, Scale(workers=1, cpus_per_worker=2, gpus_per_worker=1), Control()) == (
        True,
        [],
    )
    assert time.now == 0


def test_what_never_fits_ends_with_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(joining={0.0: WORKER, 5.0: WORKER})
    scale = Scale(workers=2, cpus_per_worker=2, gpus_per_worker=2)
    with pytest.raises(
        InputError, match="have room for 0: 0 CPUs, 0 GPUs; 3 CPUs, 1 GPUs; 3 CPUs, 1 GPUs"
    ) as caught:
        waits(monkeypatch, time, scale, Control(), seconds=30)
    assert 30 <= time.now < 31
    assert "add machines" in (caught.value.remedy or "")


def test_a_stop_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control()
    control.stop("SIGTERM")
    found, _ = waits(monkeypatch, Time(joining={}), Scale(workers=2, cpus_per_worker=2), control)
    assert not found


def test_a_pod_that_goes_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.training.drain.asked", lambda: True)
    control = Control()
    found, _ = waits(monkeypatch, Time(joining={}), Scale(workers=2, cpus_per_worker=2), control)
    assert not found
    assert control.reason == "PodLeaving"


PREPARES = {"Alive": True, "Resources": {"CPU": 2.0, "raygen_preparation": 1.0}}


def finds(
    monkeypatch: pytest.MonkeyPatch, time: Time, cpus: int, control: Control | None = None
) -> tuple[dict[str, Any] | None, list[str]]:
    monkeypatch.setattr(capacity, "time", time)
    notices: list[str] = []
    found = capacity.find_preparation_room(time.nodes, cpus, control or Control(), notices.append, seconds=60)
    return found, notices


def test_data_is_prepared_on_machines_that_are_for_it_and_else_on_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert finds(monkeypatch, Time(joining={0.0: WORKER}), 2) == ({"num_cpus": 2}, [])
    time = Time(joining={0.0: WORKER, 0.1: PREPARES})
    time.now = 1.0
    assert finds(monkeypatch, time, 2) == ({"num_cpus": 2, "resources": {"raygen_preparation": 1}}, [])


def test_a_cluster_in_which_it_could_never_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # That of the first one is for training alone, however many cores it has.
    time = Time(joining={0.0: PREPARES, 5.0: {"Alive": True, "Resources": {"CPU": 64.0}}})
    with pytest.raises(
        InputError, match="needs a machine with 4 CPUs, and Ray's 1 machines have 2"
    ) as caught:
        finds(monkeypatch, time, 4)
    assert 60 <= time.now < 61
    assert caught.value.where == "spec.preparation"


def test_a_machine_that_prepares_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notices = finds(monkeypatch, Time(joining={20.0: PREPARES}), 1)
    assert found is not None
    assert notices == [
        "preparing data needs a machine with 1 CPUs, and Ray's 1 machines have 0; waiting up to 60 s for more to join"
    ]
    control = Control()
    control.stop("SIGTERM")
    assert finds(monkeypatch, Time(joining={}), 1, control)[0] is None


@pytest.mark.parametrize(("text", "seconds"), [(None, 120.0), ("0", 0.0), ("600.5", 600.5)])
def test_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, text: str | None, seconds: float) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv(JOIN_VARIABLE, raising=False)
    assert capacity.joining_seconds() == 0
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    if text is not None:
        monkeypatch.setenv(JOIN_VARIABLE, text)
    assert capacity.joining_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "inf", "nan"])
def test_no_number_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv(JOIN_VARIABLE, text)
    with pytest.raises(InputError, match="not a number of seconds"):
        capacity.joining_seconds()


def machine(cpus: float, **others: float) -> dict[str, Any]:
    return {"Alive": True, "Resources": {"CPU": cpus} | others}


READS = machine(0.0, raygen_reading=1.0)


@pytest.mark.parametrize(
    ("there", "workers", "cpus", "books"),
    [
        ([machine(6.0)], 2, 2, {"num_cpus": 2}),
        ([machine(4.0, GPU=2.0), machine(2.0)], 2, 2, {"num_cpus": 2}),
        # Its cores, of which Ray may know nothing, are for that alone.
        ([machine(4.0), READS], 2, 2, {"num_cpus": 0, "resources": {"raygen_reading": 1}}),
    ],
)
def test_data_is_read_on_machines_that_are_for_it_and_else_beside_training(
    monkeypatch: pytest.MonkeyPatch, there: list[Any], workers: int, cpus: int, books: dict[str, Any]
) -> None:
    assert reads(monkeypatch, there, workers, cpus) == books


@pytest.mark.parametrize(
    ("there", "what"),
    [
        ([machine(4.0)], "reading data needs 2 CPUs of a machine beside 2 workers with 2 each, and Ray's 1 machines have 4"),
        ([machine(5.0), machine(0.0)], "Ray's 2 machines have 5, 0"),
    ],
)  # fmt: skip
def test_training_that_would_wait_for_data_for_ever_is_refused(
    monkeypatch: pytest.MonkeyPatch, there: list[Any], what: str
) -> None:
    with pytest.raises(InputError, match=re.escape(what)) as caught:
        reads(monkeypatch, there, 2, 2)
    assert caught.value.where == "spec.data.reading"


def reads(
    monkeypatch: pytest.MonkeyPatch, there: list[Any], workers: int, cpus: int
) -> dict[str, Any] | None:
    monkeypatch.setattr(capacity, "time", Time(joining={}))
    scale = Scale(workers=workers, cpus_per_worker=cpus)
    reading = RayDataReading(type="RayData", workers=3, cpus_per_worker=2)
    return capacity.find_reading_room(
        lambda: there, scale, cpus, reading, Control(), lambda _: None, seconds=1
    )
