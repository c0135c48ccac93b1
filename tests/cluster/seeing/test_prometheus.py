"""A real Prometheus reads an operator at work, takes the chart's alerts, and answers what the dashboards ask.

Operator and API server are real; Ray's agents are a page that has what they would say.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster import tools

from tests.cluster.api import until
from tests.cluster.apiserver import NAMESPACES, free_port, serving
from tests.cluster.installing.helm import IMAGE, render
from tests.cluster.operator.stub import Surroundings
from tests.cluster.operator.test_process import ask, operator
from tests.figures import OF_GPUS, OF_RAY, OF_RUNS

Object = dict[str, Any]

TEAM, JOB = "research", "tiny"
SCRAPE_SECONDS = 1
VARIABLES = {"__rate_interval": "5m", "__range": "1h", "namespace": ".*", "training_job": ".*"}
GUARDS = "ray_raygen_train_guard_events_total"
SILENT = {
    "operator: Failed looks": "no look has failed",
    "operator: Answers that are not a success": "whether one is refused is chance",
}
"""Panels that may be empty here, and why."""


class Agents(BaseHTTPRequestHandler):
    """What Ray's agents say of a run: counters grow, and a guard's is there once it has found something."""

    began = time.monotonic()

    def do_GET(self) -> None:
        elapsed = time.monotonic() - self.began
        lines = []
        for name in sorted(OF_RUNS | OF_RAY | OF_GPUS):
            tags = f'{{training_job="{JOB}",run="{JOB}-1"}}' if name in OF_RUNS else ""
            if name == GUARDS:
                lines += [f"{name}{tags} 1"] if elapsed > 5 else []
            else:
                grows = name.endswith("_total")
                lines.append(f"# TYPE {name} {'counter' if grows else 'gauge'}")
                lines.append(f"{name}{tags} {elapsed if grows else 0.5}")
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


class Prometheus:
    """Its API.

    Attributes:
        address: Where it is.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{query}", timeout=20) as answer:  # noqa: S310
            said = json.load(answer)
        assert said["status"] == "success", said
        return said["data"]

    def ask(self, expression: str) -> list[Object]:
        """The series that an expression gives now."""
        found: list[Object] = self.get("query", query=expression)["result"]
        return found

    def rules(self) -> dict[str, Object]:
        """By name."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}


def chart_made() -> tuple[list[Object], dict[str, Object]]:
    """Groups of alerts, and dashboards by name."""
    metrics = {name: {"enabled": True} for name in ("prometheusRule", "grafanaDashboards")}
    documents = render({"image": IMAGE, "metrics": metrics})
    (rule,) = (one for one in documents if one["kind"] == "PrometheusRule")
    boards = [one["data"] for one in documents if one["kind"] == "ConfigMap"]
    found = {Path(name).stem: json.loads(text) for data in boards for name, text in data.items()}
    return rule["spec"]["groups"], found


def configuration(folder: Path, operator_address: str, agents_address: str) -> Path:
    """With the labels that ServiceMonitor and PodMonitor give, and none of what they find."""
    groups, _ = chart_made()
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    targets = {
        "raygen-operator": (operator_address, {"namespace": "raygen-system", "pod": "operator-1"}),
        "raygen-jobs": (agents_address, {"namespace": TEAM, "pod": f"{JOB}-head", "raygen_io_job": JOB}),
    }
    document = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [address], "labels": labels}]}
            for name, (address, labels) in targets.items()
        ],
    }
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def agents() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agents)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Agents.began = time.monotonic()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(agents: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has read for a while what an operator says whose jobs train, wait and have failed."""
    folder = tmp_path_factory.mktemp("prometheus")
    with serving(folder) as api:
        admin = api.connection()
        admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
        world, failing = Surroundings(admin, TEAM), Surroundings(admin, TEAM, "failing")
        world.runtime()
        with operator(api, TEAM, "--lease-namespace", TEAM) as (_, address):
            until("readiness", 60, lambda: ask(address, "/readyz")[0] == 200)
            with running(folder, address.removeprefix("http://"), agents) as found:
                # Before anything happens: what has not been zero does not grow.
                until("figures", 60, lambda: found.ask("raygen_leader == 1"))
                at_work(world, failing)
                until(
                    "those of jobs",
                    60,
                    lambda: found.ask("increase(raygen_job_first_step_seconds_count[1h]) > 0"),
                )
                until(
                    "a failure", 60, lambda: found.ask("sum(increase(raygen_attempts_ended_total[1h])) > 0")
                )
                until("a guard", 60, lambda: found.ask(GUARDS))
                until("rules", 60, lambda: all(one["health"] != "unknown" for one in found.rules().values()))
                yield found


def at_work(world: Surroundings, failing: Surroundings) -> None:
    """One job trains, the other's first attempt fails."""
    for one in (world, failing):
        one.submit()
        until("its RayJob", 60, one.ray_jobs)
        one.runs(1)
    world.driver(1, 5, more={"goodput": 0.9})
    failing.driver(1, 5)
    failing.over(1, succeeded=False)


@contextmanager
def running(folder: Path, operator_address: str, agents_address: str) -> Iterator[Prometheus]:
    """As a process; its log is shown where a test fails."""
    port = free_port()
    command = [
        tools.binary("prometheus"),
        f"--config.file={configuration(folder, operator_address, agents_address)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out)
    found = Prometheus(f"http://127.0.0.1:{port}")
    try:
        until("Prometheus", 60, lambda: ask(found.address, "/-/ready")[0] == 200)
        yield found
    finally:
        process.kill()
        process.wait(10)
        print(log.read_text()[-4000:])


def test_it_can_evaluate_each_alert_and_fires_what_there_is_reason_for(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    groups, _ = chart_made()
    assert rules.keys() == {rule["alert"] for group in groups for rule in group["rules"]}
    assert {name: rule["lastError"] for name, rule in rules.items() if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules.values()} == {"ok"}
    until("the guard's alert", 30, lambda: prometheus.rules()["RaygenGuardFound"]["state"] == "firing")
    (alert,) = prometheus.rules()["RaygenGuardFound"]["alerts"]
    assert alert["annotations"]["summary"] == f"A guard has found something in {TEAM}/{JOB}."
    firing = {name for name, rule in prometheus.rules().items() if rule["state"] == "firing"}
    assert firing == {"RaygenGuardFound"}


def test_figures_of_alerts_are_there(prometheus: Prometheus) -> None:
    """But those that count what has not gone wrong here."""
    groups, _ = chart_made()
    for rule in (rule for group in groups for rule in group["rules"]):
        for selector in re.findall(r"(?:ray_)?raygen_\w+(?:\{[^}]*\})?", rule["expr"]):
            if "code=~" not in selector and 'verb="create"' not in selector:
                assert prometheus.ask(selector), (rule["alert"], selector)


@pytest.mark.parametrize("board", ["fleet", "operator", "run"])
def test_dashboards_have_something_to_show(board: str, prometheus: Prometheus) -> None:
    _, boards = chart_made()
    empty = []
    for panel in boards[board]["panels"]:
        for target in panel["targets"]:
            expression = re.sub(r"\$\{?(\w+)\}?", lambda found: VARIABLES[found[1]], target["expr"])
            name = f"{board}: {panel['title']}"
            values = [one["value"][1] for one in prometheus.ask(expression)]
            if not values and name not in SILENT:
                empty.append((name, expression))
            assert "NaN" not in values, (name, expression)
    assert empty == []


def test_the_dashboards_variables_have_values(prometheus: Prometheus) -> None:
    _, boards = chart_made()
    found = {}
    for board in boards.values():
        for one in board["templating"]["list"]:
            if one["type"] == "query":
                query = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
                assert query is not None
                selector = query[1].replace("$namespace", ".*")
                found[board["title"], one["name"]] = prometheus.get(
                    f"label/{query[2]}/values", **{"match[]": selector}
                )
    assert sorted(map(tuple, found.values())) == [("raygen-system",), (TEAM,), (JOB,)]
