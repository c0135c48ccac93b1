"""`raygen export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from raygen.cli.jobs import needs_training
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Writes a Hugging Face folder."""
    with needs_training():
        from raygen.train.runs import Run
    files = Run.open(args.run).export_huggingface(Path(args.target), step=args.step)
    document = {"format": args.format, "folder": args.target, "files": [str(path) for path in files]}
    print_result(args, document, "\n".join(map(str, files)))
    return 0
