"""`raygen sample`."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result, printable
from raygen.errors import InputError

if TYPE_CHECKING:
    from raygen.inference.run import Run
    from raygen.models.protocol import Domain, Sample, SampleRequest

TEXTS, IMAGES = 1, 64
"""How many, if nobody says."""


def run(args: argparse.Namespace) -> int:
    """Prints texts that a run's model writes, or the paths of pictures that it draws and of music that it composes."""
    _check(args)
    with needs_training():
        from raygen.inference.run import Run
    opened = Run.open(args.run)
    if args.classes and not opened.job.spec.model.block.takes_classes:
        raise InputError(
            "the run's model is not told the class",
            where="--class",
            remedy="Leave it out, or train a GAN with conditional: true.",
        )
    request = _request(args, opened.domain())
    samples = opened.sample(request, step=args.step, device=args.device)
    paths = _write(args, opened, samples)
    made = [
        {"prompt": one.prompt, "text": one.text, "finished": one.finished, "path": path}
        for one, path in zip(samples, paths, strict=True)
    ]
    shown = [
        path or printable(one.prompt + (one.text or "")) for one, path in zip(samples, paths, strict=True)
    ]
    between = "\n---\n" if any(one.text is not None for one in samples) else "\n"
    print_result(args, {"run": args.run, "request": asdict(request), "samples": made}, between.join(shown))
    return 0


def _request(args: argparse.Namespace, domain: Domain) -> SampleRequest:
    from raygen.models.protocol import SampleRequest

    prompts = tuple(args.prompt)
    names: tuple[str, ...] | None = getattr(domain, "classes", None)
    if prompts and names is not None:
        raise InputError(
            "the run is of images, which have no prompt",
            where="--prompt",
            remedy="Leave it out; see --class.",
        )
    unknown = [name for name in args.classes if name not in (names or ())]
    if unknown:
        there = f"There are {', '.join(names)}." if names else "Leave it out: the run's data has no classes."
        raise InputError(f"there is no class {unknown[0]!r}", where="--class", remedy=there)
    count = args.count or (TEXTS if names is None else IMAGES)
    return SampleRequest(
        count=count * max(len(prompts), 1),
        seed=args.seed,
        prompts=prompts or ("",),
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
        ignore_end_of_text=args.ignore_end_of_text,
        labels=tuple((names or ()).index(name) for name in args.classes),
    )


def _write(args: argparse.Namespace, run: Run, samples: list[Sample]) -> list[str | None]:
    """Writes pictures and music, each under a name of what it shows; None for texts."""
    from raygen.storage import open_storage

    storage = open_storage(args.to) if args.to else run.directory.storage.within("generated")
    paths: list[str | None] = []
    for number, sample in enumerate(samples):
        content = sample.midi if sample.png is None else sample.png
        if content is None:
            paths.append(None)
            continue
        kind, ending = ("image", ".png") if sample.midi is None else ("music", ".mid")
        marks = [f"step-{args.step}"] if args.step is not None else []
        # Of pictures the prompt is what they show, and each shows something else.
        name = (sample.png and sample.prompt[:40]) or f"{kind}-{number}"
        words = [name, *marks, f"seed-{args.seed}", *args.classes]
        key = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(words)).strip("-") + ending
        storage.write(key, content)
        paths.append(f"{storage.uri}/{key}" if not args.to else str(Path(args.to, key)))
    return paths


def _check(args: argparse.Namespace) -> None:
    """Bounds of the options; the same as those of `evaluation.samples` in a job file."""
    rules = {
        "--count": args.count is None or args.count >= 1,
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
