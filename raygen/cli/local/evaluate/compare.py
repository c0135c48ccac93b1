"""`raygen compare`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.cli.local.evaluate.asked import job_of, run_and_step
from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result
from raygen.errors import InputError

if TYPE_CHECKING:
    from raygen.evaluation.comparison import Row


def run(args: argparse.Namespace) -> int:
    """Measures the runs, prints their metrics beside each other, and writes them as a page where one is asked for."""
    target = None if args.to is None else Path(args.to)
    if target is not None and target.suffix not in (".md", ".html"):
        raise InputError("the file has to end with .md or .html", where=args.to, remedy="Name such a file.")
    with needs_training():
        from raygen.evaluation.comparison import rows_of
        from raygen.inference.evaluation import evaluate_run
        from raygen.inference.run import Run
        from raygen.report.comparison import comparison_page, markdown
        from raygen.storage import open_storage
    documents: list[dict[str, Any]] = []
    for place in args.runs:
        uri, step = run_and_step(place)
        opened = Run.open(uri)
        job = job_of(opened, args)
        print(f"measuring {uri}", file=sys.stderr)
        documents.append(evaluate_run(opened, job, step=step, device=args.device))
    rows = rows_of(documents)
    if target is not None:
        content = comparison_page(documents, rows) if target.suffix == ".html" else markdown(documents, rows)
        open_storage(str(target.parent)).write(target.name, content.encode())
    document = {"runs": documents, "metrics": [_document(row) for row in rows]}
    print_result(args, document, markdown(documents, rows) + (f"\n{args.to}" if target is not None else ""))
    return 0


def _document(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "lower_is_better": row.lower_is_better,
        "values": row.values,
        "best": row.best,
        "not_comparable": row.not_comparable or None,
        "differences": [
            None if one is None else {"value": one.value, "low": one.low, "high": one.high, "real": one.real}
            for one in row.differences
        ],
    }
