"""Gathers what a run directory holds into its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from raygen.checkpoint import best_step, survey
from raygen.evaluation.formulas import QUALITIES, metric_direction
from raygen.report.chart import Chart, Curve, draw, smooth
from raygen.report.page import Cell, Figure, ReportData, SampleSet, render
from raygen.report.wording import size
from raygen.run.directory import REPORT, RunDirectory
from raygen.run.measurements import DATA_WAIT, EVALUATION, PER_SECOND, READ_EVERY, TRAIN, Line
from raygen.run.record import RunRecord
from raygen.run.waiting import ADVISED_SECONDS, ADVISED_SHARE, waiting_remedy

SHOWN_WAIT = 1.0
"""Percent of a step's time in waiting for data, above which there is a chart of it."""


def write_report(run: RunRecord) -> str:
    """Writes report.html into the run directory; returns where it is.

    Raises:
        OutputError: the output cannot be written.
    """
    run.directory.storage.write(REPORT, render(gather(run)).encode("utf-8", "replace"))
    return f"{run.directory.uri}/{REPORT}"


def gather(run: RunRecord) -> ReportData:
    """What the report shows."""
    directory, job = run.directory, run.job
    metrics = directory.read_metrics()
    attempts = directory.attempts()
    outcome = directory.read_outcome() or {}
    current = outcome if attempts and outcome.get("attempt") == attempts[-1].number else {}
    train = [line for line in metrics.lines if line.kind == TRAIN]
    evaluated = [line for line in metrics.lines if line.kind == EVALUATION]
    resumed = [a.resumed_from for a in attempts if a.resumed_from]
    return ReportData(
        title=directory.name,
        subtitle=_subtitle(run),
        state=str(current.get("state", "Running")),
        explanation=": ".join(str(current[k]) for k in ("reason", "message") if current.get(k)),
        remedy=str(current.get("remedy") or ""),
        started=_time(attempts[0].started) if attempts else None,
        ended=_time(attempts[-1].ended) if attempts else None,
        step=max((line.step for line in train), default=0),
        steps=int(current.get("steps") or job.spec.training.duration.steps or 0),
        figures=_figures(run, train, evaluated),
        advice=_advice(run, train),
        charts=_charts(run, train, evaluated, resumed),
        samples=samples_of(directory),
        attempts=[
            {
                "attempt": a.number,
                "began": _time(a.started),
                "ended": _time(a.ended),
                "from step": a.resumed_from,
                "to step": a.last_step,
                "end": a.cause or ("running" if a is attempts[-1] else "killed"),
            }
            for a in attempts
        ],
        guards=[
            {
                "guard": g["type"],
                "action": g["action"],
                "step": g["step"],
                "what": g["message"],
                "remedy": g["remedy"],
            }
            for g in outcome.get("guards", ())
        ],
        checkpoints=_checkpoints(run),
        configuration=run.document["job"],
        environment={
            **run.document["environment"],
            "seed": run.document["seed"],
            "data": run.document["data"],
            "parent": run.document.get("parent"),
        },
    )


def samples_of(directory: RunDirectory) -> list[SampleSet]:
    """What the model of a run made, by step."""
    texts: dict[int, list[tuple[str, str]]] = {}
    images: dict[int, list[bytes]] = {}
    for file in directory.samples():
        if file.name.endswith(".mid"):
            # Its words are among the texts.
            continue
        data = directory.storage.read(file.key)
        if file.name.endswith(".png"):
            images.setdefault(file.step, []).append(data)
            continue
        for line in data.splitlines():
            record = json.loads(line)
            texts.setdefault(file.step, []).append((record["prompt"], record["text"]))
    return [
        SampleSet(step, texts.get(step, ()), images.get(step, ()))
        for step in sorted(texts.keys() | images.keys())
    ]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _subtitle(run: RunRecord) -> str:
    parameters = run.document.get("parameters")
    count = f", {parameters:,} parameters" if parameters else ""
    return f"{run.job.spec.model.type}{count}, seed {run.document['seed']}"


def _loss_unit(run: RunRecord) -> str:
    """What a loss is measured in; empty where it is no likelihood, or may be anything."""
    return run.job.spec.model.family.loss_unit


def _figures(run: RunRecord, train: Sequence[Line], evaluated: Sequence[Line]) -> list[Figure]:
    figures = []
    for metric in run.job.spec.evaluation.metrics:
        course = [(line.values[metric.name], line.step) for line in evaluated if metric.name in line.values]
        if course:
            quality = QUALITIES[metric.type]
            best, step = min(course) if quality.lower_is_better else max(course)
            note = "" if best == course[-1][0] else f"best {best:.4g} at step {step:,}"
            figures.append(Figure(metric.name, course[-1][0], quality.unit, note))
    if train:
        recent = [line.values["loss"] for line in train[-100:] if "loss" in line.values]
        if recent:
            figures.append(
                Figure(
                    "training loss",
                    sum(recent) / len(recent),
                    _loss_unit(run),
                    f"mean of the last {len(recent)} steps",
                )
            )
        rates = [(v, k) for line in train[-100:] for k, v in line.values.items() if k.endswith(PER_SECOND)]
        if rates:
            rate, name = sorted(rates)[len(rates) // 2]
            unit = name.removesuffix(PER_SECOND) + "/s"
            figures.append(Figure("throughput", rate, unit, f"median of the last {len(rates)} steps"))
        waits = _newest_waits(train)
        if waits:
            mean = round(100 * sum(waits) / len(waits), 1)
            figures.append(
                Figure("waiting for data", mean, "%", f"of the time of the last {len(waits)} steps")
            )
    return figures


def _newest_waits(train: Sequence[Line]) -> list[float]:
    """Shares of the newest steps' time in which training waited for data."""
    return [line.values[DATA_WAIT] for line in train[-100:] if DATA_WAIT in line.values]


def _advice(run: RunRecord, train: Sequence[Line]) -> list[str]:
    """What to do, if the newest steps waited for data for long."""
    # Without the first interval of an attempt, whose samples are waited for in any case.
    newest = [line for line in train if line.attempt == train[-1].attempt][READ_EVERY:]
    waits = _newest_waits(newest)
    if not waits or newest[-1].time - newest[0].time < ADVISED_SECONDS:
        return []
    share = sum(waits) / len(waits)
    if share <= ADVISED_SHARE:
        return []
    spoken = f"Training waited for data in {share:.0%} of the time of the last {len(waits)} steps."
    return [f"{spoken} {waiting_remedy(run.job)}"]


def _charts(
    run: RunRecord, train: Sequence[Line], evaluated: Sequence[Line], resumed: Sequence[int]
) -> list[Chart]:
    def course(lines: Sequence[Line], name: str) -> list[tuple[int, float]]:
        return [(line.step, line.values[name]) for line in lines if name in line.values]

    loss = course(train, "loss")
    curves = [Curve("each step", loss, "thin"), Curve("running mean", smooth(loss))]
    shown = set()
    for metric in run.job.spec.evaluation.metrics:
        if metric.type == "ValidationLoss":
            curves.append(Curve(f"validation ({metric.name})", course(evaluated, metric.name), "dots"))
            shown.add(metric.name)
    charts = [draw("Loss", _loss_unit(run), curves, resumed)]
    for metric in run.job.spec.evaluation.metrics:
        if metric.name not in shown:
            curve = Curve(metric.name, course(evaluated, metric.name), "dots")
            charts.append(draw(metric.name, QUALITIES[metric.type].unit, [curve], resumed))
    others = sorted({name for line in train for name in line.values} - {"loss", DATA_WAIT})
    waits = [(step, 100 * value) for step, value in course(train, DATA_WAIT)]
    if any(percent > SHOWN_WAIT for _, percent in waits):
        both = [Curve("each step", waits, "thin"), Curve("running mean", smooth(waits))]
        charts.append(draw("Waiting for data", "%", both, resumed))
    for name in others:
        points = course(train, name)
        pretty = name.replace("_", " ").replace(" per second", "/s")
        both = (
            [Curve(pretty, points)]
            if "rate" in name
            else [Curve("each step", points, "thin"), Curve("running mean", smooth(points))]
        )
        charts.append(draw(pretty[:1].upper() + pretty[1:], "", both, resumed))
    return [chart for chart in charts if chart is not None]


def _checkpoints(run: RunRecord) -> list[dict[str, Cell]]:
    keep = run.job.spec.checkpoint.keep_best
    storage = run.directory.checkpoints
    best = best_step(storage, metric_direction(run.job, keep.metric)) if keep is not None else None
    return [
        {
            "step": folder.step,
            **({keep.metric: folder.metric, "best": folder.step == best} if keep is not None else {}),
            "size": size(sum(folder.sizes.values())),
            "state": "complete" if folder.complete else "torn",
        }
        for folder in survey(storage)
    ]
