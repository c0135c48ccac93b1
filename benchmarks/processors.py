"""The examples' defaults beside their alternatives, on this processor and on an imitated one with AVX2 alone.

    python benchmarks/processors.py

Jobs of a group train in turns of half a second, each in a process of its own; a ratio is taken within a round. With --runs
it is whole runs of the first example instead: its loss with raygen's Muon and with PyTorch's, and the time of
`make demo` after installation.

How far the imitation goes: PyTorch's own kernels and oneDNN are held to AVX2 by their variables, and MKL by its own, which
it heeds on Intel's processors; on AMD's it uses AVX2 by itself. Clock, caches and width of the units stay this
processor's, and so does what PyTorch says of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from harness import AVX2, ROOT, THREADS, executable, spread, write_result
from turns import Side, ratios, take_turns

KINDS: dict[str, dict[str, str]] = {"this processor": {}, "AVX2 alone": AVX2}
GPT, VAE, GAN = (f"examples/{name}.yaml" for name in ("01-gpt-tiny", "02-vae-mnist", "03-gan-mnist"))
ADAMW = "training.optimizer={type: AdamW, learningRate: 3e-3, weightDecay: 0.1, betas: [0.9, 0.99]}"
CONVOLUTIONS = "model.vae={network: ConvResidual, channels: [32, 64], latentSize: 20, likelihood: Bernoulli}"
HALF = "training.precision=BFloat16"
GROUPS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "GPT, optimizer": (GPT, {"Muon": [], "AdamW": [ADAMW], "torch.optim.Muon": ["--torch-muon"]}),
    "GPT, precision": (GPT, {"Float32": [], "BFloat16": [HALF]}),
    "VAE, precision": (VAE, {"Float32": [], "BFloat16": [HALF]}),
    "GAN, precision": (GAN, {"Float32": [], "BFloat16": [HALF]}),
    "GAN, layout": (GAN, {"channels_last": [], "contiguous": ["--layout", "contiguous"]}),
    "convolutional VAE, layout": (
        VAE,
        {"contiguous": [CONVOLUTIONS], "channels_last": [CONVOLUTIONS, "--layout", "channels_last"]},
    ),
}
"""Sides of each group; the first is the default."""
MUST = {"muon_to_adamw": 0.85, "demo_seconds": 240, "loss_difference": 0.02}
LOSS = 1.5698
"""Of the first example with PyTorch's Muon, in README.md's run."""
RUN_WITH_TORCH = (
    "import raygen.training.optimizers.updates as updates, torch, sys; updates.Muon = torch.optim.Muon;"
    " from raygen.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--groups", nargs="*", choices=tuple(GROUPS), default=list(GROUPS))
    parser.add_argument("--runs", action="store_true", help="whole runs instead, of some minutes each")
    parser.add_argument("--limit", action="store_true", help="print what Muon's products take, and no more")
    parser.add_argument("--out", help="where the result goes (default: results/)")
    arguments = parser.parse_args()
    if arguments.limit:
        print(json.dumps(limit()))
        return
    document: dict[str, Any] = {"threads": THREADS, "imitation": AVX2, "must": MUST}
    name = "processors_runs" if arguments.runs else "processors"
    if arguments.runs:
        document |= {"runs": runs(), "readme_loss": LOSS}
    else:
        document["groups"] = {
            name: {kind: group(name, kind, arguments.rounds) for kind in KINDS} for name in arguments.groups
        }
        document["muon_products"] = {kind: limited(kind) for kind in KINDS}
    write_result(name, document, arguments.out and ROOT / arguments.out)


def group(name: str, kind: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of a step of each side, and the default's speed over each alternative's."""
    job, options = GROUPS[name]
    environment = KINDS[kind] | {"OMP_NUM_THREADS": str(THREADS)}
    sides = {side: Side(job, more, environment) for side, more in options.items()}
    turns = take_turns(sides, rounds)
    default, *others = sides
    document: dict[str, Any] = {
        "milliseconds": {side: spread([t.seconds * 1000 for t in taken]) for side, taken in turns.items()},
        "default_to": {other: ratios(turns, default, other) for other in others},
        "cores_used_by_others": spread([turn.others for taken in turns.values() for turn in taken])["median"],
    }
    shown = {other: round(ratio["median"], 3) for other, ratio in document["default_to"].items()}
    print(f"{name}, {kind}: {default} to {shown}", flush=True)
    return document


def limit() -> dict[str, float]:
    """What the matrix products of Muon in the first example take at the speed that a large product has here."""
    import raygen  # isort: skip (before torch, as in every command)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from raygen.data.readers import open_data
    from raygen.models.registry import build_family
    from raygen.parallel.whole import SingleWorker
    from raygen.spec import resolve
    from raygen.training.optimizers.muon import orthogonalise
    from raygen.training.optimizers.updates import make_updates

    torch.set_num_threads(THREADS)
    loaded = raygen.load(ROOT / GPT)
    job = resolve(loaded.job)
    family = build_family(job, open_data(job, loaded.path.parent, {}).domain, torch.device("cpu"))
    updates = make_updates(family, job.spec.training, 1, SingleWorker())
    (matrices,) = updates["model"].optimizers["matrices"].param_groups
    with FlopCounterMode(display=False) as counted:
        for matrix in matrices["params"]:
            orthogonalise(matrix.detach()[None], torch.float32)
    large, best = torch.randn(2048, 2048), float("inf")
    for _ in range(9):
        began = time.perf_counter()
        large @ large
        best = min(best, time.perf_counter() - began)
    speed = 2 * 2048**3 / best
    work = counted.get_total_flops()
    return {"gflop": work / 1e9, "gflops_per_second": speed / 1e9, "milliseconds": work / speed * 1000}


def limited(kind: str) -> dict[str, float]:
    """The same on a kind of processor."""
    done = subprocess.run(
        [sys.executable, __file__, "--limit"],
        env={**os.environ, **KINDS[kind], "OMP_NUM_THREADS": str(THREADS)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    print(f"Muon's products, {kind}: {found}", flush=True)
    return found


def runs() -> dict[str, Any]:
    """Loss and wall time of the first example as a whole, one run after the other."""
    command = [executable("raygen")]
    by_torch = [sys.executable, "-c", RUN_WITH_TORCH]
    return {
        "Muon, AVX2 alone": whole_run(command, AVX2),
        "Muon, this processor": whole_run(command, {}),
        "torch.optim.Muon, this processor": whole_run(by_torch, {}),
    }


def whole_run(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """What `make demo` runs when everything is installed."""
    with tempfile.TemporaryDirectory(prefix="processors-") as output:
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "train", GPT, "--output", output],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"^loss +([\d.]+)", done.stdout, re.MULTILINE)
    assert found is not None
    result = {"loss": float(found[1]), "seconds": round(time.perf_counter() - began, 1)}
    print(result, flush=True)
    return result


if __name__ == "__main__":
    main()
