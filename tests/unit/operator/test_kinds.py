"""A further kind beside those that there are, whose status has another shape: what it takes, and that the operator looks after both."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry

from raygen.controller.conditions import stamp
from raygen.controller.queue import Key
from raygen.kube import RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection, Resource
from raygen.kube.bodies import Fields
from raygen.operator.kind import Kind
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings
from tests.copies import ROOT, copied, replace, run
from tests.unit.operator.attempts.world import START, job, runtime
from tests.unit.operator.campaign import kind as campaign
from tests.unit.operator.campaign.kind import CAMPAIGNS, Campaigns
from tests.unit.operator.collector import Collector, facts
from tests.unit.operator.scrape import value

HERE = Path(__file__).parent


class Server(Connection):
    """Lists two kinds with an object of the same name each, and keeps what is written.

    Attributes:
        requests: Paths of all requests that read.
        writes: Kind and name of what was written, with its body.
    """

    def __init__(self) -> None:
        super().__init__(Configuration(host="http://127.0.0.1:1"))
        self.over = threading.Event()
        self.requests: list[str] = []
        self.writes: list[tuple[str, str, Fields]] = []
        self._numbers = iter(range(100, 10_000))
        self.ray_job: Fields = {}

    def list(self, resource: Resource, namespace: str = "", **query: str) -> tuple[list[Fields], str]:
        self.requests.append(resource.path(namespace))
        names = {CAMPAIGNS.kind: ("same", "odd"), TRAINING_JOBS.kind: ("same",)}.get(resource.kind, ())
        items = [self._made(job(name, output={"uri": "s3://runs/team/"})) for name in names]
        if resource == CAMPAIGNS:
            items = [item | {"status": {"attempts": {"begun": 4, "ended": 3}}} for item in items]
        if resource.kind == RUNTIMES.kind:
            items = [self._made(runtime())]
        return items, "99"

    def watch(self, resource: Resource, *_: Any, **options: Any) -> Iterator[Fields]:
        if resource.kind == RAY_JOBS.kind:
            wait_for(lambda: bool(self.ray_job))
            yield {"type": "ADDED", "object": self._made(self.ray_job)}
        self.over.wait(20)

    def create(self, resource: Resource, namespace: str, body: Fields, **query: str) -> Fields:
        self.writes.append((resource.kind, body["metadata"]["name"], body))
        if resource.kind == RAY_JOBS.kind:
            self.ray_job = body
        return self._made(body)

    def apply(self, resource: Resource, namespace: str, name: str, body: Fields, **how: Any) -> Fields:
        self.writes.append((resource.kind, name, body))
        return self._made(body | {"spec": job(name)["spec"]})

    def request(self, method: str, path: str, **options: Any) -> Fields:
        raise ApiError(f"nobody asked for {path} before", status=404)

    def _made(self, item: Fields) -> Fields:
        name = item["metadata"]["name"]
        added = {
            "resourceVersion": str(next(self._numbers)),
            "uid": f"uid-{name}",
            "creationTimestamp": stamp(START),
        }
        return item | {"metadata": item["metadata"] | added}

    def of(self, kind: str, name: str) -> list[Fields]:
        """Bodies that were written."""
        return [body for one, other, body in self.writes if (one, other) == (kind, name)]


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it never came")


@contextmanager
def working(server: Server, kind: Kind = campaign.KIND) -> Iterator[Operator]:
    operator = Operator(server, (*KINDS, kind), Settings(health_port=0, workers=2))
    thread = threading.Thread(target=operator.run)
    thread.start()
    try:
        yield operator
    finally:
        server.over.set()
        operator.stop()
        thread.join(20)


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_second_kind_is_looked_after_beside_one_of_the_same_name(server: Server) -> None:
    with working(server) as operator:
        campaigns = operator.reconcilers[CAMPAIGNS.kind]
        assert isinstance(campaigns, Campaigns)
        wait_for(lambda: bool(server.of("Campaign", "same") and server.of("TrainingJob", "same")))
        wait_for(lambda: campaigns.ray_jobs == ["same-r1"])
    assert server.of("Campaign", "same")[0]["status"]["trials"] == 3
    assert server.of("TrainingJob", "same")[0]["status"]["attemptCount"] == 1
    assert [body["metadata"]["name"] for body in server.of("RayJob", "same-r1")] == ["same-r1"]
    assert Key("Campaign", "team", "same") in campaigns.looks
    assert {key.kind for key in campaigns.looks} == {"Campaign"}
    assert {(line["kind"], line["job"], line["attempt"]) for line in campaigns.lines} == {
        ("Campaign", "same", 4),
        ("Campaign", "odd", 4),
    }


def test_kinds_share_the_watch_of_what_both_watch(server: Server) -> None:
    with working(server) as operator:
        wait_for(lambda: operator.leads)
        names = [one.resource.plural for one in operator.reflectors]
    assert sorted(names) == ["campaigns", "pods", "raygenruntimes", "rayjobs", "sweeps", "trainingjobs"]
    assert len(server.requests) == len(set(server.requests)) == 6


def test_an_internal_error_is_told_on_the_object_of_its_kind(server: Server) -> None:
    with working(server) as operator:
        wait_for(lambda: any(kind == "Event" and "odd" in name for kind, name, _ in server.writes))
        wait_for(lambda: bool(server.of("TrainingJob", "same")))
        text = operator.metrics.text().decode()
    (condition,) = server.of("Campaign", "odd")[0]["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("Unknown", "OperatorFault")
    assert "ZeroDivisionError: nobody foresaw this" in condition["message"]
    assert "other campaigns are looked after" in condition["message"]
    assert condition["message"].endswith("or recreate the campaign.")
    events = [body for kind, name, body in server.writes if kind == "Event" and "odd" in name]
    assert events[0]["regarding"]["kind"] == "Campaign"
    assert 'raygen_reconcile_errors_total{kind="campaigns",reason="fault"} 0.0' not in text
    assert 'raygen_reconcile_errors_total{kind="trainingjobs",reason="fault"} 0.0' in text
    assert 'raygen_reconcile_seconds_count{kind="campaigns"}' in text


def test_its_statuses_are_counted_and_traced_as_it_says(server: Server, collector: Collector) -> None:
    with working(server) as operator:
        campaigns = operator.reconcilers[CAMPAIGNS.kind]
        assert isinstance(campaigns, Campaigns)
        wait_for(lambda: bool(campaigns.told and server.of("TrainingJob", "same")))
        text = operator.metrics.text()
    assert value(text, "raygen_campaign_trials_total") == 3
    assert value(text, "raygen_attempts_ended_total", cause="Completed") == 0
    assert value(text, "raygen_reconcile_errors_total", kind="trainingjobs", reason="fault") == 0
    assert set(collector.spans) == {"Campaign team/same"}, "the other has not ended"
    assert facts(collector.spans["Campaign team/same"]) == {"trials": 3}


class Broken:
    """Figures, or a trace, that cope with nothing."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        pass

    def told(self, *_: object) -> Any:
        raise ZeroDivisionError("nobody foresaw this either")


def broken(_: object) -> int:
    raise ZeroDivisionError("nor this")


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        (changed(campaign.KIND, figures=None, trace=None), set()),
        (
            changed(campaign.KIND, figures=Broken, trace=Broken, attempt_of=broken),
            {"no figures of team/same", "no trace of team/same", "no attempt of team/same"},
        ),
    ],
    ids=["none", "broken"],
)
def test_without_figures_or_traces_that_work_its_objects_are_looked_after(
    kind: Kind, faults: set[str], server: Server, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), working(server, kind) as operator:
        campaigns = operator.reconcilers[CAMPAIGNS.kind]
        assert isinstance(campaigns, Campaigns)
        wait_for(lambda: campaigns.told == ["same"] and campaigns.ray_jobs == ["same-r1"])
    assert campaigns.looks.count(Key("Campaign", "team", "same")) == 1, "no look has failed"
    assert {text for text in caplog.messages if "team/same" in text and text.startswith("no ")} == faults
    assert not collector.spans


def rights(*kinds: Kind) -> set[tuple[str, str, str]]:
    """What the operator must be allowed for kinds whatever they do: API group, resource, verb."""
    watched = {watch.resource for kind in kinds for watch in kind.watches}
    found = {(one.group, one.plural, verb) for one in watched for verb in ("list", "watch")}
    return found | {
        (kind.own.resource.group, f"{kind.own.resource.plural}/status", "patch") for kind in kinds
    }


def test_rights_that_a_kind_lacks_are_known_from_the_list() -> None:
    documents = yaml.safe_load_all((ROOT / "manifests/install/install.yaml").read_text())
    (rules,) = (
        one["rules"]
        for one in documents
        if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "raygen-operator"
    )
    granted = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert not rights(*KINDS) - granted, "write them into charts/raygen/templates/_rights.tpl"
    assert rights(*KINDS, campaign.KIND) - granted == {
        ("raygen.io", "campaigns", "list"),
        ("raygen.io", "campaigns", "watch"),
        ("raygen.io", "campaigns/status", "patch"),
    }


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one more kind: what CONTRIBUTING.md says, but for the rights."""
    copy = copied(tmp_path_factory.mktemp("checkout"))
    (copy / "spec/campaign.py").write_text((HERE / "campaign/model.py").read_text())
    kinds = copy / "spec/kinds.py"
    replace(kinds, "KINDS = (JOBS, RUNTIMES, SWEEPS)", "KINDS = (JOBS, RUNTIMES, SWEEPS, CAMPAIGNS)")
    after = "from raygen.spec.status import TrainingJobStatus\n"
    replace(kinds, after, f"{after}from raygen.spec.campaign import CAMPAIGNS\n")
    (copy / "operator/campaign").mkdir()
    (copy / "operator/campaign/__init__.py").write_text((HERE / "campaign/kind.py").read_text())
    test, own = "from tests.unit.operator.campaign import model", "from raygen.spec import campaign as model"
    replace(copy / "operator/campaign/__init__.py", test, own)
    kinds = copy / "operator/kinds.py"
    replace(kinds, "sweep.KIND)", "sweep.KIND, campaign.KIND)")
    replace(kinds, "import sweep,", "import campaign, sweep,")
    project = copy.parent / "pyproject.toml"
    shutil.copy(ROOT / "pyproject.toml", project)
    replace(project, '"reasons | runtime | status"', '"campaign", "reasons | runtime | status"')
    replace(project, '"trainingjob | sweep | process"', '"campaign", "trainingjob | sweep | process"')
    return copy


def test_its_definition_schema_and_reference_are_made_from_its_line(package: Path) -> None:
    program = (
        "import json; from raygen.operator.kinds import KINDS; from raygen.spec.kinds import definitions;"
        "from tools.generate import generated;"
        "print(json.dumps([[kind.name for kind in KINDS], definitions()['campaigns.raygen.io'], list(generated())]))"
    )
    made = run(package, "-c", program)
    assert made.returncode == 0, made.stderr
    names, definition, files = json.loads(made.stdout)
    assert names == ["TrainingJob", "Sweep", "Campaign"]
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["status"]["properties"]["attempts"]["type"] == "object"
    assert {name for name in files if "campaign" in name} == {
        "schemas/campaign.json",
        "docs/reference/campaign.md",
        "manifests/crd/campaigns.raygen.io.yaml",
        "charts/raygen/files/campaigns.raygen.io.yaml",
    }


def test_its_place_in_the_layers_is_all_that_contracts_ask(package: Path) -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    checked = run(package, "-c", program, "--no-cache", "--no-logo")
    assert checked.returncode == 0, checked.stdout
    replace(
        package.parent / "pyproject.toml",
        '"campaign", "trainingjob | sweep | process"',
        '"trainingjob | sweep | process"',
    )
    checked = run(package, "-c", program, "--no-cache", "--no-logo")
    assert checked.returncode == 1
    assert "- raygen.operator.campaign\n" in checked.stdout
