"""Each alert fires with what it is there for, once its time is over, says so, and is quiet otherwise: by promtool."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster import tools

from tests.cluster.installing.helm import IMAGE, render
from tests.cluster.seeing.cases import CASES, Case, Series

Object = dict[str, Any]

MINUTES = 60
"""How long an alert is watched that must not fire."""


@pytest.fixture(scope="module")
def groups() -> list[Object]:
    """Of the PrometheusRule that the chart makes."""
    documents = render({"image": IMAGE, "metrics": {"prometheusRule": {"enabled": True}}})
    (rule,) = (one for one in documents if one["kind"] == "PrometheusRule")
    found: list[Object] = rule["spec"]["groups"]
    return found


def promtool(*arguments: object) -> str:
    """What it says of what is wrong; nothing if nothing is."""
    done = subprocess.run(
        [tools.binary("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


def expected(case: Case) -> Object:
    return {
        "exp_labels": {"severity": case.severity, **case.labels},
        "exp_annotations": {"summary": case.summary},
    }


def looked_at(case: Case, series: Series, fires: dict[int, bool]) -> Object:
    """A test of promtool's: at which minutes the alert fires, and at which it does not."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "alertname": case.alert,
                "eval_time": f"{minute}m",
                "exp_alerts": [expected(case)] if whether else [],
            }
            for minute, whether in fires.items()
        ],
    }


def looks_at(case: Case) -> list[Object]:
    times = {case.after - 1: False, case.after: True} | ({case.over: False} if case.over else {})
    never = dict.fromkeys(range(MINUTES), False)
    return [looked_at(case, case.fires, times), *(looked_at(case, one, never) for one in case.quiet)]


@pytest.mark.parametrize("case", CASES, ids=[f"{one.alert}-{one.after}" for one in CASES])
def test_an_alert_fires_when_it_should_and_says_so(case: Case, groups: list[Object], tmp_path: Path) -> None:
    # promtool compares all annotations; what to do is prose, which would only stand here once more.
    told = copy.deepcopy(groups)
    for group in told:
        for rule in group["rules"]:
            del rule["annotations"]["description"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": told}))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": looks_at(case)}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    assert promtool("test", "rules", tmp_path / "tests.yaml") == ""


def test_each_alert_has_figures_with_which_it_fires_and_others_with_which_it_does_not(
    groups: list[Object],
) -> None:
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    assert {case.alert for case in CASES} == rules.keys()
    assert all(case.quiet for case in CASES)


def test_prometheus_takes_the_rules(groups: list[Object], tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", path) == ""
