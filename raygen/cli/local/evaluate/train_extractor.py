"""`raygen evaluate train-extractor`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import print_result, table
from raygen.errors import InputError
from raygen.spec import resolve


def run(args: argparse.Namespace) -> int:
    """Trains an extractor on the training split of a job, and prints what a job file names it by."""
    loaded = load_job(args)
    if args.steps < 1:
        raise InputError(
            "out of bounds: --steps", where="raygen evaluate train-extractor", remedy="Give at least 1."
        )
    with needs_training():
        from raygen.inference.extractor import extractor_of_data
        from raygen.storage import open_storage

    def progress(step: int, loss: float) -> None:
        if step % max(args.steps // 10, 1) == 0:
            print(f"step {step}/{args.steps}  loss {loss:.4f}", file=sys.stderr)

    trained = extractor_of_data(
        resolve(loaded.job),
        loaded.path.parent,
        name=args.name,
        seed=args.seed,
        steps=args.steps,
        progress=progress,
    )
    target = Path(args.to)
    open_storage(str(target.parent)).write(target.name, trained.content)
    document = {
        "file": args.to,
        "sha256": trained.sha256,
        "accuracy": trained.accuracy,
        "heldOut": trained.held_out,
        "seconds": round(trained.seconds, 1),
    }
    rows = {
        "file": args.to,
        "accuracy": f"{trained.accuracy:.2%} of {trained.held_out:,} images that were held out",
        "in a job": "evaluation: {generation: {extractor: {type: Network, uri: " + args.to + ",",
        "": "  sha256: " + trained.sha256 + "}}}",
    }
    print_result(args, document, table(rows))
    return 0
