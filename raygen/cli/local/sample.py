"""`raygen sample`."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import print_result, printable
from raygen.errors import InputError

if TYPE_CHECKING:
    from raygen.inference.run import Run
    from raygen.models.protocol import Domain, Sample, SampleRequest
    from raygen.moderation.mitigations import Entry, Exchange, Mitigations

TEXTS, IMAGES = 1, 64
"""How many, if nobody says."""


def run(args: argparse.Namespace) -> int:
    """Prints texts that a run's model writes, or the paths of pictures that it draws and of music that it composes."""
    _check(args)
    with needs_training():
        from raygen.inference.run import Run

        mitigations = _mitigations(args)
    opened = Run.open(args.run)
    if args.classes and not opened.job.spec.model.block.takes_classes:
        raise InputError(
            "the run's model is not told the class",
            where="--class",
            remedy="Leave it out, or train a GAN with conditional: true.",
        )
    request = _request(args, opened.domain())
    if mitigations is not None:
        return _mitigated(args, opened, request, mitigations)
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


def _mitigations(args: argparse.Namespace) -> Mitigations | None:
    """What --template and --policy ask for; None where neither is given."""
    from raygen.moderation.mitigations import Mitigations
    from raygen.moderation.moderator import Moderator
    from raygen.moderation.templates import PromptTemplate

    if args.template is None and args.policy is None:
        return None
    return Mitigations(
        None if args.template is None else PromptTemplate.of_file(args.template),
        None if args.policy is None else Moderator.of_file(args.policy),
    )


def _mitigated(args: argparse.Namespace, run: Run, request: SampleRequest, between: Mitigations) -> int:
    """Texts of which the prompts and the outputs go through a template and a policy."""
    domain = run.domain()
    if getattr(domain, "classes", None) is not None or getattr(domain, "is_of_music", False):
        raise InputError(
            "the run is not of texts",
            where="--policy" if args.template is None else "--template",
            remedy="Leave it out: templates and policies are for texts.",
        )
    entries = [between.enter(prompt) for prompt in request.prompts]
    # Those that may not go on keep their place, so that no sample depends on what is decided about the others.
    request = replace(request, prompts=tuple(entry.asked or "" for entry in entries))
    asks = any(entry.asked is not None for entry in entries)
    samples = run.sample(request, step=args.step, device=args.device) if asks else []
    finished = [one.finished for one in samples] or [None] * request.count
    texts = [one.text for one in samples] or [None] * request.count
    made = [
        _left(between, entries[number % len(entries)], text, end)
        for number, (text, end) in enumerate(zip(texts, finished, strict=True))
    ]
    template, moderator = between.template, between.moderator
    used = {
        "template": template and {"name": template.name, "version": template.version},
        "policy": moderator and {"name": moderator.policy.name, "version": moderator.version},
    }
    for number, (exchange, _) in enumerate(made):
        _tell(number, exchange)
    document = {
        "run": args.run,
        "request": asdict(request),
        **used,
        "samples": [one.document() | {"finished": end, "path": None} | used for one, end in made],
    }
    shown = [_shown(one, between) for one, _ in made]
    print_result(args, document, "\n---\n".join(shown))
    return 0


def _left(
    between: Mitigations, entry: Entry, text: str | None, finished: str | None
) -> tuple[Exchange, str | None]:
    """What comes back for a prompt, and why the text ends; nothing of the latter where the model was not asked."""
    asked = entry.asked is not None
    return between.leave(entry, text if asked else None), finished if asked else None


def _tell(number: int, exchange: Exchange) -> None:
    """Says on stderr what was found in a prompt and in its output, and what was done, without the text."""
    for side, decision in (("prompt", exchange.entry.decision), ("output", exchange.decision)):
        if decision is not None and decision.findings:
            found = ", ".join(f"{one.category} ({len(one.spans)}, {one.action})" for one in decision.findings)
            print(f"sample {number}, {side}: {decision.action}: {found}", file=sys.stderr)


def _shown(exchange: Exchange, between: Mitigations) -> str:
    if exchange.refused:
        return f"{printable(exchange.entry.shown)}\nrefused: {printable(exchange.text or '')}"
    if exchange.text is None:
        return f"{printable(exchange.entry.shown)}\ndropped"
    # Inside a template the text does not go on where the prompt ends.
    joint = "" if between.template is None else "\n"
    return printable(exchange.entry.shown + joint + exchange.text)


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
