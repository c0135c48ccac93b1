"""Digits from a GAN after at most 20 minutes of training, judged by a classifier.

    python benchmarks/gan_quality.py

Trains jobs/gan-mnist.yaml, draws 5,000 images from the averaged generator, and writes beside the result a picture
of the first 100. The classifier (digits.py) and the test images take no part in training.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from typing import Any

import torch
from digits import Classifier, classifier, scaled
from harness import JOBS, THREADS, completed, write_result
from image_data import add_arguments, digits, shortened, verdict
from torch import Tensor

import raygen
from raygen.evaluation.images.features import (
    class_shares,
    mean_confidence,
    near_copy_share,
    nearest_distances,
    neighbourhood,
)
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.models.pictures import grid
from raygen.models.protocol import SampleRequest

SECONDS = 1200
LEAST_SHARE = 0.05
LEAST_CONFIDENCE = 0.93
NEAREST = 0.01
"""Of the test images this share counts as near copies, which sets the distance that makes one."""
BATCH = 500
"""Images that are generated together."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(THREADS)
    judge = classifier(arguments.classifier_seed)
    with tempfile.TemporaryDirectory(prefix="gan-quality-") as output:
        if arguments.run is None:
            training = train(arguments.seed, arguments.steps, output)
            run = raygen.Run.open(training.run)
        else:
            training, run = None, raygen.Run.open(arguments.run)
        samples = generate(run, arguments.samples, arguments.seed)
    document: dict[str, Any] = {
        "seed": arguments.seed,
        "samples": len(samples),
        "threads": THREADS,
        "steps": run.job.spec.training.duration.steps,
        "classifier": {"accuracy": judge.accuracy, "seed": judge.seed},
    } | judged(samples, judge, arguments.seed)
    if training is not None:
        document["must"]["seconds"] = verdict(round(training.seconds, 1), SECONDS)
    path = write_result("gan_quality", document, arguments.out)
    path.with_suffix(".png").write_bytes(grid(samples[:100], 10))
    for name, found in document["must"].items():
        print(f"{'holds' if found['holds'] else 'MISSED':7} {name}: {found['value']:.5g}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, seed=1)
    parser.add_argument("--samples", type=int, default=5000, help="images to judge")
    parser.add_argument("--classifier-seed", type=int, default=0)
    parser.add_argument("--run", metavar="DIR", help="judge this run instead of training; needs --out")
    arguments = parser.parse_args()
    if arguments.run is not None and arguments.out is None:
        parser.error("--run needs --out: what others trained is no result of this benchmark")
    return arguments


def train(seed: int, steps: int | None, output: str) -> raygen.Result:
    """Trains the job."""
    changes = [f"training.seed={seed}", *shortened(steps)]
    loaded = raygen.load(JOBS / "gan-mnist.yaml", overrides=changes)
    return completed(raygen.train(loaded.job, base=JOBS, output=output, device="cpu"))


def generate(run: raygen.Run, count: int, seed: int, step: int | None = None) -> Tensor:
    """Images of a run's generator, uint8 (count, 1, 28, 28)."""
    family, request = run.family(step, device="cpu"), SampleRequest(seed=seed)
    batches = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    images = cropped(torch.cat([family.generate(request, batch)["images"] for batch in batches]))
    if images.shape[1:] != (1, 28, 28):
        sys.exit(f"the generator makes images of {tuple(images.shape[1:])}; the classifier knows (1, 28, 28)")
    return images


def cropped(images: Tensor) -> Tensor:
    """The middle 28x28 pixels of images that were made with a margin."""
    margin = (images.shape[-1] - 28) // 2
    return images[..., margin : margin + 28, margin : margin + 28].contiguous() if margin > 0 else images


def judged(samples: Tensor, judge: Classifier, seed: int) -> dict[str, Any]:
    """All figures of some images."""
    train_set, test_set = digits("train"), digits("test")
    features, probabilities = judge.judge(samples)
    known, _ = judge.judge(train_set.images)
    new, new_probabilities = judge.judge(test_set.images)
    shares = class_shares(probabilities)
    copies = {
        "pixels": near_copies(*(scaled(i).flatten(1) for i in (samples, test_set.images, train_set.images))),
        "features": near_copies(features, new, known),
    }
    count = min(len(features), len(new))
    pixels = copies["pixels"]
    return {
        "must": {
            "least_share_of_a_digit": verdict(float(shares.min()), LEAST_SHARE, least=True),
            "confidence": verdict(mean_confidence(probabilities), LEAST_CONFIDENCE, least=True),
            "near_copies": verdict(pixels["samples"], pixels["test"]),
        },
        "shares": [round(share, 4) for share in shares.tolist()],
        "confidence_on_test_images": mean_confidence(new_probabilities),
        "frechet_distance": distances(features, known, new, seed),
        "neighbourhood": neighbourhood(new[:count], features[:count]).values(),
        "near_copies": copies,
    }


def distances(features: Tensor, known: Tensor, new: Tensor, seed: int) -> dict[str, float]:
    """Distance of the samples from the test images, beside that of training images, and of as many of them."""
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
    test = FeatureSums.of(new)
    return {
        "samples": frechet_distance(FeatureSums.of(features), test).value,
        "as_many_training_images": frechet_distance(
            FeatureSums.of(known[order[: len(features)]]), test
        ).value,
        "10000_training_images": frechet_distance(FeatureSums.of(known[order[: len(new)]]), test).value,
    }


def frechet(run: raygen.Run, step: int, count: int = 2000) -> float:
    """Distance of a checkpoint's images from the test images, for sweeps: less is better."""
    judge = classifier()
    features, _ = judge.judge(generate(run, count, seed=0, step=step))
    known, _ = judge.judge(digits("test").images)
    return frechet_distance(FeatureSums.of(features), FeatureSums.of(known)).value


def near_copies(samples: Tensor, new: Tensor, known: Tensor) -> dict[str, float]:
    """Shares of samples and of test images that lie as near to a training image as few test images do."""
    apart = nearest_distances(new, known)
    threshold = float(apart.quantile(NEAREST))
    return {
        "threshold": threshold,
        "test": near_copy_share(apart, threshold),
        "samples": near_copy_share(nearest_distances(samples, known), threshold),
    }


if __name__ == "__main__":
    main()
