"""How well VAEs describe test images: the recipe of pytorch/examples, and the best within 20 minutes.

    python benchmarks/vae_quality.py

- `recipe`: the negative ELBO of all 10,000 test images with grey levels as probabilities.
- `best`: the negative log-likelihood of the first 1,000 test images, black and white by chance, with 5,000
  importance samples each, and its standard error over the images.

Both are computed by vae_bound.py, apart from raygen's own evaluation, which must agree. Sides that the result has
already are kept unless they are asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from typing import Any, cast

import torch
from harness import JOBS, RESULTS, THREADS, commit, completed, write_result
from image_data import add_arguments, digits, shortened, verdict
from vae_bound import binarised, negative_elbo, negative_log_likelihood

import raygen
from raygen.models.vae.family import VAEFamily

LIMITS = {"recipe": 105.6, "best": 88.0}
SECONDS = 1200
DRAWS = 5000
IMAGES = 1000
# One draw of the latents for each of 10,000 images leaves an error of 0.03 nats; two computations differ by less
# than this.
AGREEMENT = 0.2
# The two computations blacken other pixels, which moves each by its own standard error at most, near enough.
STANDARD_ERRORS = 4


def main() -> None:
    arguments = parse()
    torch.set_num_threads(THREADS)
    out = arguments.out or RESULTS / "vae_quality.json"
    kept = json.loads(out.read_text()).get("sides", {}) if out.exists() else {}
    for side in arguments.sides:
        kept[side] = measure_recipe(arguments) if side == "recipe" else measure_best(arguments)
        write_result("vae_quality", {"unit": "nats per image", "sides": kept}, out)
        for name, found in kept[side]["must"].items():
            print(f"{'holds' if found['holds'] else 'MISSED':7} {side}, {name}: {found['value']:.6g}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, seed=1)
    parser.add_argument("--sides", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument(
        "--images", type=int, default=IMAGES, help="test images of the best side's likelihood"
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help="importance samples of each")
    return parser.parse_args()


def measure_recipe(arguments: argparse.Namespace) -> dict[str, Any]:
    """The negative ELBO of 784-400-20 after ten epochs."""
    with tempfile.TemporaryDirectory(prefix="vae-quality-") as output:
        result = train("vae-recipe.yaml", arguments, output)
        family = family_of(result)
        images = digits("test").images.float() / 255
        loss = negative_elbo(family.network.encoder, family.network.decoder, images, arguments.seed)
    own = result.metrics["loss"]
    check_agreement(own, loss, AGREEMENT)
    return facts(result, family, arguments.seed) | {
        "loss_by_run": own,
        "must": {"negative_elbo": verdict(loss, LIMITS["recipe"])},
    }


def measure_best(arguments: argparse.Namespace) -> dict[str, Any]:
    """The importance-sampled likelihood of the best recipe."""
    asked = f"evaluation.metrics[nll].importanceSamples={arguments.draws}"
    chosen = f"evaluation.metrics[nll].images={arguments.images}"
    with tempfile.TemporaryDirectory(prefix="vae-quality-") as output:
        result = train("vae-best.yaml", arguments, output, asked, chosen)
        family = family_of(result)
        images = binarised(digits("test").images[: arguments.images], arguments.seed)
        network = family.network
        value, error = negative_log_likelihood(
            network.encoder, network.decoder, images, arguments.draws, arguments.seed
        )
    own, own_error = result.metrics["nll"], result.metrics["nll_standard_error"]
    check_agreement(own, value, STANDARD_ERRORS * math.hypot(error, own_error))
    return facts(result, family, arguments.seed) | {
        "images": arguments.images,
        "draws": arguments.draws,
        "standard_error": error,
        "nll_by_run": own,
        "standard_error_by_run": own_error,
        "must": {
            "negative_log_likelihood": verdict(value, LIMITS["best"]),
            "seconds": verdict(round(result.seconds, 1), SECONDS),
        },
    }


def train(job: str, arguments: argparse.Namespace, output: str, *changes: str) -> raygen.Result:
    """Trains a job to its end."""
    wanted = [f"training.seed={arguments.seed}", *shortened(arguments.steps), *changes]
    loaded = raygen.load(JOBS / job, overrides=wanted)
    return completed(raygen.train(loaded.job, base=JOBS, output=output, device="cpu"))


def family_of(result: raygen.Result) -> VAEFamily:
    """The trained model."""
    return cast("VAEFamily", raygen.Run.open(result.run).family(device="cpu"))


def check_agreement(own: float, here: float, tolerance: float) -> None:
    """Ends the program if raygen's metric and this benchmark's differ."""
    if abs(own - here) > tolerance:
        sys.exit(
            f"raygen says {own:.4f}, this benchmark {here:.4f}; they should differ by {tolerance:.3f} at most"
        )


def facts(result: raygen.Result, family: VAEFamily, seed: int) -> dict[str, Any]:
    """What was trained, and how long it took."""
    return {
        "seed": seed,
        "steps": result.step,
        "seconds": round(result.seconds, 1),
        "parameters": sum(p.numel() for p in family.network.parameters()),
        "threads": THREADS,
        "commit": commit(),
    }


if __name__ == "__main__":
    main()
