"""`raygen export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from raygen.cli.interrupts import unwound
from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result
from raygen.errors import InputError, without_secrets


def run(args: argparse.Namespace) -> int:
    """Writes a Hugging Face folder."""
    with needs_training():
        from raygen.inference.run import Run
    if "://" in args.target:
        raise InputError(
            "a model is exported to a folder of this machine",
            where=without_secrets(args.target),
            remedy="Name a local folder, and copy it from there.",
        )
    opened = Run.open(args.run)
    # A file that is half written goes with the interruption.
    with unwound():
        files = opened.export_huggingface(Path(args.target), step=args.step)
    document = {"format": args.format, "folder": args.target, "files": [str(path) for path in files]}
    print_result(args, document, "\n".join(map(str, files)))
    return 0
