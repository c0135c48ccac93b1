"""Grafana's dashboards, which `make generate` writes into charts/raygen/files/dashboards.

Figures of jobs' pods reach Prometheus through the chart's PodMonitor (or one of your own): their `namespace` and `pod`
are the pod's, and `raygen_io_job` is its label raygen.io/job.
"""

from __future__ import annotations

import json

from tools.dashboards.fleet import FLEET
from tools.dashboards.operator import OPERATOR
from tools.dashboards.run import A_RUN
from tools.dashboards.shape import document

FOLDER = "charts/raygen/files/dashboards"


def files() -> dict[str, str]:
    """The dashboards: path -> JSON."""
    return {
        f"{FOLDER}/{one.name}.json": json.dumps(document(one), indent=1, ensure_ascii=False) + "\n"
        for one in (OPERATOR, FLEET, A_RUN)
    }
