"""raygen on a CUDA device: speed beside a bare loop, use of the matrix units, images, a checkpoint's wait, an example.

    python benchmarks/cuda_speed.py

Trains jobs/gpt-124m.yaml, compiled. raygen and bare loops alternate every ten steps in one process, as in text_speed.py;
the bare loops are compiled too, their tokens are on the device, and the second of them runs with the settings under which
equal steps give equal bits (raygen.compute.arithmetic), which the first does without.

The use of the matrix units is by PaLM's formula (Chowdhery et al. 2022, appendix B), 6N + 12LHQT operations per token, as a
share of the throughput of large products in BFloat16 measured here, and of what the data sheet promises.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from checkpoint_cost import LIMIT, Times, timed
from harness import JOBS, ROOT, TEXT, completed, spread, write_result
from image_data import verdict
from image_peers import Watch
from text_speed import BLOCK, Clock, bare_loop, run

import raygen
from raygen.compute.arithmetic import repeatable
from raygen.data.text.tokenizers import train_tokenizer
from raygen.training.observers.events import Progress, Started

JOB = "gpt-124m.yaml"
LEAST_RATIO, LEAST_USE = 0.97, 0.4
SHEET_TFLOPS = {"NVIDIA H100 80GB HBM3": 989.0}
"""Dense products in BFloat16 by the maker's data sheet, 10^12 operations per second."""
SAVE_EVERY = 50
FLOAT32_STEPS = 40
# Small enough for a CPU, to try this script.
TRIAL = (
    "model.transformer.layers=2",
    "model.transformer.heads=2",
    "model.transformer.hiddenSize=64",
    "model.transformer.contextLength=64",
    "model.transformer.feedForwardSize=128",
    "data.tokenizer.vocabularySize=400",
    "training.globalBatchSize=4",
)


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        device: Where.
        trial: Whether sizes are small.
        steps: Measured steps of each side.
        warmup: Steps before them.
    """

    device: torch.device
    trial: bool
    steps: int
    warmup: int

    def job(self, *changes: str, name: str = JOB) -> raygen.TrainingJob:
        """A job with changes; a trial's sizes are small."""
        small = TRIAL if self.trial and name == JOB else ()
        return raygen.load(JOBS / name, overrides=[*small, *changes]).job

    def train(self, job: raygen.TrainingJob, observer: Any, base: Path = JOBS) -> raygen.Result:
        """Trains it into a folder that is deleted afterwards."""
        with tempfile.TemporaryDirectory(prefix="cuda-speed-") as output:
            return completed(
                raygen.train(job, base=base, output=output, device=self.device.type, observer=observer)
            )

    def wait(self) -> None:
        """Waits until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    arguments = parse()
    setting = Setting(
        torch.device(arguments.device), arguments.device != "cuda", arguments.steps, arguments.warmup
    )
    products = matmul(setting)
    document: dict[str, Any] = {"steps": arguments.steps, "products": products}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "gpt": lambda: gpt(setting, products),
        "checkpoint": lambda: checkpoint(setting),
        "example": lambda: example(setting),
        "images": lambda: images(setting),
    }
    for name in arguments.parts or parts:
        began = time.perf_counter()
        document[name] = parts[name]()
        print(f"{name}, {time.perf_counter() - began:.0f} s: {document[name]}", flush=True)
        # After each part, since time on a GPU may end before the last one.
        write_result("cuda_speed", document, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cpu tries this script with small sizes")
    parser.add_argument("--steps", type=int, default=200, help="measured steps of each side")
    parser.add_argument("--warmup", type=int, default=30, help="steps before them")
    parser.add_argument("--parts", nargs="*", choices=("gpt", "checkpoint", "images", "example"))
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write the result (default: results/)"
    )
    return parser.parse_args()


def matmul(setting: Setting) -> dict[str, float]:
    """10^12 operations per second of square products: the best of several sizes, each the median of 20."""
    found = {}
    kinds = {"BFloat16": torch.bfloat16, "Float32": torch.float32}
    for name, kind in kinds.items():
        best = 0.0
        for size in (256,) if setting.trial else (4096, 8192, 16384):
            left, right = (torch.randn(size, size, device=setting.device).to(kind) for _ in range(2))
            with repeatable(setting.device):
                times = []
                for _ in range(23):
                    setting.wait()
                    began = time.perf_counter()
                    torch.mm(left, right)
                    setting.wait()
                    times.append(time.perf_counter() - began)
            best = max(best, 2 * size**3 / statistics.median(times[3:]) / 1e12)
        found[name] = best
    return found


class Sized(Clock):
    """The clock, which keeps how much is trained and on what.

    Attributes:
        plan: What was about to run.
    """

    plan: Started

    def blocks(self) -> list[float]:
        """Seconds of every block of raygen."""
        return self._own

    def started(self, plan: Started) -> None:
        """Training is about to begin."""
        self.plan = plan


def gpt(setting: Setting, products: dict[str, float]) -> dict[str, Any]:
    """The GPT: tokens per second of both sides, their ratio, the use of the matrix units, and Float32."""
    job = setting.job(f"training.duration.steps={setting.warmup + setting.steps}")
    text = tokens_of(job)
    architecture, training = job.spec.model.transformer, job.spec.training
    assert architecture is not None
    tokens = BLOCK * training.global_batch_size * architecture.context_length
    bare = Bare(setting, job, text)
    clock = Sized(setting.warmup, between=bare.turns)
    setting.train(job, clock)
    taken = {"raygen": clock.blocks(), **bare.blocks(setting.warmup)}
    sides = {name: [tokens / seconds for seconds in blocks] for name, blocks in taken.items()}
    print({name: round(statistics.median(values)) for name, values in sides.items()}, flush=True)
    single = Clock(setting.warmup)
    some = f"training.duration.steps={setting.warmup + min(setting.steps, FLOAT32_STEPS)}"
    setting.train(setting.job("training.precision=Float32", some), single)
    per_token = 6 * clock.plan.parameters + 12 * architecture.layers * architecture.hidden_size * (
        architecture.context_length
    )
    reached = statistics.median(sides["raygen"]) * per_token / 1e12
    in_float32 = tokens / single.own()
    ratios = {
        name: spread([a / b for a, b in zip(sides["raygen"], sides[name], strict=True)])
        for name in ("bare_loop", "bare_loop_repeatable")
    }
    slower = zip(sides["bare_loop"], sides["bare_loop_repeatable"], strict=True)
    device = clock.plan.device
    found: dict[str, Any] = {
        "parameters": clock.plan.parameters,
        "tokens_of_a_step": tokens // BLOCK,
        "operations_of_a_token": per_token,
        "tokens_per_second": {name: spread(values) for name, values in sides.items()},
        "ratios": ratios,
        "cost_of_repeatability": spread([a / b - 1 for a, b in slower]),
        "float32": {
            "tokens_per_second": in_float32,
            "bfloat16_to_float32": statistics.median(sides["raygen"]) / in_float32,
        },
        "tflops": reached,
        "use_of_measured": reached / products["BFloat16"],
        "must": {
            "ratio": verdict(ratios["bare_loop_repeatable"]["median"], LEAST_RATIO, least=True),
            "ratio_to_default_settings": verdict(ratios["bare_loop"]["median"], LEAST_RATIO, least=True),
        },
    }
    if device in SHEET_TFLOPS:
        use = reached / SHEET_TFLOPS[device]
        found |= {"sheet_tflops": SHEET_TFLOPS[device], "use_of_sheet": use}
        found["must"]["use"] = verdict(use, LEAST_USE, least=True)
    return found


class Bare:
    """Two bare loops, one with PyTorch's own settings and one under which equal steps give equal bits."""

    def __init__(self, setting: Setting, job: raygen.TrainingJob, text: tuple[torch.Tensor, int]) -> None:
        self._setting = setting
        self._free, self._exact = (
            bare_loop(job, text, device=setting.device, compiled=True, apart=apart) for apart in (False, True)
        )
        self._times: list[tuple[float, float]] = []

    def turns(self) -> None:
        """Ten steps of each."""
        began = time.perf_counter()
        run(self._free, BLOCK)
        self._setting.wait()
        between = time.perf_counter()
        with repeatable(self._setting.device):
            run(self._exact, BLOCK)
            self._setting.wait()
        self._times.append((between - began, time.perf_counter() - between))

    def blocks(self, warmup: int) -> dict[str, list[float]]:
        """Seconds of every ten steps of each, without the warm-up."""
        free, exact = zip(*self._times[warmup // BLOCK :], strict=True)
        return {"bare_loop": list(free), "bare_loop_repeatable": list(exact)}


def tokens_of(job: raygen.TrainingJob) -> tuple[torch.Tensor, int]:
    """The first nine tenths of tinyshakespeare in the job's tokens, and how many kinds there are."""
    text = TEXT.read_text()
    assert job.spec.data.tokenizer is not None
    text = text[: int(len(text) * 0.9)]
    tokenizer = train_tokenizer(job.spec.data.tokenizer, [text])
    return torch.from_numpy(tokenizer.encode(text)).long(), tokenizer.size


class Window(Sized):
    """The clock of a stretch of steps.

    Attributes:
        marks: When each tenth step was read.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self.marks: dict[int, float] = {}

    def progressed(self, progress: Progress) -> None:
        """Ten more steps are done."""
        self.marks[progress.step] = time.perf_counter()


def checkpoint(setting: Setting) -> dict[str, Any]:
    """What training waits for checkpoints every 50 steps, after the first 50, in which code is compiled."""
    times, window = Times(), Window()
    steps = 3 * SAVE_EVERY
    job = setting.job(f"training.duration.steps={steps}", f"checkpoint.everySteps={SAVE_EVERY}")
    with timed(times):
        setting.train(job, window)
    seconds = window.marks[steps] - window.marks[SAVE_EVERY]
    # The last call comes after the last mark.
    calls = times.calls[:-1]
    return {
        "every_steps": SAVE_EVERY,
        "milliseconds_of_a_call": spread([call * 1e3 for call in calls]),
        "share_of_loop_waiting": sum(calls) / seconds,
        "milliseconds_of_a_step": seconds / (steps - SAVE_EVERY) * 1e3,
        "must": {"share_of_loop_waiting": verdict(sum(calls) / seconds, LIMIT)},
    }


def images(setting: Setting) -> dict[str, Any]:
    """Images per second of a DCGAN and a VAE, compiled and not."""
    found = {}
    for name in ("dcgan-speed", "vae-recipe"):
        for label, mode in (("compiled", "Always"), ("plain", "Never")):
            duration = f"training.duration={{steps: {setting.warmup + setting.steps}}}"
            changes = (duration, f"training.compile={mode}", "evaluation.metrics=[]")
            job = setting.job(*changes, name=f"{name}.yaml")
            clock = Watch(setting.warmup)
            setting.train(job, clock)
            found[f"{name}, {label}"] = BLOCK * job.spec.training.global_batch_size / clock.own()
    return {"per_second": found}


def example(setting: Setting) -> dict[str, Any]:
    """Seconds and validation loss of the first example."""
    path = ROOT / "examples" / "01-gpt-tiny.yaml"
    changes = ["training.duration.steps=20"] if setting.trial else []
    result = setting.train(raygen.load(path, overrides=changes).job, Sized(0), path.parent)
    return {"name": path.name, "seconds": result.seconds, "validation_loss": result.metrics["loss"]}


if __name__ == "__main__":
    main()
