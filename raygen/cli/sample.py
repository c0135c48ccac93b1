"""`raygen sample`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from raygen.cli.jobs import needs_training
from raygen.cli.output import print_result, printable
from raygen.errors import InputError


def run(args: argparse.Namespace) -> int:
    """Prints texts that a run's model writes."""
    _check(args)
    with needs_training():
        from raygen.models.protocol import SampleRequest
        from raygen.train.runs import Run
    prompts = tuple(args.prompt) or ("",)
    request = SampleRequest(
        count=args.count * len(prompts),
        seed=args.seed,
        prompts=prompts,
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
    )
    samples = Run.open(args.run).sample(request, step=args.step, device=args.device)
    texts = [sample.prompt + (sample.text or "") for sample in samples]
    document = {"run": args.run, "request": asdict(request), "samples": [asdict(s) for s in samples]}
    print_result(args, document, "\n---\n".join(printable(text) for text in texts))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Bounds of the options; the same as those of `evaluation.samples` in a job file."""
    rules = {
        "--count": args.count >= 1,
        "--max-tokens": args.max_tokens >= 1,
        "--temperature": 0 <= args.temperature <= 100,
        "--top-k": args.top_k is None or args.top_k >= 1,
        "--top-p": args.top_p is None or 0 < args.top_p <= 1,
        "--min-p": args.min_p is None or 0 < args.min_p <= 1,
        "--repetition-penalty": 1 <= args.repetition_penalty <= 10,
        "--seed": 0 <= args.seed < 2**32,
    }
    wrong = [option for option, holds in rules.items() if not holds]
    if wrong:
        raise InputError(
            f"out of bounds: {', '.join(wrong)}",
            where="raygen sample",
            remedy="Give counts of at least 1, probabilities in (0, 1], a temperature in 0-100,"
            " a penalty in 1-10, a seed from 0.",
        )
