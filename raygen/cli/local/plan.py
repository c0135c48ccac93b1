"""`raygen plan`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import duration, number, print_result, table
from raygen.report.wording import size

if TYPE_CHECKING:
    from raygen.training.estimate import Estimate


def run(args: argparse.Namespace) -> int:
    """Prints what the job will cost here."""
    loaded = load_job(args)
    with needs_training():
        from raygen.training.estimate import estimate
    result = estimate(loaded.job, loaded.path.parent, args.device, _notice)
    for remark in result.remarks:
        _notice(str(remark))
    print_result(args, asdict(result), _text(result))
    return 0


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _text(e: Estimate) -> str:
    memory = f"{size(e.state_bytes)} state + {size(e.activation_bytes)} activations"
    limit = f" (the container's limit is {size(e.memory_limit_bytes)})" if e.memory_limit_bytes else ""
    quota = f" (the container's CPU limit is {e.cpu_limit:g})" if e.cpu_limit else ""
    return table(
        {
            "device": e.device,
            "cores": f"{e.cores}{quota}",
            "parameters": number(e.parameters),
            "memory": f"{memory} of {size(e.available_bytes)} available{limit}",
            "micro-batch": f"{number(e.micro_batch_size)} (largest that fits: about {number(e.largest_micro_batch)})",
            "steps": f"{number(e.steps)} ({e.epochs:.2f} epochs of {number(e.samples_per_epoch)} samples)",
            e.unit: number(e.units),
            "step": f"{e.step_seconds * 1000:.1f} ms ({number(round(e.units / e.steps / e.step_seconds))} {e.unit}/s)",
            "time": f"{duration(e.seconds)}, without evaluation and samples",
            "checkpoint": size(e.checkpoint_bytes),
            "precision": f"{e.precision}; products in BFloat16 are {_speed(e.bfloat16_speed)} than in Float32 here",
        }
    )


def _speed(ratio: float) -> str:
    return f"{ratio:.1f} times faster" if ratio >= 1 else f"{1 / ratio:.1f} times slower"
