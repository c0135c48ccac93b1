"""What Prometheus is told of the operator itself: looks, requests, watches, with few labels."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import Configuration

from raygen.controller.queue import Key
from raygen.kube import PODS, RAY_JOBS, TRAINING_JOBS, ApiError, Connection
from raygen.operator.kinds import KINDS
from raygen.operator.metrics import ERRORS, Metrics, request_of
from raygen.operator.process import Operator, Settings
from tests.unit.operator.scrape import samples, value
from tests.unit.operator.test_process import Server, wait_for

Object = dict[str, Any]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KINDS)


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
        kinds = ("trainingjobs", "sweeps", "raygenruntimes", "rayjobs", "pods")
        assert silences.keys() == {frozenset({("kind", kind)}) for kind in kinds}
        assert max(silences.values()) < 20
        build = next(dict(labels) for name, labels in samples(text) if name == "raygen_build_info")
        assert build.keys() == {"version", "python"}
        assert value(text, "raygen_jobs", state="Active", reason="Training") == 0
    finally:
        server.over.set()
        operator.stop()
        thread.join(20)
