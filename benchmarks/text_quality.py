"""Validation loss after 1,536,000 tokens: nanoGPT, its recipe in raygen, and raygen's own recipe.

    python benchmarks/text_quality.py --nanogpt DIR

Every loss is over the whole validation split; see windows.py. Runs that results/text_quality.json has
already are kept, and those asked for are measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nanogpt
from harness import FOLDER, JOBS, TEXT, THREADS, commit, completed, read_result, spread, write_result
from windows import mean_loss, validation_text

SIDES = {
    "nanogpt-recipe": ("nanogpt-recipe.yaml", ()),
    "nanogpt-recipe-bf16": ("nanogpt-recipe.yaml", ("training.precision=BFloat16",)),
    "best-recipe": ("best-recipe.yaml", ()),
    "best-recipe-bf16": ("best-recipe.yaml", ("training.precision=BFloat16",)),
}
SEEDS = (1337, 1338, 1339)
# Float32 sums in another order: the two computations may differ by this much, in nats.
AGREEMENT = 1e-4


def main() -> None:
    arguments = parse()
    folder = None if arguments.without_nanogpt else nanogpt.check_folder(arguments.nanogpt)
    runs = {(run["side"], run["seed"]): run for run in read_result("text_quality").get("runs", [])}
    for seed in arguments.seeds:
        for side in arguments.sides:
            runs[side, seed] = run_raygen(side, seed)
            write(runs)
        if folder is not None:
            runs["nanogpt", seed] = run_nanogpt(folder, seed)
            write(runs)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    nanogpt.add_argument(parser)
    parser.add_argument("--without-nanogpt", action="store_true", help="measure raygen only")
    parser.add_argument(
        "--sides", nargs="*", choices=SIDES, default=list(SIDES), help="what to train in raygen"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    return parser.parse_args()


def run_raygen(side: str, seed: int) -> dict[str, Any]:
    """Trains a job, then measures the model of its last checkpoint anew."""
    import torch

    import raygen

    torch.set_num_threads(THREADS)
    file, overrides = SIDES[side]
    loaded = raygen.load(JOBS / file, overrides=[*overrides, f"training.seed={seed}"])
    training = loaded.job.spec.training
    with tempfile.TemporaryDirectory(prefix="text-quality-") as output:
        began = time.perf_counter()
        result = completed(raygen.train(loaded.job, base=JOBS, output=output, device="cpu"))
        seconds = time.perf_counter() - began
        run = raygen.Run.open(result.run)
        model = run.family(device="cpu").networks["model"]
        tokens = [int(token) for token in run.vocabulary().encode(validation_text(TEXT))]
        loss = mean_loss(model, tokens)
        if abs(loss - result.metrics["loss"]) > AGREEMENT and training.precision == "Float32":
            sys.exit(f"raygen says {result.metrics['loss']}, the windows of this benchmark say {loss}")
        return {
            "side": side,
            "seed": seed,
            "loss": loss,
            "loss_by_run": result.metrics["loss"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "tokens": result.step * training.global_batch_size * 64,
            "steps": result.step,
            "seconds": round(seconds, 1),
            "threads": THREADS,
            "commit": commit(),
        }


def run_nanogpt(folder: Path, seed: int) -> dict[str, Any]:
    """Trains nanoGPT by its README's command for machines without a GPU."""
    with nanogpt.prepared(folder, seed) as copy:
        began = time.perf_counter()
        log = nanogpt.train(copy, script=(str(FOLDER / "windows.py"),))
        seconds = time.perf_counter() - began
    measured = json.loads(log.output.splitlines()[-1])
    step = max(log.evaluations)
    return {
        "side": "nanogpt",
        "seed": seed,
        "loss": measured["loss"],
        "loss_on_20_batches": log.evaluations[step],
        "parameters": measured["parameters"],
        "tokens": step * 12 * 64,
        "steps": step,
        "seconds": round(seconds, 1),
        "threads": THREADS,
        "sha256": nanogpt.digests(folder),
    }


def write(runs: dict[tuple[str, int], dict[str, Any]]) -> None:
    ordered = [runs[key] for key in sorted(runs)]
    sides = sorted({run["side"] for run in ordered})
    losses = {side: spread([run["loss"] for run in ordered if run["side"] == side]) for side in sides}
    write_result("text_quality", {"unit": "nats per character", "loss": losses, "runs": ordered})


if __name__ == "__main__":
    main()
