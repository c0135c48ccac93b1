"""Runs karpathy/nanoGPT, unmodified but for its seed, where the reader has a copy of it.

Its code is no part of this repository. Every run works on a temporary copy of its folder, with its data
set prepared by its own script from this repository's text.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import TEXT, environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COMMIT = "3adf61e"
FILES = (
    "model.py",
    "train.py",
    "configurator.py",
    "config/train_shakespeare_char.py",
    "data/shakespeare_char/prepare.py",
)
# The command that nanoGPT's README gives for a machine without a GPU.
RECIPE = (
    "config/train_shakespeare_char.py",
    "--device=cpu",
    "--compile=False",
    "--eval_iters=20",
    "--log_interval=1",
    "--block_size=64",
    "--batch_size=12",
    "--n_layer=4",
    "--n_head=4",
    "--n_embd=128",
    "--max_iters=2000",
    "--lr_decay_iters=2000",
    "--dropout=0.0",
)
SEED_IN_TRAIN = "torch.manual_seed(1337 "

_ITERATION = re.compile(r"^iter (\d+): loss ([\d.]+), time ([\d.]+)ms", re.MULTILINE)
_EVALUATION = re.compile(r"^step (\d+): train loss [\d.]+, val loss ([\d.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Log:
    """What nanoGPT printed.

    Attributes:
        milliseconds: Of every iteration, from 0; the first is long, since it evaluates.
        losses: Training loss of every iteration.
        evaluations: Its own estimate of the validation loss, by iteration.
        output: Everything that it printed.
    """

    milliseconds: list[float]
    losses: list[float]
    evaluations: dict[int, float]
    output: str


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --nanogpt."""
    parser.add_argument(
        "--nanogpt",
        type=Path,
        default=os.environ.get("NANOGPT"),
        metavar="DIR",
        help=f"a clone of github.com/karpathy/nanoGPT at {COMMIT} (default: the environment's NANOGPT)",
    )


def check_folder(folder: Path | None) -> Path:
    """The folder, if nanoGPT is in it; otherwise the program ends and says where to get it."""
    missing = list(FILES) if folder is None else [name for name in FILES if not (folder / name).is_file()]
    if folder is None or missing:
        place = "no folder was given" if folder is None else f"{folder} lacks {', '.join(missing)}"
        sys.exit(
            f"nanoGPT is needed to compare with, and {place}.\n"
            f"  git clone https://github.com/karpathy/nanoGPT && git -C nanoGPT checkout {COMMIT}\n"
            "Then give the folder by --nanogpt DIR or NANOGPT=DIR, or leave nanoGPT out by --without-nanogpt."
        )
    return folder


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that decide what is measured, since a folder may say nothing of its commit."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.py", "train.py")
    }


@contextmanager
def prepared(folder: Path, seed: int = 1337) -> Iterator[Path]:
    """A temporary copy of nanoGPT with its data set, whose training starts from `seed`."""
    with tempfile.TemporaryDirectory(prefix="nanogpt-") as name:
        copy = Path(name)
        for file in FILES:
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / file, copy / file)
        train = (copy / "train.py").read_text()
        if SEED_IN_TRAIN not in train:
            sys.exit(f"{folder / 'train.py'} does not set the seed 1337; use nanoGPT at {COMMIT}.")
        (copy / "train.py").write_text(train.replace(SEED_IN_TRAIN, f"torch.manual_seed({seed} "))
        data = copy / "data" / "shakespeare_char"
        shutil.copy(TEXT, data / "input.txt")
        # prepare.py imports `requests` for a download that the text above makes needless.
        (data / "requests.py").touch()
        subprocess.run([sys.executable, "prepare.py"], cwd=data, check=True, capture_output=True)
        yield copy


def train(copy: Path, *options: str, script: tuple[str, ...] = ("train.py",)) -> Log:
    """Trains in a process of its own, by nanoGPT's recipe with `options` after it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *script, *RECIPE, *options],
        cwd=copy,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"nanoGPT failed:\n{done.stderr[-2000:]}")
    iterations = _ITERATION.findall(done.stdout)
    return Log(
        milliseconds=[float(ms) for _, _, ms in iterations],
        losses=[float(loss) for _, loss, _ in iterations],
        evaluations={int(step): float(loss) for step, loss in _EVALUATION.findall(done.stdout)},
        output=done.stdout,
    )


def loop(folder: Path, tokens: NDArray[np.uint16], vocabulary: int) -> Callable[[], None]:
    """A step of nanoGPT in this process: its unmodified model and optimizer, in the lines of its train.py that are
    executed by its recipe; the loss is read every step, since the recipe prints it.

    Args:
        folder: Where nanoGPT is.
        tokens: Of the training split.
        vocabulary: How many kinds of tokens there are.
    """
    import numpy as np  # late: most callers start nanoGPT as a process
    import torch

    spec = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    # Its configuration is a dataclass, which looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    block, batch = 64, 12
    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": block, "vocab_size": vocabulary}
    model = module.GPT(module.GPTConfig(**sizes, bias=False, dropout=0.0))
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")

    def get_batch() -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(tokens) - block, (batch,))
        x, y = (
            torch.stack([torch.from_numpy(tokens[i + n : i + n + block].astype(np.int64)) for i in starts])
            for n in (0, 1)
        )
        return x, y

    def step() -> None:
        _, loss = model(*get_batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step
