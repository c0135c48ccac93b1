"""A classifier of digits, whose opinion and features judge generated ones.

    python benchmarks/digits.py

Trains in about a minute on two cores and is kept in cache/ beside this file; an equal seed and recipe give it
back. It has seen the training images only; its accuracy is that on the 10,000 test images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from harness import FOLDER, THREADS
from image_data import Digits, digits
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

CACHE = FOLDER / "cache"
ACCURACY = 0.99
FEATURES = 128
RECIPE = {"version": 1, "epochs": 4, "batch": 128, "rate": 2e-3, "shift": 2}


class Network(nn.Module):
    """Three convolutions and two layers; grey images (N, 1, 28, 28) from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64)
        self.maps = nn.Sequential(
            *(
                layer
                for inputs, outputs in pairwise(widths)
                for layer in (
                    nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
            ),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(widths[-1] * 3 * 3, FEATURES)
        self.output = nn.Linear(FEATURES, 10)

    def features(self, images: Tensor) -> Tensor:
        """(N, FEATURES), what the last layer sees."""
        return F.relu(self.hidden(self.maps(images)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, 10)."""
        logits: Tensor = self.output(self.features(images))
        return logits


@dataclass(frozen=True)
class Classifier:
    """A trained network.

    Attributes:
        network: In evaluation mode.
        accuracy: Share of the test images that it gets right.
        seed: Of its training.
    """

    network: Network
    accuracy: float
    seed: int

    @torch.inference_mode()
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, FEATURES) and probabilities (N, 10) of images, uint8 (N, 1, 28, 28)."""
        parts = [self.network.features(scaled(part)) for part in images.split(1000)]
        features = torch.cat(parts)
        return features, self.network.output(features).softmax(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=CACHE, metavar="DIR", help="where to keep it")
    arguments = parser.parse_args()
    found = classifier(arguments.seed, arguments.out)
    print(f"accuracy {found.accuracy:.4f} on the test images, seed {found.seed}")


def classifier(seed: int = 0, folder: Path = CACHE) -> Classifier:
    """The classifier from the cache, or trained now; ends the program if it is too bad to judge."""
    path = folder / f"digits-{seed}.safetensors"
    network = Network()
    if path.exists():
        with safe_open(path, "pt") as file:
            kept = json.loads((file.metadata() or {}).get("record", "{}"))
        if kept.get("recipe") == RECIPE:
            network.load_state_dict(load_file(path))
            return Classifier(network.eval(), kept["accuracy"], seed)
    began = time.perf_counter()
    trained = train(network, seed)
    print(f"trained a classifier of accuracy {trained.accuracy:.4f} in {time.perf_counter() - began:.0f} s")
    if trained.accuracy < ACCURACY:
        sys.exit(f"the classifier gets {trained.accuracy:.2%} right; less than {ACCURACY:.0%} cannot judge")
    folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps({"recipe": RECIPE, "accuracy": trained.accuracy, "seed": seed})
    save_file(network.state_dict(), path, {"record": record})
    return trained


def train(network: Network, seed: int) -> Classifier:
    """Trains on the training images, shifted at random."""
    torch.set_num_threads(THREADS)
    known = digits("train")
    epochs, batch = int(RECIPE["epochs"]), int(RECIPE["batch"])
    torch.manual_seed(seed)
    network.load_state_dict(Network().state_dict())
    network.to(memory_format=torch.channels_last).train()
    steps = epochs * (len(known.images) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RECIPE["rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RECIPE["rate"], total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(known.images))
        for chosen in order[: len(order) // batch * batch].split(batch):
            images = shifted(scaled(known.images[chosen]), int(RECIPE["shift"]))
            loss = F.cross_entropy(network(images), known.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.to(memory_format=torch.contiguous_format).eval()
    return Classifier(network, accuracy(network, digits("test")), seed)


@torch.inference_mode()
def accuracy(network: nn.Module, known: Digits) -> float:
    """Share of the images that a network gets right."""
    parts = zip(known.images.split(1000), known.labels.split(1000), strict=True)
    right = sum(int((network(scaled(images)).argmax(dim=1) == labels).sum()) for images, labels in parts)
    return right / len(known.images)


def scaled(images: Tensor) -> Tensor:
    """Levels from 0 to 1."""
    return images.float().div_(255)


def shifted(images: Tensor, most: int) -> Tensor:
    """All images moved by the same few pixels, black coming in."""
    down, right = (int(torch.randint(2 * most + 1, ())) for _ in range(2))
    padded = F.pad(images, (most,) * 4)
    height, width = images.shape[2:]
    return padded[:, :, down : down + height, right : right + width]


if __name__ == "__main__":
    main()
