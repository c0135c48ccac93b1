"""Runs scripts of pytorch/examples, unmodified, in turns with raygen, where the reader has a copy of them.

Their code is no part of this repository. A script reads the same images from memory, through peers/torchvision, in a
process of its own, which trains only while raygen waits; see peers/turns.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness import FOLDER, JOBS, completed, environment, spread
from image_data import Digits, digits
from safetensors.torch import save_file
from text_speed import BLOCK, Clock

import raygen
from raygen.training.observers.events import Started

COMMIT = "77f55b9"
SCRIPTS = ("vae/main.py", "dcgan/main.py")
IMAGES_FILE = "images.safetensors"
# raygen has a bias or a deviation more here and there; more than that would be another model.
ALIKE = 1e-3


@dataclass(frozen=True)
class Script:
    """A peer's script and how it is run.

    Attributes:
        path: Within its repository.
        options: Its own arguments.
        lines: Lines that it prints in `BLOCK` steps.
        settings: What peers/turns.py changes around it: bf16, channels_last.
        longest: Steps of a process, its first ones included, beyond which it does other things than steps.
    """

    path: str
    options: tuple[str, ...]
    lines: int
    settings: tuple[str, ...]
    longest: int


@dataclass
class Peer:
    """A script that runs.

    Attributes:
        seconds: Of every turn.
        parameters: Of each of its networks.
    """

    asked: IO[str]
    answers: IO[str]
    seconds: list[float] = field(default_factory=list)
    parameters: list[int] = field(default_factory=list)

    def turn(self) -> None:
        """Lets it train `BLOCK` steps."""
        self.asked.write("go\n")
        self.asked.flush()
        line = self.answers.readline()
        if not line:
            sys.exit("the peer's script ended before its turn; its message stands above")
        answer = json.loads(line)
        self.seconds.append(answer["seconds"])
        self.parameters = answer["parameters"]


@dataclass(frozen=True)
class Pair:
    """Mean seconds of `BLOCK` steps on both sides, and what they trained.

    Attributes:
        own: Seconds of raygen.
        peer: Seconds of the script.
        parameters: Of raygen's networks together.
        peer_parameters: Of the script's.
    """

    own: float
    peer: float
    parameters: int
    peer_parameters: int


class Watch(Clock):
    """The clock, which keeps how much is trained.

    Attributes:
        parameters: Trained parameters.
    """

    parameters = 0

    def started(self, plan: Started) -> None:
        """Training is about to begin."""
        self.parameters = plan.parameters


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Adds --pytorch-examples."""
    parser.add_argument(
        "--pytorch-examples",
        type=Path,
        default=os.environ.get("PYTORCH_EXAMPLES"),
        metavar="DIR",
        help=f"a clone of github.com/pytorch/examples at {COMMIT} (default: the environment's PYTORCH_EXAMPLES)",
    )


def add_arguments(parser: argparse.ArgumentParser, *, pairs: int, steps: int) -> None:
    """Adds --pytorch-examples, --pairs, --steps, --warmup, --seed and --out."""
    add_folder(parser)
    parser.add_argument("--pairs", type=int, default=pairs, help="pairs of new processes")
    parser.add_argument("--steps", type=int, default=steps, help="measured steps of each side of a pair")
    parser.add_argument("--warmup", type=int, default=BLOCK, help="steps before them")
    parser.add_argument("--seed", type=int, default=1, help="of the first pair; others count on")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write the result (default: results/)"
    )


def check_folder(folder: Path | str | None, *paths: str) -> Path:
    """The folder, if these scripts are in it; otherwise the program ends and says where to get them."""
    missing = [path for path in paths if folder is None or not (Path(folder) / path).is_file()]
    if folder is None or missing:
        place = "no folder was given" if folder is None else f"{folder} lacks {', '.join(missing)}"
        sys.exit(
            f"pytorch/examples is needed to compare with, and {place}.\n"
            f"  git clone https://github.com/pytorch/examples && git -C examples checkout {COMMIT}\n"
            "Then give the folder by --pytorch-examples DIR or PYTORCH_EXAMPLES=DIR."
        )
    return Path(folder)


def check_steps(steps: int, warmup: int, script: Script) -> None:
    """Ends the program if the script cannot run as long as asked."""
    if min(steps, warmup) < BLOCK or steps % BLOCK or warmup % BLOCK:
        sys.exit(f"--steps and --warmup count blocks: give multiples of {BLOCK}, at least {BLOCK}")
    if steps + warmup > script.longest:
        sys.exit(
            f"--steps and --warmup may be {script.longest} together: then {script.path} does other things"
        )


def measure(arguments: argparse.Namespace, script: Script, job: str) -> dict[str, Any]:
    """Interleaved pairs of raygen and a script: what a result says of them, in images per second."""
    check_steps(arguments.steps, arguments.warmup, script)
    file = check_folder(arguments.pytorch_examples, script.path) / script.path
    loaded = raygen.load(JOBS / job)
    images = loaded.job.spec.training.global_batch_size * BLOCK
    pairs = []
    for number in range(arguments.pairs):
        pairs.append(pair(arguments, script, file, job, arguments.seed + number))
        own, peer = images / pairs[-1].own, images / pairs[-1].peer
        print(f"{number + 1}: raygen {own:.1f}, peer {peer:.1f} images/s, ratio {own / peer:.3f}", flush=True)
    return {
        "unit": "images per second",
        "seed": arguments.seed,
        "steps": arguments.steps,
        "script": script.path,
        "script_settings": list(script.settings),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "parameters": {"raygen": pairs[-1].parameters, "peer": pairs[-1].peer_parameters},
        "interleaved": {
            "raygen": spread([images / found.own for found in pairs]),
            "peer": spread([images / found.peer for found in pairs]),
        },
        "ratio": spread([found.peer / found.own for found in pairs]),
        "at_least": 1.0,
    }


def pair(arguments: argparse.Namespace, script: Script, file: Path, job: str, seed: int) -> Pair:
    """New processes of both, which take turns every `BLOCK` steps."""
    steps = arguments.warmup + arguments.steps
    changes = [f"training.duration={{steps: {steps}}}", f"training.seed={seed}", "evaluation.metrics=[]"]
    loaded = raygen.load(JOBS / job, overrides=changes)
    known = digits("train").some(steps * loaded.job.spec.training.global_batch_size, seed)
    with (
        started(script, file, known, seed) as peer,
        tempfile.TemporaryDirectory(prefix="image-speed-") as output,
    ):
        clock = Watch(arguments.warmup, between=peer.turn)
        completed(raygen.train(loaded.job, base=JOBS, output=output, device="cpu", observer=clock))
        measured = peer.seconds[arguments.warmup // BLOCK :]
        found = Pair(clock.own(), sum(measured) / len(measured), clock.parameters, sum(peer.parameters))
    if abs(found.parameters / found.peer_parameters - 1) > ALIKE:
        sys.exit(f"raygen trains {found.parameters:,} parameters and the peer {found.peer_parameters:,}")
    return found


@contextmanager
def started(script: Script, file: Path, known: Digits, seed: int) -> Iterator[Peer]:
    """A script in a process of its own, in an empty folder, with these images; ended on leaving."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        images = Path(folder) / IMAGES_FILE
        save_file({"images": known.images, "labels": known.labels}, images)
        process = subprocess.Popen(
            command(script, file, seed),
            cwd=folder,
            # Without a device that the script would prefer to the CPU.
            env={**environment(), "PEER_IMAGES": str(images), "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Peer(process.stdin, process.stdout)
        finally:
            process.kill()
            process.communicate()


def command(script: Script, file: Path, seed: int) -> Sequence[str]:
    """How a script is run."""
    options = [option.format(seed=seed) for option in script.options]
    turns = str(FOLDER / "peers" / "turns.py")
    return [sys.executable, turns, str(file.resolve()), str(script.lines), *script.settings, "--", *options]
