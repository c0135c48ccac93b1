"""The report of a run: one HTML file that needs nothing else and can do nothing.

No script, no style attribute, no address: the Content-Security-Policy allows the page's own style sheet by
its hash and pictures inside the page, and nothing more. Everything that comes from a run is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2

from raygen.evaluation.chart import Chart, label

MAX_TEXT = 4000
MAX_SAMPLES_SHOWN = 6


@dataclass(frozen=True)
class Figure:
    """A headline number: its name, value, unit, and the best value with its step where it was another."""

    name: str
    value: float
    unit: str = ""
    best: str = ""


@dataclass(frozen=True)
class SampleSet:
    """What the model made at one step: texts as (prompt, continuation), pictures as PNG."""

    step: int
    texts: Sequence[tuple[str, str]] = ()
    images: Sequence[bytes] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        title: The run's name.
        subtitle: What was trained, in a few words.
        state: Running, Succeeded, Stopped or Failed.
        explanation: Why it ended, and what to do; empty while it runs.
        step, steps: Done, and in all.
        figures: Headline numbers.
        charts: In this order.
        samples: By step.
        attempts: Table rows by column.
        checkpoints: Table rows by column.
        configuration: The resolved job.
        environment: Versions and machine.
    """

    title: str
    subtitle: str
    state: str
    explanation: str
    step: int
    steps: int
    figures: Sequence[Figure] = ()
    charts: Sequence[Chart] = ()
    samples: Sequence[SampleSet] = ()
    attempts: Sequence[Mapping[str, str]] = ()
    checkpoints: Sequence[Mapping[str, str]] = ()
    configuration: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None


def render(data: ReportData) -> str:
    """The report as HTML."""
    folder = files("raygen.evaluation")
    style = folder.joinpath("report.css").read_text(encoding="utf-8")
    template = folder.joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"label": label, "clean": clean, "base64": _base64}
    return environment.from_string(template).render(
        data=data,
        # The file is ours and holds no "</style>"; it must arrive unchanged for its hash to hold.
        style=jinja2.filters.Markup(style),  # noqa: S704
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        samples=spread(data.samples, MAX_SAMPLES_SHOWN),
        settings=list(leaves(data.configuration or {}, "")),
        facts=list(leaves(data.environment or {}, "")),
    )


def spread(items: Sequence[SampleSet], limit: int) -> list[SampleSet]:
    """At most `limit` of the items, evenly spread, newest first."""
    count = min(limit, len(items))
    chosen = {round(i * (len(items) - 1) / max(count - 1, 1)) for i in range(count)}
    return [items[i] for i in sorted(chosen, reverse=True)]


def clean(text: str) -> str:
    """Text that a page can show safely: bounded, control and direction characters made visible."""
    shown = text[:MAX_TEXT] + ("..." if len(text) > MAX_TEXT else "")
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\u{ord(c):04x}" for c in shown)


def leaves(value: Any, path: str) -> list[tuple[str, str]]:
    """A nested mapping as (path, value) rows; what is not set is left out."""
    if isinstance(value, Mapping):
        return [row for k, v in value.items() for row in leaves(v, f"{path}.{k}" if path else str(k))]
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [row for i, item in enumerate(value) for row in leaves(item, f"{path}[{i}]")]
    if value is None or value in ((), [], ""):
        return []
    return [(path, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
