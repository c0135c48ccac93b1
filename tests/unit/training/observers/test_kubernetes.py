"""The driver's word in the status of its job: over real HTTPS, and never in the way of training."""

from __future__ import annotations

import http.server
import json
import math
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from raygen.errors import DataError, GuardError, OutOfMemoryError
from raygen.spec.names import STATUS_VARIABLE
from raygen.spec.status import TrainingJobStatus
from raygen.training.observers import kubernetes as module
from raygen.training.observers.events import (
    Broadcast,
    CheckpointStarted,
    Evaluated,
    Notice,
    Observer,
    Preparing,
    Progress,
    Ready,
    Sampled,
    Started,
    WorkersLost,
)
from raygen.training.observers.job_status import StatusReporter, reporter
from raygen.training.observers.kubernetes import StatusWriter, send
from raygen.training.result import Result

Object = dict[str, Any]

TARGET = {"name": "tiny", "namespace": "team", "uid": "u-1", "rayJob": "tiny-r1"}
CANARY = "canary-token"
PLAN = Started("s3://runs/team/tiny", 2, 100, "cpu", 51, 100)
RESULT = Result(
    "Succeeded", "Completed", "s3://runs/team/tiny", 100, 100, 1.5, {"loss": 1.5}, {}, 2, 9.0, None
)


class Sink:
    """Takes statuses, or refuses them."""

    def __init__(self) -> None:
        self.taken: list[Object] = []
        self.refusing: str | OSError = ""
        self.tries = 0
        self.came = threading.Event()

    def __call__(self, status: Object) -> None:
        if self.refusing:
            self.tries += 1
            raise self.refusing if isinstance(self.refusing, OSError) else OSError(self.refusing)
        self.taken.append(json.loads(json.dumps(status, allow_nan=False)))
        self.came.set()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.2)


def progress(step: int, loss: float = 1.5) -> Progress:
    return Progress(step, 100, loss, 1234.56, "tokens", 3725.0, 50, 4.0, goodput=0.75)


def test_progress_and_outcome_fit_the_definition_and_each_other(sink: Sink) -> None:
    said: list[str] = []
    one = StatusReporter(StatusWriter("tiny-r1", sink, said.append))
    one.started(PLAN)
    one.progressed(progress(60))
    one.evaluated(60, {"loss": 1.4, "broken": math.nan})
    one.sampled(60, [])
    one.ended(RESULT)
    last = sink.taken[-1]
    TrainingJobStatus.model_validate_json(json.dumps(last))
    told = last["progress"]
    # The last step's checkpoint is the newest.
    assert (told["step"], told["firstStep"], told["attempt"], told["rayJob"]) == (100, 51, 2, "tiny-r1")
    assert (told["remainingSeconds"], told["eta"], told["checkpoint"]) == (3725, "1h02m", 100)
    assert told["metrics"] == [{"name": "loss", "value": 1.4, "step": 60}]
    assert told["samples"] == "s3://runs/team/tiny/samples/step-00000060"
    assert told["goodput"] == 0.75
    outcome = last["outcome"]
    assert (outcome["state"], outcome["reason"], outcome["exitCode"]) == ("Succeeded", "Completed", 0)
    assert outcome["message"] == "Succeeded at step 100 of 100: loss 1.5000."
    assert said == []


def test_how_far_data_is_prepared_and_what_it_came_to(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.preparing(Preparing("listing sources", 0, 0))
    one.preparing(Preparing("cleaning", 12, 40))
    one.prepared("s3://runs/team/prepared/", "f" * 64, "Prepared: 12 documents.")
    last = sink.taken[-1]
    TrainingJobStatus.model_validate_json(json.dumps(last))
    assert (
        last["preparation"].items()
        >= {
            "rayJob": "tiny-r1",
            "doing": "cleaning",
            "done": 12,
            "parts": 40,
            "said": "cleaning, 12 of 40",
        }.items()
    )
    assert "progress" not in last
    outcome = last["outcome"]
    assert (outcome["state"], outcome["reason"], outcome["exitCode"]) == ("Succeeded", "Prepared", 0)
    assert outcome["prepared"] == {"uri": "s3://runs/team/prepared/", "fingerprint": "f" * 64}


def test_preparation_that_is_stopped_can_go_on(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.preparing(Preparing("listing sources", 0, 0))
    one.stopped("PodLeaving")
    last = sink.taken[-1]
    TrainingJobStatus.model_validate_json(json.dumps(last))
    assert last["preparation"]["said"] == "listing sources"
    assert (last["outcome"]["state"], last["outcome"]["exitCode"]) == ("Stopped", 3)


def test_once_it_trains_nobody_asks_how_data_was_prepared(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.preparing(Preparing("cleaning", 1, 2))
    one.started(PLAN)
    one.ended(RESULT)
    assert "preparation" not in sink.taken[-1]


def test_while_workers_are_replaced_it_says_why_and_not_how_fast_they_were(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.started(PLAN)
    one.progressed(progress(60))
    one.workers_lost(WorkersLost("the processes of these workers ended: 1", drained=False))
    one.failed(RuntimeError("boom"))
    last = sink.taken[-1]
    TrainingJobStatus.model_validate_json(json.dumps(last))
    told = last["progress"]
    assert told["step"] == 60
    recovery = {name: told["recovery"][name] for name in ("reason", "message")}
    assert recovery == {
        "reason": "WorkersLost",
        "message": "the processes of these workers ended: 1.",
    }
    assert not told.keys() & {"throughput", "remainingSeconds", "eta"}


def test_once_they_begin_again_it_is_where_they_begin(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.progressed(progress(60))
    one.workers_lost(WorkersLost("a pod went", drained=True))
    one.started(PLAN)
    one.failed(RuntimeError("boom"))
    told = sink.taken[-1]["progress"]
    assert told["step"] == 50
    assert "recovery" not in told


def test_it_is_written_at_most_so_often(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.started(PLAN)
    assert sink.came.wait(5)
    for step in range(51, 99):
        one.progressed(progress(step))
    assert len(sink.taken) == 1
    one.ended(RESULT)
    assert len(sink.taken) == 2
    assert sink.taken[-1]["progress"]["step"] == 100


def test_numbers_that_json_does_not_have_are_left_out(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.started(PLAN)
    one.progressed(progress(60, math.nan))
    one.ended(RESULT)
    assert "loss" not in sink.taken[-1]["progress"]


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (DataError("there are no files", where="s3://d/x", remedy="Give some."), "DataError", 2),
        (GuardError("the loss is NaN", kind="NonFiniteLoss", remedy="Lower it."), "NonFiniteLoss", 1),
        (OutOfMemoryError("full", where="cuda:0"), "OutOfMemoryError", 1),
        (RuntimeError("boom"), "RuntimeError", 1),
    ],
)
def test_an_error_is_told_with_its_remedy(sink: Sink, error: Exception, reason: str, code: int) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.failed(error)
    outcome = sink.taken[-1]["outcome"]
    TrainingJobStatus.model_validate_json(json.dumps(sink.taken[-1]))
    assert (outcome["state"], outcome["reason"], outcome["exitCode"]) == ("Failed", reason, code)
    assert outcome["message"].endswith(str(error.args[0]))


def test_training_goes_on_where_nothing_can_be_written_and_one_line_says_so(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.05)
    said: list[str] = []
    sink.refusing = "the API server answers 403"
    one = StatusReporter(StatusWriter("tiny-r1", sink, said.append))
    one.started(PLAN)
    pause = threading.Event()
    for step in range(51, 81):
        one.progressed(progress(step))
        pause.wait(0.01)
    one.ended(RESULT)
    assert said == ["the status of the job cannot be written: the API server answers 403; training goes on"]


def test_once_that_is_told_it_is_tried_as_rarely_as_it_is_written(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.05)
    told = threading.Event()
    sink.refusing = "the API server answers 403"
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: told.set()))
    one.started(PLAN)
    assert told.wait(5)
    before = sink.tries
    assert before > 1
    threading.Event().wait(0.3)
    assert sink.tries == before
    one.ended(RESULT)


def test_a_server_that_asks_for_rest_gets_it(sink: Sink) -> None:
    sink.refusing = module.BusyError("the API server answers 429", 30.0)
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.started(PLAN)
    threading.Event().wait(0.3)
    assert sink.tries == 1
    one.ended(RESULT)
    assert sink.tries == 3


def test_it_is_written_as_soon_as_it_is_allowed(sink: Sink) -> None:
    sink.refusing = "not recorded yet"
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    one.started(PLAN)
    sink.refusing = ""
    assert sink.came.wait(5)
    one.ended(RESULT)


def test_several_observers_hear_the_same(sink: Sink) -> None:
    one = StatusReporter(StatusWriter("tiny-r1", sink, lambda line: None))
    both = Broadcast(Observer(), one)
    for event in (
        PLAN,
        Ready({}),
        Notice("x"),
        progress(70),
        Evaluated(70, {}),
        Sampled(70, []),
        CheckpointStarted(70),
    ):
        both.take(event)
    one.ended(RESULT)
    assert sink.taken[-1]["progress"]["step"] == 100


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Object]]]:
    """An HTTPS server in place of the API server; gives what it was sent."""
    got: list[tuple[str, str, Object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Authorization"], body))
            status = {"u-1": 200, "busy": 429, "down": 503}.get(body["metadata"]["uid"], 409)
            said = b"{}" if status == 200 else b'{"message": "the UID is another one"}'
            self.send_response(status)
            if status in (429, 503):
                self.send_header("Retry-After", "7" if status == 429 else "3600")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text(CANARY + "\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.socket = context.wrap_socket(serving.socket, server_side=True)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(module, "TOKEN_FOLDER", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(serving.server_address[1]))
    yield got
    serving.shutdown()
    serving.server_close()
    thread.join(5)


def test_it_goes_over_https_with_the_pods_token(server: list[tuple[str, str, Object]]) -> None:
    send(TARGET, {"progress": {"step": 1}})
    ((path, authorization, body),) = server
    assert path == (
        "/apis/raygen.io/v1alpha1/namespaces/team/trainingjobs/tiny/status?fieldManager=raygen-driver&force=true"
    )
    assert authorization == f"Bearer {CANARY}"
    assert body["metadata"] == {"name": "tiny", "namespace": "team", "uid": "u-1"}
    assert body["status"] == {"progress": {"step": 1}}


def test_a_refusal_says_why_and_never_shows_the_token(server: list[tuple[str, str, Object]]) -> None:
    with pytest.raises(OSError, match="the API server answers 409: the UID is another one") as caught:
        send(TARGET | {"uid": "u-2"}, {})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("uid", "seconds"), [("busy", 7.0), ("down", module.LONGEST_SECONDS)])
def test_a_server_says_how_long_it_wants_to_rest(
    server: list[tuple[str, str, Object]], uid: str, seconds: float
) -> None:
    with pytest.raises(module.BusyError, match=r"answers (429|503)") as caught:
        send(TARGET | {"uid": uid}, {})
    assert caught.value.seconds == seconds


def test_outside_of_a_pod_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STATUS_VARIABLE, raising=False)
    assert reporter(lambda line: None) is None
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(OSError, match="this is not a pod"):
        send(TARGET, {})
