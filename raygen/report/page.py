"""The report of a run: one HTML file that needs nothing else and can do nothing.

No script, no style attribute, no address: the Content-Security-Policy allows the page's own style sheet by
its hash and pictures inside the page, and nothing more. Everything that comes from a run passes through
`_shown`, whatever the template does with it, and is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from raygen.report.chart import HEIGHT, Chart, spread
from raygen.report.wording import duration, inert, label, moment, size, utc

STATES = ("Running", "Succeeded", "Stopped", "Failed")
MAX_CHARTS = 40
MAX_SETS = 12
MAX_SAMPLES = 16
MAX_ROWS = 100
MAX_SETTINGS = 1000
MAX_DEPTH = 12
MAX_PICTURE_BYTES = 2 * 2**20
MAX_PICTURES_BYTES = 24 * 2**20

Cell = str | int | float | datetime | bool | None
Row = Mapping[str, Cell]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@dataclass(frozen=True)
class Figure:
    """A headline number.

    Attributes:
        name: What was measured.
        value: Its newest value.
        unit: Its unit; empty for a pure number.
        note: What a reader should know besides, the best value and its step for example.
    """

    name: str
    value: float
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class SampleSet:
    """What the model made at one step: texts as (prompt, continuation), pictures as PNG files."""

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
        explanation: Why it ended; empty while it runs.
        step: Steps done.
        steps: Steps in all, 0 if unknown.
        remedy: What to do about the end; empty if nothing.
        started: When the first attempt began.
        ended: When the last one ended; None while it runs.
        figures: Headline numbers.
        advice: What would make training faster, in sentences.
        charts: In this order; the first has the full width.
        samples: By step.
        attempts: Rows of a table, by column. Numbers stand to the right, times in UTC, True is a star.
        guards: The same; what guards found.
        checkpoints: The same.
        configuration: The resolved job.
        environment: Versions, device, command, seed, commit, data fingerprint. No environment variables.
    """

    title: str
    subtitle: str
    state: str
    explanation: str
    step: int
    steps: int
    remedy: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    figures: Sequence[Figure] = ()
    advice: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    samples: Sequence[SampleSet] = ()
    attempts: Sequence[Row] = ()
    guards: Sequence[Row] = ()
    checkpoints: Sequence[Row] = ()
    configuration: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Picture:
    """A PNG file that can be shown, or the reason why not.

    Attributes:
        source: Its data address, which needs no escaping; None if it is not shown.
        width, height: In pixels.
        reason: Why it is not shown.
    """

    source: Markup | None = None
    width: int = 0
    height: int = 0
    reason: str = ""


def render(data: ReportData) -> str:
    """The report as HTML; its characters can all be written as UTF-8."""
    style, style_hash, template = page_template("page.html.jinja")
    return template.render(
        data=data,
        state=data.state if data.state in STATES else "Running",
        style=style,
        style_hash=style_hash,
        facts=list(_facts(data)),
        progress=round(100 * min(max(data.step / data.steps, 0), 1), 1) if data.steps > 0 else None,
        charts=data.charts[:MAX_CHARTS],
        height=HEIGHT,
        sets=shown_sets(data.samples),
        max_samples=MAX_SAMPLES,
        max_rows=MAX_ROWS,
        settings=groups(data.configuration or {}),
        environment=groups(data.environment or {}),
    )


def shown_sets(
    samples: Sequence[SampleSet], limit: int = MAX_PICTURES_BYTES
) -> list[tuple[SampleSet, list[Picture]]]:
    """The sets that a page shows, the newest first, each with its pictures.

    Args:
        samples: By step.
        limit: Bytes of all pictures together; beyond it, those of the older sets are left out with a reason.
    """
    sets = [samples[i] for i in reversed(spread(len(samples), MAX_SETS))]
    return list(zip(sets, _pictures(sets, limit), strict=True))


def groups(document: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A nested document as groups of (path, value) rows, for people.

    Values of the document itself come first, under no name; then every mapping in it. `spec`, which holds
    most of a job, is opened: its parts are groups of their own. What is not set is left out.
    """
    plain: list[tuple[str, str]] = []
    named: list[tuple[str, list[tuple[str, str]]]] = []
    for key, value in document.items():
        if key == "spec" and isinstance(value, Mapping):
            inner = groups(value)
            plain += [row for name, rows in inner if not name for row in rows]
            named += [(name, rows) for name, rows in inner if name]
        elif isinstance(value, Mapping):
            named.append((str(key), list(_leaves(value, "", MAX_DEPTH))[:MAX_SETTINGS]))
        else:
            plain += _leaves(value, str(key), MAX_DEPTH)
    return [(name, rows) for name, rows in [("", plain[:MAX_SETTINGS]), *named[:MAX_SETTINGS]] if rows]


def picture(png: bytes) -> Picture:
    """A PNG file as a data address; what is not a PNG file, or is too large, is left out with a reason."""
    if not png.startswith(_PNG_SIGNATURE) or len(png) < len(_PNG_SIGNATURE) + 8:
        return Picture(reason="not a PNG file")
    if len(png) > MAX_PICTURE_BYTES:
        return Picture(reason=f"larger than {size(MAX_PICTURE_BYTES)}; it is in the run's samples/ folder")
    width, height = struct.unpack_from(">II", png, len(_PNG_SIGNATURE))
    return Picture(Markup("data:image/png;base64,{}").format(_base64(png)), width, height)


@cache
def page_template(template: str) -> tuple[Markup, str, jinja2.Template]:
    """The style sheet, its SHA-256 in Base64, and a template of this package, which escapes whatever it is given."""
    folder = files("raygen.report")
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    jinja = jinja2.Environment(
        loader=jinja2.PackageLoader("raygen.report", ""),
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # Paths are digits that `draw` wrote, and longer than any text may be.
    jinja.filters |= {"label": label, "cell": _cell, "preview": _preview, "geometry": Markup}
    # The style sheet is ours and holds no end tag; it must arrive unchanged for its hash to hold.
    return (
        Markup(style),  # noqa: S704
        _base64(hashlib.sha256(style.encode()).digest()),
        jinja.get_template(template),
    )


def _shown(value: object) -> object:
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _facts(data: ReportData) -> Iterator[tuple[str, str]]:
    yield "Step", f"{data.step:,} of {data.steps:,}" if data.steps else f"{data.step:,}"
    if data.started is not None:
        yield "Started", moment(data.started)
        if data.ended is not None:
            yield "Ended", moment(data.ended)
            yield "Took", duration((utc(data.ended) - utc(data.started)).total_seconds())


def _pictures(sets: Sequence[SampleSet], left: int) -> list[list[Picture]]:
    """The pictures of every set; once they are more bytes together than are left, those of the sets that come later go."""
    result = []
    for chosen in sets:
        shown = []
        for png in chosen.images[:MAX_SAMPLES]:
            left -= len(png)
            enough = Picture(reason="the report is large enough; it is in the run's samples/ folder")
            shown.append(picture(png) if left >= 0 else enough)
        result.append(shown)
    return result


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth and isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}" if path else str(key), depth - 1)
    elif (
        depth
        and isinstance(value, list | tuple)
        and any(isinstance(v, Mapping | list | tuple) for v in value)
    ):
        for number, child in enumerate(value):
            yield from _leaves(child, f"{path}[{number}]", depth - 1)
    elif isinstance(value, list | tuple):
        if value:
            yield path, ", ".join(map(_spelled, value))
    elif value is not None and value != "":
        yield path, _spelled(value)


def _spelled(value: object) -> str:
    """As a job file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(value: Cell) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "★"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:#.4g}"
    return label(value) if isinstance(value, int | float) else value


def _preview(text: str) -> str:
    """The beginning of a text as one line."""
    return " ".join(text[:400].split())[:160]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
