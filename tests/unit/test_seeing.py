"""Alerts and dashboards name only figures that there are, in PromQL that parses, and say what they mean."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggModifierType, AggregateExpr, MatchOp, VectorSelector

from raygen.operator.attempts import stored_job
from raygen.operator.attempts.watches import JOBS
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings
from tests.figures import OF_GPUS, OF_RAY, OF_RUNS
from tests.unit.operator.attempts.world import job
from tests.unit.operator.test_process import Server, wait_for
from tests.unit.operator.trainingjob.telemetry.test_fleet import told

CHART = Path(__file__).parents[2] / "charts" / "raygen" / "files"
DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))
}
GROUPS = yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
PANELS = {
    f"{name}: {panel['title']} ({panel['id']})": panel
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
}
EXPRESSIONS = {name: [rule["expr"]] for name, rule in ALERTS.items()} | {
    name: [target["expr"] for target in panel["targets"]] for name, panel in PANELS.items()
}
OF_TARGETS = {"namespace", "pod", "job"}
"""Labels that Prometheus gives to whatever it scrapes."""
OF_PODS = OF_TARGETS | {"raygen_io_job", "training_job", "run", "GpuIndex"}
WORDS = {"state", "reason", "cause", "stage"}
"""Labels all of whose values the operator gives from the beginning."""
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum")}


class Scrape:
    """The figures of an operator that leads and looks after two jobs.

    Attributes:
        names: Of all series.
        labels: For each name its labels, and their values.
    """

    def __init__(self, text: str) -> None:
        self.names = set()
        for line in re.findall(r"^# TYPE (\S+ \S+)$", text, re.MULTILINE):
            name, kind = line.split()
            self.names |= {name + suffix for suffix in SUFFIXES.get(kind, ("",))}
        self.labels: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                for label, value in sample.labels.items():
                    self.labels[sample.name][label].add(value)


@pytest.fixture(scope="module")
def scrape() -> Iterator[Scrape]:
    server = Server()
    operator = Operator(server, KINDS, Settings(health_port=0))
    thread = threading.Thread(target=operator.run)
    thread.start()
    try:
        wait_for(lambda: operator.leads)
        for name, status in (("new", {}), ("old", told("Unknown", "Training", trains=True, goodput=0.9))):
            operator.stores[JOBS].put(stored_job.training_job(job(name) | {"status": status}))
        # What the requests of this server, which is in memory, would have said.
        operator.metrics.answered("GET", "/api/v1/pods?watch=true", 200)
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.health.port}/metrics", timeout=10) as answer:
            yield Scrape(answer.read().decode())
    finally:
        server.over.set()
        operator.stop()
        thread.join(20)


def parsed(expression: str) -> Any:
    """Grafana's own variables stand for a time."""
    return promql_parser.parse(re.sub(r"\$__(rate_interval|range)\b", "5m", expression))


def nodes(expression: str) -> list[Any]:
    found: list[Any] = []
    promql_parser.walk(parsed(expression), lambda node: found.append(node))
    return found


def selectors(expression: str) -> list[VectorSelector]:
    return [node for node in nodes(expression) if isinstance(node, VectorSelector)]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_names_only_figures_that_there_are(name: str, scrape: Scrape) -> None:
    for expression in EXPRESSIONS[name]:
        found = selectors(expression)
        assert found
        for selector in found:
            matchers = selector.matchers.matchers
            if selector.name in OF_RUNS | OF_RAY | OF_GPUS:
                assert {one.name for one in matchers} <= OF_PODS
                continue
            assert selector.name in scrape.names
            labels = scrape.labels[selector.name]
            for one in matchers:
                assert one.name in labels.keys() | OF_TARGETS
                if one.name in WORDS:
                    alternatives = (
                        one.value.split("|") if one.op in (MatchOp.Re, MatchOp.NotRe) else [one.value]
                    )
                    assert set(alternatives) <= labels[one.name]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_groups_by_labels_that_there_are(name: str, scrape: Scrape) -> None:
    for expression in EXPRESSIONS[name]:
        known = OF_TARGETS | {"le"}
        for selector in selectors(expression):
            known |= scrape.labels[selector.name].keys()
            known |= OF_PODS if selector.name in OF_RUNS | OF_RAY | OF_GPUS else set()
        for node in nodes(expression):
            if isinstance(node, AggregateExpr) and node.modifier is not None:
                assert node.modifier.type == AggModifierType.By
                assert set(node.modifier.labels) <= known


def test_there_are_alerts_for_what_goes_wrong() -> None:
    assert len(ALERTS) == sum(len(group["rules"]) for group in GROUPS), "names are unique"
    assert {
        "RaygenNoLeader",
        "RaygenWatchSilent",
        "RaygenQueueOld",
        "RaygenReconcileErrors",
        "RaygenApiRefused",
        "RaygenJobsFail",
        "RaygenLowGoodput",
    } <= ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_has_happened_why_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert summary.endswith(".")
    assert "\n" not in summary
    assert len(description.split()) > 25
    said = set(re.findall(r"\$labels\.(\w+)", summary + description))
    kept = [set(node.modifier.labels) for node in nodes(rule["expr"]) if isinstance(node, AggregateExpr)]
    assert said <= (kept[0] if kept else set()), "only labels that the expression keeps"


def test_the_documentation_has_all_figures_and_no_others(scrape: Scrape) -> None:
    text = (CHART.parents[2] / "docs" / "metrics.md").read_text()
    rows = "".join(line.split("| ")[1] for line in text.splitlines() if line.startswith("| `"))
    told = set(re.findall(r"`((?:ray_)?raygen_\w+)`", rows))
    given = {name for name in scrape.names if name.startswith("raygen_") and not name.endswith("_created")}
    assert told == {re.sub(r"_(bucket|count|sum)$", "", name) for name in given} | OF_RUNS


def test_alerts_and_dashboards_use_the_figures_of_runs() -> None:
    used = {
        one.name for expressions in EXPRESSIONS.values() for text in expressions for one in selectors(text)
    }
    assert used >= OF_RUNS
    assert used >= OF_RAY | OF_GPUS, "what nobody looks at need not be listed"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_found_by_its_own_uid_and_has_what_its_queries_need(name: str) -> None:
    board = DASHBOARDS[name]
    assert sum(one["uid"] == board["uid"] for one in DASHBOARDS.values()) == 1
    assert board["title"]
    assert board["description"].endswith(".")
    variables = board["templating"]["list"]
    known = {one["name"] for one in variables}
    text = json.dumps([board["panels"], [one["query"] for one in variables]])
    assert {one for one in re.findall(r"\$\{?([a-z_]+)", text) if not one.startswith("__")} == known
    for one in variables:
        if one["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
            assert query is not None
            (selector,) = selectors(query[1])
            assert selector.name in OF_RUNS | {"raygen_leader"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_covers_another(name: str) -> None:
    taken = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells
        taken |= cells


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_says_what_it_shows(name: str) -> None:
    panel = PANELS[name]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert len(panel["description"].split()) >= 2
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in panel["targets"])
