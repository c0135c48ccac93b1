"""Reports and pictures for tests."""

from __future__ import annotations

import math
import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from raygen.report.chart import Curve, draw, smooth
from raygen.report.page import Figure, ReportData, SampleSet

BEGAN = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

HOSTILE = (
    "</script></style></title><script>document.title='PWNED';console.error('PWNED')</script>"
    "<img src=x onerror=\"console.error('PWNED')\"><svg onload=console.error('PWNED')>"
    "<iframe src=//example.org></iframe>\"' onmouseover='console.error(1)' style='x:y"
    "{{ 7 * 191 }}{% raw %}\0\x1b[31m\x9b\u202e\u2066\ud800\udfff\ufeff\r"
)


def png(width: int = 2, height: int = 2, color: bytes = b"\xff\0\0") -> bytes:
    """A picture of one colour."""
    rows = (b"\0" + color * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def loss_curve(steps: int = 2000) -> list[tuple[int, float]]:
    return [(i, 1.5 + 2.7 * math.exp(-i / 180) + 0.05 * math.sin(i * 1.7)) for i in range(1, steps + 1)]


def report(**changes: Any) -> ReportData:
    """The report of a run that was interrupted once."""
    loss = loss_curve()
    validation = [(i, 1.6 + 2.5 * math.exp(-i / 200)) for i in range(250, 2001, 250)]
    curves = [Curve("each step", loss, "thin"), Curve("running mean", smooth(loss))]
    charts = (
        draw("Loss", "nats/token", [*curves, Curve("validation", validation, "dots")], [750]),
        draw("Learning rate", "", [Curve("learning rate", [(i, 1e-3 / i) for i, _ in loss])], scale="log"),
    )
    values: dict[str, Any] = {
        "title": "shakespeare",
        "subtitle": "Transformer, 804,096 parameters",
        "state": "Succeeded",
        "explanation": "Completed",
        "step": 2000,
        "steps": 2000,
        "started": BEGAN,
        "ended": BEGAN + timedelta(seconds=143),
        "figures": (Figure("loss", 1.6312, "nats/token", "best 1.6201 at step 1,750"),),
        "charts": tuple(chart for chart in charts if chart is not None),
        "samples": (SampleSet(1000, (("ROMEO:", "\nBut soft"),)), SampleSet(2000, (), (png(),))),
        "attempts": (
            {"attempt": 1, "began": BEGAN, "from step": 0, "to step": 750, "end": "SIGTERM"},
            {"attempt": 2, "began": BEGAN, "from step": 750, "to step": None, "end": "Completed"},
        ),
        "checkpoints": ({"step": 2000, "loss": 1.64, "best": True},),
        "configuration": {"kind": "TrainingJob", "spec": {"model": {"type": "Transformer", "layers": 4}}},
        "environment": {"python": "3.11.7", "data": {"bytes": 1115394}},
    }
    return ReportData(**values | changes)


def hostile_report() -> ReportData:
    """A report in which every text is an attack."""
    text = HOSTILE
    curve = Curve(text, [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0), (4, 1e308), (5, -1e308)])
    chart = draw(text, text, [curve, Curve(text, [(0, 1.5), (5, 1.0)], "dots")], [3])
    assert chart is not None
    return ReportData(
        title=text,
        subtitle=text,
        state=text,
        explanation=text,
        remedy=text,
        step=7,
        steps=-1,
        figures=(Figure(text, math.nan, text, text),),
        charts=(chart,),
        samples=(
            SampleSet(1, ((text, text * 10_000),), (b"<svg onload=alert(1)>", png()[:20])),
            SampleSet(2, (("", "\u0301" * 100_000),), (png(),)),
        ),
        attempts=({text: text, "end": None},),
        checkpoints=({text: text},),
        configuration={text: {text: [{text: text}, text]}, "spec": {text: text}},
        environment={text: text},
    )
