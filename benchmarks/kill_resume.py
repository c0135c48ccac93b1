"""Kills `raygen train` at random moments, lets the same command continue, and compares every loss.

    python benchmarks/kill_resume.py

One undisturbed run is the reference. Other runs of the same job are killed (SIGKILL) at moments drawn over
start-up and training, and started again, until there were 20 kills and every run is complete. Then every
loss that any attempt logged must be, bit for bit, the reference's at that step, and the last checkpoint's
tensors and state the reference's bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import JOBS, environment, executable, write_result

LONGEST_RUN_SECONDS = 900


@dataclass
class Outcome:
    """What happened to one run.

    Attributes:
        kills: Newest complete checkpoint at each kill, 0 before the first.
        compared: Losses compared with the reference.
        different: Those that were not equal: attempt, step, loss, reference.
        repeated: Losses logged by more than one attempt.
    """

    kills: list[int] = field(default_factory=list)
    compared: int = 0
    different: list[Any] = field(default_factory=list)
    repeated: int = 0
    same_checkpoint: bool = False


def main() -> None:
    arguments = parse()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as name:
        output = Path(name)
        began = time.perf_counter()
        finish(start(arguments, output, "reference"))
        longest = time.perf_counter() - began
        reference = losses(output / "reference")
        expected = {step: values[0][1] for step, values in reference.items()}
        assert sorted(expected) == list(range(1, arguments.steps + 1))
        outcomes: list[Outcome] = []
        while (left := arguments.kills - sum(len(o.kills) for o in outcomes)) > 0:
            run = output / f"run-{len(outcomes)}"
            outcome = Outcome(kills=torment(arguments, run, draw, left, longest))
            compare(run, expected, outcome)
            outcome.same_checkpoint = checkpoint(run, arguments.steps) == checkpoint(
                output / "reference", arguments.steps
            )
            outcomes.append(outcome)
            print(outcome, flush=True)
    write(arguments, outcomes)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--job", default="best-recipe.yaml", help="a file in benchmarks/jobs")
    return parser.parse_args()


def start(arguments: argparse.Namespace, output: Path, run: str) -> subprocess.Popen[bytes]:
    """The command, which begins the run or continues it."""
    settings = [
        f"spec.training.duration.steps={arguments.steps}",
        f"spec.checkpoint.everySteps={arguments.every}",
        "spec.model.transformer.dropout=0.1",
        "spec.training.ema={decay: 0.99}",
        "spec.training.microBatchSize=5",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    command = [
        executable("raygen"),
        "train",
        str(JOBS / arguments.job),
        "--output",
        str(output),
        "--run",
        run,
    ]
    return subprocess.Popen(
        [*command, *options], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=LONGEST_RUN_SECONDS)
    if process.returncode:
        sys.exit(f"a run that was not killed failed:\n{errors.decode()}")


def torment(
    arguments: argparse.Namespace, run: Path, draw: random.Random, kills: int, longest: float
) -> list[int]:
    """Starts and kills a run until it is complete or was killed often enough, and then completes it."""
    done: list[int] = []
    while len(done) < kills:
        process = start(arguments, run.parent, run.name)
        try:
            process.wait(timeout=draw.uniform(0, longest / 3))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            done.append(newest(run))
        else:
            finish(process)
            return done
    finish(start(arguments, run.parent, run.name))
    return done


def newest(run: Path) -> int:
    """The newest complete checkpoint, 0 if there is none."""
    manifests = run.glob("checkpoints/step-*/manifest.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in manifests), default=0)


def losses(run: Path) -> dict[int, list[tuple[int, float]]]:
    """Attempt and loss of every logged step."""
    found: dict[int, list[tuple[int, float]]] = {}
    for segment in sorted(run.glob("metrics/*.jsonl")):
        for text in segment.read_text().splitlines():
            line = json.loads(text)
            if line["kind"] == "train":
                found.setdefault(line["step"], []).append((line["attempt"], line["values"]["loss"]))
    return found


def compare(run: Path, expected: dict[int, float], outcome: Outcome) -> None:
    """Fills in `compared`, `different` and `repeated`. JSON spells a float so that it reads back the same."""
    logged = losses(run)
    for step, values in logged.items():
        outcome.compared += len(values)
        outcome.repeated += len(values) - 1
        outcome.different += [[a, step, loss, expected[step]] for a, loss in values if loss != expected[step]]
    outcome.different += [[None, step, None, loss] for step, loss in expected.items() if step not in logged]


def checkpoint(run: Path, step: int) -> Counter[tuple[int, str]]:
    """Size and digest of every file of a checkpoint, from its manifest, without names of attempts."""
    manifest = json.loads((run / "checkpoints" / f"step-{step:08}" / "manifest.json").read_text())
    return Counter((record["size"], record["sha256"]) for record in manifest["files"].values())


def write(arguments: argparse.Namespace, outcomes: list[Outcome]) -> None:
    different = [item for outcome in outcomes for item in outcome.different]
    kills = [step for outcome in outcomes for step in outcome.kills]
    document = {
        "job": arguments.job,
        "steps": arguments.steps,
        "checkpoint_every_steps": arguments.every,
        "seed": arguments.seed,
        "kills": len(kills),
        "newest_checkpoint_at_kill": kills,
        "runs": len(outcomes),
        "losses_compared": sum(outcome.compared for outcome in outcomes),
        "losses_repeated": sum(outcome.repeated for outcome in outcomes),
        "losses_different": len(different),
        "different": different,
        "last_checkpoints_identical": all(outcome.same_checkpoint for outcome in outcomes),
    }
    write_result("kill_resume", document)
    print(f"{len(kills)} kills, {document['losses_compared']} losses compared, {len(different)} different")
    if different or not document["last_checkpoints_identical"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
