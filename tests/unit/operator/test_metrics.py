"""What Prometheus is told: of jobs, attempts, requests and watches, with few labels, and quickly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import Configuration
from prometheus_client.parser import text_string_to_metric_families

from raygen.controller.conditions import stamp
from raygen.controller.queue import Key
from raygen.controller.store import Store
from raygen.kube import PODS, RAY_JOBS, TRAINING_JOBS, ApiError, Connection
from raygen.operator.kinds import KINDS
from raygen.operator.metrics import ERRORS, Metrics, request_of
from raygen.operator.process import Operator, Settings
from raygen.operator.trainingjob import stored_job
from raygen.operator.trainingjob.telemetry.figures import CAUSES
from raygen.operator.trainingjob.telemetry.fleet import REASONS, Fleet
from tests.unit.operator.test_process import Server, wait_for
from tests.unit.operator.trainingjob.world import START, World, job

Object = dict[str, Any]
SCRAPE_SECONDS = 0.1
"""In which 5,000 jobs must have been counted."""


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def value(text: bytes, name: str, **labels: str) -> float | None:
    return samples(text).get((name, frozenset(labels.items())))


class Counted(World):
    """A world whose statuses are counted as the operator counts them."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    def _do(self, made: Any) -> None:
        seen = self.observed()
        super()._do(made)
        if made.status is not None:
            self._metrics.told("TrainingJob", seen.job, made.status, seen.now)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KINDS)


@pytest.fixture
def world(metrics: Metrics) -> Counted:
    return Counted(metrics)


def test_the_first_step_of_a_job_counts_once_by_the_drivers_time(metrics: Metrics, world: Counted) -> None:
    name = "raygen_job_first_step_seconds"
    world.settle()
    world.running()
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 0
    world.wait(42)
    world.running(step=10)
    world.wait(600)
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 1
    assert value(metrics.text(), f"{name}_sum") == 42
    world.running(step=20)
    world.settle()
    world.over(status="FAILED", reason="AppFailed", message="exit code 1")
    world.driver_says(state="Failed", reason="RunError", exitCode=1)
    world.settle()
    world.wait(60)
    world.settle()
    world.running(2, step=30, first=21)
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 1, "the second attempt's first step is not the job's"


def test_attempts_count_by_cause_when_they_have_ended(metrics: Metrics, world: Counted) -> None:
    name = "raygen_attempts_ended_total"
    assert {labels for sample, labels in samples(metrics.text()) if sample == name} == {
        frozenset({("cause", cause)}) for cause in (*CAUSES, "Other")
    }
    world.settle()
    world.running(step=10)
    world.settle()
    world.over(status="FAILED")
    world.driver_says(state="Failed", reason="RunError", exitCode=1)
    world.settle()
    world.settle()
    assert value(metrics.text(), name, cause="RunError") == 1
    world.wait(60)
    world.settle()
    world.running(2, step=100)
    world.over(2)
    world.driver_says(2)
    world.settle()
    assert value(metrics.text(), name, cause="Completed") == 1
    assert sum(found for (one, _), found in samples(metrics.text()).items() if one == name) == 2


def test_a_cause_that_nobody_knows_makes_no_label(metrics: Metrics, world: Counted) -> None:
    world.settle()
    world.over(status="FAILED")
    world.driver_says(state="Failed", reason="ErrorOfSomebodysOwn", exitCode=1)
    world.settle()
    assert value(metrics.text(), "raygen_attempts_ended_total", cause="Other") == 1
    assert b"ErrorOfSomebodysOwn" not in metrics.text()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("odd"), "fault"),
        (ApiError("no", status=403, reason="Forbidden"), "Forbidden"),
        (ApiError("no"), "NoAnswer"),
        (ApiError("no", status=502), "Other"),
        (ApiError("no", status=400, reason="WordOfAWebhook"), "Other"),
    ],
)
def test_failures_count_by_a_known_reason(metrics: Metrics, error: Exception, reason: str) -> None:
    metrics.failed("TrainingJob", error)
    found = {labels: one for (name, labels), one in samples(metrics.text()).items() if "errors_total" in name}
    assert {dict(labels)["reason"] for labels in found} == {*ERRORS, "Other"}
    assert found[frozenset({("kind", "trainingjobs"), ("reason", reason)})] == 1


@pytest.mark.parametrize(
    ("method", "target", "verb", "kind"),
    [
        ("GET", TRAINING_JOBS.path("team", "tiny"), "get", "trainingjobs"),
        ("GET", TRAINING_JOBS.path() + "?limit=500", "list", "trainingjobs"),
        ("GET", PODS.path("team") + "?watch=true&resourceVersion=1", "watch", "pods"),
        ("POST", RAY_JOBS.path("team") + "?fieldManager=raygen", "create", "rayjobs"),
        ("PATCH", TRAINING_JOBS.path("team", "tiny", "status"), "patch", "trainingjobs"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "update", "leases"),
        ("DELETE", RAY_JOBS.path("team", "tiny-r1"), "delete", "rayjobs"),
        ("GET", "/apis/raygen.io/v1alpha1/raygenruntimes/default", "get", "raygenruntimes"),
        ("GET", "/version", "list", "Other"),
        ("BREW", "/api/v1/namespaces/team", "Other", "Other"),
    ],
)
def test_a_request_has_a_verb_and_a_kind(method: str, target: str, verb: str, kind: str) -> None:
    known = {"trainingjobs", "raygenruntimes", "rayjobs", "pods", "leases"}
    assert request_of(method, target, known) == (verb, kind)


class Refusing(BaseHTTPRequestHandler):
    """Refuses to write."""

    def do_GET(self) -> None:
        self._answer(200, {"items": [], "metadata": {"resourceVersion": "1"}})

    def do_POST(self) -> None:
        self._answer(403, {"message": "no", "reason": "Forbidden"})

    def _answer(self, status: int, document: Object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_requests_count_by_what_became_of_them(metrics: Metrics) -> None:
    name = "raygen_api_requests_total"
    with refusing() as address:
        connection = Connection(Configuration(host=address))
        connection.on_answer = metrics.answered
        connection.list(PODS)
        connection.list(PODS, "team")
        with pytest.raises(ApiError):
            connection.create(RAY_JOBS, "team", {})
    with pytest.raises(ApiError, match="does not answer"):
        Connection(Configuration(host=address)).list(PODS)
    connection = Connection(Configuration(host=address))
    connection.on_answer = metrics.answered
    with pytest.raises(ApiError, match="does not answer"):
        connection.list(PODS)
    connection.may_write = lambda: False
    with pytest.raises(ApiError, match="may not write"):
        connection.create(RAY_JOBS, "team", {})
    metrics.answered("GET", PODS.path(), 799)
    found = {labels: one for (sample, labels), one in samples(metrics.text()).items() if sample == name}
    assert {tuple(sorted(labels)): one for labels, one in found.items()} == {
        (("code", "200"), ("kind", "pods"), ("verb", "list")): 2,
        (("code", "403"), ("kind", "rayjobs"), ("verb", "create")): 1,
        (("code", "none"), ("kind", "pods"), ("verb", "list")): 1,
        (("code", "Other"), ("kind", "pods"), ("verb", "list")): 1,
    }


def told(status: str, reason: str, *, trains: bool = False, goodput: float | None = None) -> Object:
    when = {"lastTransitionTime": stamp(START), "message": "", "observedGeneration": 1}
    document: Object = {
        "conditions": [
            {"type": "Succeeded", "status": status, "reason": reason, **when},
            {"type": "Running", "status": "True" if trains else "False", "reason": "Training", **when},
        ],
        "attempts": [{"number": 1, "rayJob": "tiny-r1", "started": stamp(START)}],
        "progress": {"rayJob": "tiny-r1", "step": 7, "time": stamp(START + timedelta(minutes=1))},
    }
    if goodput is not None:
        document["progress"]["goodput"] = goodput
    return document


def fleet(*statuses: Mapping[str, Any] | None, leads: bool = True) -> Metrics:
    jobs = Store()
    for number, status in enumerate(statuses):
        document = job(f"job-{number}", scale={"workers": 2, "gpusPerWorker": 4})
        jobs.put(stored_job.training_job(document if status is None else document | {"status": status}))
    metrics = Metrics(KINDS)
    metrics.add(Fleet(jobs, lambda: leads))
    return metrics


def test_jobs_count_by_state_and_reason() -> None:
    text = fleet(
        None,
        told("Unknown", "Training", trains=True, goodput=0.9),
        told("Unknown", "PodWaits", trains=True, goodput=0.4),
        told("Unknown", "Queued"),
        told("Unknown", "Suspended"),
        told("True", "Completed"),
        told("False", "OutOfMemory"),
        told("False", "ErrorOfSomebodysOwn"),
    ).text()
    jobs = {labels: one for (name, labels), one in samples(text).items() if name == "raygen_jobs"}
    assert {tuple(found for _, found in sorted(labels)): one for labels, one in jobs.items() if one} == {
        ("New", "Active"): 1,
        ("Training", "Active"): 1,
        ("PodWaits", "Active"): 1,
        ("Queued", "Active"): 1,
        ("Suspended", "Active"): 1,
        ("Completed", "Succeeded"): 1,
        ("OutOfMemory", "Failed"): 1,
        ("Other", "Failed"): 1,
    }
    assert len(jobs) == sum(map(len, REASONS.values()))
    assert value(text, "raygen_requested_workers", stage="Training") == 4
    assert value(text, "raygen_requested_gpus", stage="Training") == 16
    assert value(text, "raygen_requested_workers", stage="Waiting") == 4
    assert value(text, "raygen_requested_gpus", stage="Waiting") == 16
    assert value(text, "raygen_goodput_mean_ratio") == pytest.approx(0.65)
    assert value(text, "raygen_goodput_min_ratio") == 0.4


def test_nobody_trains_is_no_goodput_of_zero() -> None:
    text = fleet(told("Unknown", "Training", trains=True)).text()
    assert value(text, "raygen_goodput_min_ratio") is None


def test_only_who_leads_speaks_of_jobs() -> None:
    assert value(fleet(None, leads=False).text(), "raygen_jobs", state="Active", reason="New") is None


@pytest.mark.parametrize("scale", [None, 7, [], {"workers": "many", "gpusPerWorker": None}])
def test_jobs_that_older_definitions_let_in_count_too(scale: Any) -> None:
    document = job()
    document["spec"]["scale"] = scale
    assert stored_job.training_job(document)["asks"] == (1, 0)
    assert stored_job.training_job(document | {"spec": ["odd"]})["asks"] == (1, 0)


def test_five_thousand_jobs_are_counted_in_time() -> None:
    kinds = [told("Unknown", "Training", trains=True, goodput=0.9), told("True", "Completed"), None]
    metrics = fleet(*(kinds[number % 3] for number in range(5000)))
    metrics.text()
    taken = []
    for _ in range(5):
        begun = time.thread_time()
        metrics.text()
        taken.append(time.thread_time() - begun)
    assert min(taken) < SCRAPE_SECONDS


def test_an_operator_tells_of_itself_and_of_each_kind() -> None:
    server = Server()
    operator = Operator(server, KINDS, Settings(health_port=0))
    thread = threading.Thread(target=operator.run)
    assert value(operator.metrics.text(), "raygen_leader") == 0
    operator.queue.add(Key("TrainingJob", "team", "early"))
    assert value(operator.metrics.text(), "raygen_queue_depth") == 0, "nobody works on it"
    thread.start()
    try:
        wait_for(lambda: operator.leads)
        text = operator.metrics.text()
        assert value(text, "raygen_leader") == 1
        assert value(text, "raygen_queue_age_seconds") is not None
        silences = {labels: one for (name, labels), one in samples(text).items() if "silence" in name}
        kinds = ("trainingjobs", "raygenruntimes", "rayjobs", "pods")
        assert silences.keys() == {frozenset({("kind", kind)}) for kind in kinds}
        assert max(silences.values()) < 20
        build = next(dict(labels) for name, labels in samples(text) if name == "raygen_build_info")
        assert build.keys() == {"version", "python"}
        assert value(text, "raygen_jobs", state="Active", reason="Training") == 0
    finally:
        server.over.set()
        operator.stop()
        thread.join(20)
