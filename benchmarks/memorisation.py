"""Whether copies of training images are found, and no other failure of a model is taken for them.

    python benchmarks/memorisation.py                                    # 10,000 training images
    python benchmarks/memorisation.py --training 2000 --samples 100      # a trial
    python benchmarks/memorisation.py --whole                            # seconds and memory for 60,000 and 5,000 images too

"Models" are made by script from MNIST's test images, which no training image is among: as they are, blurred, noisy, averaged, of a few classes or the
typical ones alone; and from training images that are copied under each corruption. Beside raygen stand AuthPct (Alaa et al. 2022, section 3.3) and the
C_T test (Meehan et al. 2020, section 3, with one cell), on the same pixels; their alarm is a |z| of 3 beside that of the real images.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from harness import THREADS, write_result
from image_data import Digits, digits
from torch import Tensor
from torch.nn import functional as F

from raygen.evaluation.images.features import nearest_distances
from raygen.evaluation.memorisation import Copies, CopyFinder, find_copies
from raygen.evaluation.memorisation.copies import verdict
from raygen.evaluation.memorisation.pixels import blurred

MUST = {"found": 0.99, "false_alarms": 0.01}
REQUIRED = ("same", "mirrored", "crop 26 of 28", "blur 0.7", "noise 0.1", "brightness 0.8 + 0.1")
"""Corruptions of copies that must be found."""
PLANTED = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", type=int, default=10_000, help="images (default: 10,000)")
    parser.add_argument("--held-out", type=int, default=3000, help="images (default: 3,000)")
    parser.add_argument("--samples", type=int, default=1000, help="of the honest model (default: 1,000)")
    parser.add_argument("--whole", action="store_true", help="time 60,000 training images too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the figures go (default: results/)")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.manual_seed(arguments.seed)
    training = digits("train").some(arguments.training, arguments.seed).images
    real = digits("test").some(10_000, arguments.seed)
    held_out, rest = real.images[: arguments.held_out], slice(arguments.held_out, None)
    others = Digits(real.images[rest], real.labels[rest])
    finder, peers = CopyFinder(training, held_out), Peers(training, held_out)
    document: dict[str, Any] = {
        "seed": arguments.seed,
        "threads": THREADS,
        "training": len(training),
        "held_out": len(held_out),
        "rate": 0.01,
        "must": MUST,
        "required": REQUIRED,
    }
    honest = finder.find(others.images[: arguments.samples])
    document["honest"] = {}
    for name, images in models(others, arguments.samples).items():
        document["honest"][name] = summary(finder.find(images)) | peers.say(images)
        print(name, document["honest"][name], flush=True)
    document["copies"] = {}
    for name, (images, source) in copies(training, max(arguments.samples // 3, 20)).items():
        found = finder.find(images)
        mixed, planted = mixture(honest, found, len(held_out))
        whole = torch.cat([others.images[: len(honest.nearest) - planted], images[:planted]])
        document["copies"][name] = {
            "found": float((found.flagged & (found.nearest == source)).double().mean()),
            "source_nearest": float((found.nearest == source).double().mean()),
            "at_1_percent": summary(mixed) | peers.say(whole),
        }
        print(name, document["copies"][name], flush=True)
    write_result("memorisation", document, arguments.out)
    if arguments.whole:
        write_result("memorisation", {**document, "whole": whole_set()}, arguments.out)


def models(real: Digits, count: int) -> dict[str, Tensor]:
    """Samples of models that copy nothing, uint8 (M, 1, 28, 28)."""
    images, labels = real.images, real.labels
    soft, few = images[:count].float() / 255, count // 2
    means = torch.stack([images[labels == label].float().mean(dim=0) for label in range(10)])
    away = (images.float() - means[labels]).flatten(1).norm(dim=1)
    typical = torch.cat(
        [
            (labels == label).nonzero()[:, 0][away[labels == label].argsort()[: count // 20]]
            for label in range(10)
        ]
    )
    flat = soft.flatten(1)
    near = torch.cdist(flat[:few], flat).topk(4, largest=False).indices
    return {
        "real images": images[:count],
        "3 of 10 classes": images[labels < 3][:count],
        "1 of 10 classes": images[labels == 1][:count],
        "the most typical of each class": images[typical],
        "10 images again and again": images[:10].repeat(few // 10, 1, 1, 1),
        "blur 0.7": levels(blurred(soft[:few], 0.7)),
        "blur 1": levels(blurred(soft[:few], 1.0)),
        "blur 2": levels(blurred(soft[:few], 2.0)),
        "noise 0.1": noisy(soft[:few], 0.1),
        "noise 0.3": noisy(soft[:few], 0.3),
        "averages of 2 neighbours": levels(soft[near[:, :2]].mean(dim=1)),
        "averages of 4 neighbours": levels(soft[near].mean(dim=1)),
    }


def copies(training: Tensor, count: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Copies of training images by corruption, uint8 (M, 1, 28, 28), and of which images, (M,)."""
    source = torch.randperm(len(training))[:count]
    soft = training[source].float() / 255
    made = {
        "same": levels(soft),
        "mirrored": levels(soft.flip(-1)),
        "brightness 0.8 + 0.1": levels(0.8 * soft + 0.1),
        "brightness 0.4 + 0.3": levels(0.4 * soft + 0.3),
        "moved by 2 and 2": levels(soft.roll((2, -2), (-1, -2))),
        **{f"crop {side} of 28": levels(cropped(soft, side)) for side in (26, 24, 22, 20)},
        **{f"blur {sigma:g}": levels(blurred(soft, sigma)) for sigma in (0.5, 0.7, 1.0, 1.5, 2.0)},
        **{f"noise {sigma:g}": noisy(soft, sigma) for sigma in (0.05, 0.1, 0.15, 0.2, 0.3)},
        "mirrored, crop 26, noise 0.1": noisy(cropped(soft.flip(-1), 26), 0.1),
    }
    return {name: (images, source) for name, images in made.items()}


def levels(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def noisy(images: Tensor, sigma: float) -> Tensor:
    return levels(images + sigma * torch.randn(images.shape))


def cropped(images: Tensor, side: int) -> Tensor:
    """A part of each image somewhere, as large as the whole."""
    corners = torch.randint(images.shape[-1] - side + 1, (len(images), 2)).tolist()
    cut = torch.stack(
        [
            image[:, top : top + side, left : left + side]
            for image, (top, left) in zip(images, corners, strict=True)
        ]
    )
    return F.interpolate(cut, size=images.shape[-2:], mode="bilinear", align_corners=False)


def mixture(honest: Copies, found: Copies, held_out: int) -> tuple[Copies, int]:
    """The honest model with 1 % of its samples replaced by copies; p-values are those of each sample, whatever it is among."""
    planted = max(1, round(PLANTED * len(honest.nearest)))
    rest = len(honest.nearest) - planted
    joined = [
        torch.cat([getattr(honest, name)[:rest], getattr(found, name)[:planted]])
        for name in ("nearest", "distance", "p_value")
    ]
    return verdict(joined[0], joined[1], joined[2], held_out), planted


def summary(found: Copies) -> dict[str, Any]:
    return {
        "flagged": found.share,
        "interval": [found.low, found.high],
        "suspects": found.suspects,
        "alarm_p": found.alarm_p_value,
        "alarm": found.alarm,
    }


class Peers:
    """AuthPct and C_T of samples, on pixels."""

    def __init__(self, training: Tensor, held_out: Tensor) -> None:
        self.training = training.flatten(1).float()
        self.real = nearest_distances(held_out.flatten(1).float(), self.training)
        self.own = torch.cat(
            [
                torch.cdist(part, self.training).kthvalue(2, dim=1).values
                for part in torch.split(self.training, 1000)
            ]
        ).double()
        self.authentic = self._authentic(held_out)

    def _authentic(self, images: Tensor) -> Tensor:
        parts = [
            torch.cdist(part, self.training).min(dim=1)
            for part in torch.split(images.flatten(1).float(), 1000)
        ]
        return torch.cat([near.values > self.own[near.indices] for near in parts])

    def say(self, images: Tensor) -> dict[str, float | bool]:
        """Share of authentic samples, C_T, and whether each is 3 deviations lower than real images have."""
        authentic = self._authentic(images).double()
        a, b, n, m = (
            float(authentic.mean()),
            float(self.authentic.double().mean()),
            len(images),
            len(self.authentic),
        )
        both = (a * n + b * m) / (n + m)
        z = (a - b) / math.sqrt(both * (1 - both) * (1 / n + 1 / m))
        distances = nearest_distances(images.flatten(1).float(), self.training)
        above = torch.searchsorted(self.real.sort().values, distances).double()
        level = torch.searchsorted(self.real.sort().values, distances, right=True).double()
        u = float(((above + level) / 2).sum())
        c_t = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
        return {"authpct": a, "authpct_alarm": z < -3, "c_t": c_t, "c_t_alarm": c_t < -3}


def whole_set() -> dict[str, float]:
    """Seconds and MiB beyond the images for all of MNIST: 60,000 training images, 5,000 held-out, 5,000 samples."""
    training, real = digits("train").images, digits("test").images
    before = psutil.Process().memory_info().rss
    began, used = time.perf_counter(), time.process_time()
    find_copies(real[5000:], training, real[:5000])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - used,
        "memory_mib": round(max(peak - before, 0) / 2**20, 1),
    }


if __name__ == "__main__":
    main()
