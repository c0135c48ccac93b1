"""What a sweep's driver tells the cluster: it fits the definition, stays small, and says how far and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import RunError
from raygen.spec.sweep.status import SweepStatus
from raygen.storage import Storage
from raygen.sweeps.events import Event, Reported
from raygen.sweeps.history import History
from raygen.sweeps.status import MAX_TEXT, LogKeeper, SweepReporter, Watchers
from raygen.sweeps.sweep import SilentWatcher
from raygen.training.engine.control import Control
from raygen.training.observers import kubernetes
from raygen.training.observers.kubernetes import StatusWriter
from tests.sweeps import LAYERS, RATE, a_sweep
from tests.unit.sweeps.virtual import VirtualWorkers, drive, loss

Object = dict[str, Any]


class Sink(StatusWriter):
    """Keeps what is to be written, and writes nothing."""

    def __init__(self) -> None:
        self.told: list[Object] = []
        self.parts: Object = {}

    def put(self, part: str, content: Object) -> None:
        self.parts[part] = content
        self.told.append(json.loads(json.dumps(content, allow_nan=False)))

    def last(self, outcome: Object) -> None:
        self.parts["outcome"] = outcome

    @property
    def status(self) -> Object:
        stamped = {"time": "2026-01-31T12:00:00Z", "rayJob": "rates-s1"}
        return json.loads(json.dumps({part: stamped | content for part, content in self.parts.items()}))


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_progress_and_outcome_fit_the_definition_and_say_what_came_of_it(tmp_path: Path, sink: Sink) -> None:
    reporter = SweepReporter(sink)
    result = drive(a_sweep(concurrency=2), tmp_path, VirtualWorkers(2, loss), watcher=reporter)
    reporter.ended(result)
    SweepStatus.model_validate_json(json.dumps(sink.status))
    first, last = sink.told[0], sink.told[-1]
    assert (first["trials"], first["running"], first["firstStep"], first["step"]) == (2, 2, 1, 0)
    assert (last["completed"], last["running"], last["step"], last["said"]) == (4, 0, 80, "4 of 4")
    assert last["used"] == 1.0
    assert {"remainingSeconds", "eta"} & last.keys() == set(), "nothing follows"
    (best,) = result.best
    assert last["best"]["trial"] == best["trial"]
    assert last["best"]["metrics"][0]["value"] == pytest.approx(best["metrics"]["loss"], rel=1e-5)
    assert last["best"]["checkpoint"] == 20
    assert last["best"]["run"] == best["run"]
    outcome = sink.status["outcome"]
    assert (outcome["state"], outcome["reason"], outcome["exitCode"]) == ("Succeeded", "BudgetUsedUp", 0)
    assert outcome["message"].startswith(
        f"Succeeded after 4 trials; the best is trial {best['trial']}: loss "
    )


def test_the_next_driver_counts_from_where_the_one_before_was(tmp_path: Path, sink: Sink) -> None:
    control = Control()

    class Stopper(SilentWatcher):
        def take(self, event: Event, history: History) -> None:
            if isinstance(event, Reported) and event.trial == 1:
                control.stop("SIGTERM")

    saved: dict[int, int] = {}
    reporter = SweepReporter(sink)
    workers = VirtualWorkers(1, loss, saved=saved)
    result = drive(a_sweep(), tmp_path, workers, control, Watchers(Stopper(), reporter))
    reporter.ended(result)
    assert sink.status["outcome"]["exitCode"] == 3
    done = sink.told[-1]["step"]
    drive(a_sweep(), tmp_path, VirtualWorkers(1, loss, saved=saved), watcher=SweepReporter(sink))
    assert (sink.told[-1]["attempt"], sink.told[-1]["firstStep"]) == (2, done + 1)


def test_several_objectives_have_a_front_and_the_objectives_come_first(tmp_path: Path, sink: Sink) -> None:
    metrics = [{"name": name, "type": "ValidationLoss"} for name in ("a", "z", "b")]
    sweep = a_sweep(
        template__spec__evaluation__metrics=metrics,
        objectives=[{"metric": name, "goal": "Minimize"} for name in ("z", "b")],
        budget={"trials": 6},
    )

    def measured(spec: Mapping[str, Any], step: int) -> dict[str, float]:
        found = loss(spec, step)["loss"]
        return {"a": 1.0, "z": found, "b": -found}

    drive(sweep, tmp_path, VirtualWorkers(1, measured), watcher=SweepReporter(sink))
    last = sink.told[-1]
    assert last["front"] == 6
    assert [one["name"] for one in last["best"]["metrics"]] == ["z", "b", "a"]
    SweepStatus.model_validate_json(json.dumps(sink.status))


def test_long_values_are_shortened_and_a_status_stays_below_20_kilobytes(tmp_path: Path, sink: Sink) -> None:
    texts = ["x" * 3000, "y" * 3000]
    sweep = a_sweep(
        parameters=[
            {"path": "evaluation.samples.prompts", "type": "Choice", "values": [[one] for one in texts]},
            {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
            {"path": LAYERS, "type": "Integer", "low": 1, "high": 4},
        ],
        template__spec__evaluation__samples={"everySteps": 10, "count": 1, "prompts": ["a"]},
    )
    drive(sweep, tmp_path, VirtualWorkers(1, loss), watcher=SweepReporter(sink))
    values = sink.told[-1]["best"]["values"]
    assert len(values["evaluation.samples.prompts"]) == MAX_TEXT
    assert len(json.dumps(sink.status)) < 20_000


def test_a_failure_is_told_with_its_remedy(sink: Sink) -> None:
    SweepReporter(sink).failed(RunError("6 of 6 trials have failed", remedy="Fix the cause."))
    outcome = sink.status["outcome"]
    assert (outcome["state"], outcome["exitCode"], outcome["remedy"]) == ("Failed", 1, "Fix the cause.")
    SweepStatus.model_validate_json(json.dumps(sink.status))


def test_logs_hear_where_the_sweep_is_and_which_driver_it_has(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    def attach(storage: Storage, driver: int) -> None:
        heard.append((storage.uri, driver))

    drive(a_sweep(), tmp_path, VirtualWorkers(1, loss), watcher=Watchers(LogKeeper(attach)))
    assert heard == [(str(tmp_path), 1)]


def test_a_status_of_another_kind_goes_to_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Connection:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def request(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> None:
            asked.append((path.partition("?")[0], json.loads(body)["kind"]))
            raise OSError("that is all")

        def close(self) -> None:
            pass

    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setattr(kubernetes.http.client, "HTTPSConnection", Connection)
    monkeypatch.setattr(kubernetes.ssl, "create_default_context", lambda **_: None)
    monkeypatch.setattr(kubernetes.Path, "read_text", lambda *_, **__: "token")
    target = {"kind": "Sweep", "plural": "sweeps", "name": "rates", "namespace": "team", "uid": "u"}
    with pytest.raises(OSError, match="that is all"):
        kubernetes.send(target, {})
    assert asked == [("/apis/raygen.io/v1alpha1/namespaces/team/sweeps/rates/status", "Sweep")]
