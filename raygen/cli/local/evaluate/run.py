"""`raygen evaluate RUN`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from raygen.cli.local.evaluate.asked import job_of, run_and_step
from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result, table


def run(args: argparse.Namespace) -> int:
    """Measures a checkpoint, keeps the result in the run directory, and prints it with intervals."""
    with needs_training():
        from raygen.inference.evaluation import evaluate_run
        from raygen.inference.run import Run
    place, step = run_and_step(args.run)
    opened = Run.open(place)
    document = evaluate_run(
        opened,
        job_of(opened, args),
        step=args.step if args.step is not None else step,
        device=args.device,
        notice=lambda text: print(text, file=sys.stderr),
    )
    print_result(args, document, shown(document))
    return 0


def shown(document: dict[str, Any]) -> str:
    """A document of an evaluation for people."""
    extractor = document.get("extractor")
    rows = {"run": f"{document['run']}, step {document['step']:,}"}
    if extractor is not None:
        rows["extractor"] = f"{extractor['name']} (SHA-256 {extractor['sha256'][:12]})"
    for name, value in document["values"].items():
        rows[name] = value_with_interval(document, name, value)
    covered = sorted(set(document["covers"].values()))
    if covered:
        rows["intervals"] = f"95 %, over {' or '.join(covered)} alone"
    rows["kept as"] = document["written"]
    return table(rows)


def value_with_interval(document: dict[str, Any], name: str, value: float) -> str:
    """A value, its unit, and its interval."""
    unit = document["units"].get(name, "")
    said = f"{value:.5g}" + (f" {unit}" if unit else "")
    interval = document["intervals"].get(name)
    return said if interval is None else f"{said}  ({interval['low']:.5g} to {interval['high']:.5g})"
