"""What a dashboard consists of, and how Grafana spells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: In a few words.
        description: What it shows, and what to make of it.
        unit: Grafana's name of the unit.
        queries: PromQL, by legend.
        kind: Type of panel.
        width: In columns of 24.
        is_stacked: Whether its lines add up.
        most: Upper end of its axis.
    """

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    is_stacked: bool = False
    most: float | None = None


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: Its file's, and the end of its uid.
        title: For people.
        description: What it is for.
        variables: Queries of label values, by name; each may use those before it.
        panels: In order.
    """

    name: str
    title: str
    description: str
    variables: dict[str, str]
    panels: Sequence[Panel]


def events(metric: str, labels: str = "", span: str = "$__range") -> str:
    """How often a counter of Ray's counted: its agents tell of it from the first time on, which is no increase."""
    counter = metric + labels
    return f"({counter} unless {counter} offset {span} or increase({counter}[{span}]))"


def quantile(share: float, metric: str, labels: str = "", span: str = "$__rate_interval") -> str:
    """Of a histogram."""
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{labels}[{span}])))"


def document(board: Dashboard) -> dict[str, Any]:
    """As Grafana reads it."""
    return {
        "uid": f"raygen-{board.name}",
        "title": board.title,
        "description": board.description,
        "tags": ["raygen"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "title": "raygen", "tags": ["raygen"], "keepTime": True}],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                *(_variable(name, query) for name, query in board.variables.items()),
            ]
        },
        "panels": _panels(board.panels),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.replace("_", " "),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "sort": 1,
    }


def _panels(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    made, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + height
        height = 4 if panel.kind in ("stat", "gauge") else 8
        made.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": height}))
        x += panel.width
    return made


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    custom = {"fillOpacity": 10, "showPoints": "never"}
    if panel.is_stacked:
        custom |= {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "custom": custom}
    if panel.title == "Loss":
        del defaults["min"]
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        if panel.kind == "timeseries"
        else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }
