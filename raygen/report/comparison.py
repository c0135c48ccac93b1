"""A comparison of runs, as Markdown and as a page that needs nothing else and can do nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.evaluation.comparison import Row
from raygen.evaluation.intervals import Interval
from raygen.report.page import MAX_ROWS, page_template

Document = Mapping[str, Any]
METRIC, DIFFERENCE = "metric", "difference to the first"
"""Columns of the table beside those of runs."""
MARGIN = 0.08
"""Share of a plot that stays free on either side."""


@dataclass(frozen=True)
class Mark:
    """A run's value in the plot of a metric, across, in per cent.

    Attributes:
        run: Its name.
        value: The value as text.
        place: Of the value.
        left, width: Of its interval; 0 wide where there is none.
        best: Whether it is the best.
    """

    run: str
    value: str
    place: float
    left: float
    width: float
    best: bool


def names_of(documents: Sequence[Document]) -> list[str]:
    """Names of the runs, which differ: the last parts of their directories, with the steps and with numbers where names are alike."""
    names = [str(one["run"]).rstrip("/").rpartition("/")[2] for one in documents]
    if _alike(names):
        names = [f"{name}, step {one['step']}" for name, one in zip(names, documents, strict=True)]
    if _alike(names):
        names = [f"{number}: {name}" for number, name in enumerate(names, start=1)]
    return names


def _alike(names: Sequence[str]) -> bool:
    """Whether two columns would have the same name."""
    return len({METRIC, DIFFERENCE, *names}) < len(names) + 2


def table_of(documents: Sequence[Document], rows: Sequence[Row]) -> list[dict[str, str]]:
    """The comparison as a table of texts: a row for each metric, then what the runs cost; the best value of a metric has a star."""
    names = names_of(documents)
    table = []
    for row in rows:
        cells = {METRIC: row.name + (f" ({row.unit})" if row.unit else "")}
        for number, name in enumerate(names):
            cells[name] = _value(row.values[number], row.intervals[number]) + (
                " *" if row.best == number else ""
            )
        cells[DIFFERENCE] = _differences(row, names)
        table.append(cells)
    for title, cost in _costs(documents):
        table.append({METRIC: title, **dict(zip(names, cost, strict=True)), DIFFERENCE: ""})
    return table


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.5g}" + (f" ({interval.low:.4g} to {interval.high:.4g})" if interval is not None else "")


def _differences(row: Row, names: Sequence[str]) -> str:
    if row.not_comparable:
        return row.not_comparable
    said = []
    for name, one in zip(names[1:], row.differences, strict=True):
        if one is None:
            continue
        real = {None: "no interval", True: "real", False: "may be chance"}[one.real]
        said.append((f"{name}: " if len(names) > 2 else "") + f"{one.value:+.4g}, {real}")
    return "; ".join(said)


def _costs(documents: Sequence[Document]) -> list[tuple[str, list[str]]]:
    def seconds(one: Document) -> str:
        taken, request = one["seconds"].get("samples"), one.get("request")
        return "" if taken is None or request is None else f"{1000 * taken / request['count']:.3g}"

    return [
        ("model", [str(one["family"]) for one in documents]),
        ("parameters", [f"{one['parameters']:,}" for one in documents]),
        ("generated and measured (ms for each sample)", [seconds(one) for one in documents]),
    ]


def markdown(documents: Sequence[Document], rows: Sequence[Row]) -> str:
    """The comparison as a table in Markdown."""
    table = table_of(documents, rows)
    columns = list(table[0])
    lines = ["| " + " | ".join(map(_cell, columns)) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in columns) + " |" for row in table]
    return "\n".join([*lines, "", NOTE, ""])


NOTE = (
    "Intervals are 95 %, over the choice of validation batches or of generated samples alone; another seed of training is not in them."
    " A difference is real where its own interval, paired by batches, leaves 0 out. * is the best value."
)


def _cell(text: str) -> str:
    """Text as a cell shows it: nothing in it is Markdown or ends its line, and the star of the best value is no pair of others."""
    shown, star = (text[:-2], " *") if text.endswith(" *") else (text, "")
    shown = "".join(sign if sign.isprintable() else " " for sign in shown)
    return "".join("\\" + sign if sign in "\\`*_<>|[]&~" else sign for sign in shown) + star


def marks_of(row: Row, names: Sequence[str]) -> list[Mark]:
    """Values and intervals of a metric on one axis."""
    known = [
        (name, value, interval, number)
        for number, (name, value, interval) in enumerate(zip(names, row.values, row.intervals, strict=True))
        if value is not None
    ]
    ends = [end for _, value, interval, _ in known for end in (value, *(_ends(interval)))]
    low, high = min(ends), max(ends)
    room = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / room), 3)

    return [
        Mark(
            name,
            f"{value:.5g}",
            place(value),
            place(interval.low) if interval is not None else place(value),
            place(interval.high) - place(interval.low) if interval is not None else 0.0,
            row.best == number,
        )
        for name, value, interval, number in known
    ]


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return () if interval is None else (interval.low, interval.high)


def comparison_page(documents: Sequence[Document], rows: Sequence[Row]) -> str:
    """The comparison as one HTML file without scripts and without anything from elsewhere."""
    names = names_of(documents)
    plots = [(row, marks_of(row, names)) for row in rows if any(value is not None for value in row.values)]
    style, style_hash, template = page_template("comparison.html.jinja")
    return template.render(
        style=style,
        style_hash=style_hash,
        max_rows=MAX_ROWS,
        title=" and ".join(names) if len(names) == 2 else f"{len(names)} runs",
        rows=table_of(documents, rows),
        plots=plots,
        note=NOTE,
        facts=[
            (name, f"step {one['step']:,}, seed {one['seed']}")
            for name, one in zip(names, documents, strict=True)
        ],
    )
