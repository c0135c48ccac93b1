"""`raygen data preview`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import print_result, printable
from raygen.errors import OutputError


def run(args: argparse.Namespace) -> int:
    """Writes a picture of samples before and after augmentation, or prints them where they are text."""
    loaded = load_job(args)
    if loaded.job.spec.data.augmentation is None:
        _notice("the job has no data.augmentation: both are what the data holds")
    with needs_training():
        from raygen.training.preview import preview
    result = preview(loaded.job, loaded.path.parent, args.count, args.device, _notice)
    if result.picture is None:
        windows = [asdict(window) for window in result.windows]
        text = "\n".join(
            f"sample {number}: {window.replaced:,} of {window.tokens:,} tokens replaced\n"
            f"{_body('before', window.before)}\n{_body('after', window.after)}"
            for number, window in enumerate(result.windows, 1)
        )
        print_result(args, {"samples": windows}, text)
        return 0
    path = Path(args.out or f"{loaded.job.metadata.name}-preview.png")
    try:
        path.write_bytes(result.picture)
    except OSError as error:
        raise OutputError(
            f"the picture cannot be written: {error.strerror}",
            where=str(path),
            remedy="Give another file with --out.",
        ) from error
    print_result(args, {"picture": str(path), "samples": result.count}, str(path))
    return 0


def _body(name: str, text: str) -> str:
    return "\n".join(f"  {name:<6} | {printable(line)}" for line in text.splitlines() or [""])


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
