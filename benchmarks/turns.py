"""Jobs that train in turns: each in a process of its own, with an environment of its own, while the others wait.

    python benchmarks/turns.py examples/01-gpt-tiny.yaml training.seed=2    # one of them: steps in, seconds out

It drives what raygen's loop drives (batches, family, updates), without records, evaluation and checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import ROOT, spread

import raygen

TICKS = os.sysconf("SC_CLK_TCK")
WARMUP = 3
QUIET = 0.06
"""Share of the cores that others may use in a turn that counts as quiet."""
LEAST = 3
"""Quiet turns that are enough."""


@dataclass(frozen=True)
class Side:
    """What takes turns.

    Attributes:
        job: A job file, from the repository's root.
        options: Arguments of this script for it.
        environment: Variables that differ from this process's; None takes one away.
    """

    job: str
    options: Sequence[str] = ()
    environment: Mapping[str, str | None] | None = None


@dataclass(frozen=True)
class Turn:
    """A few steps of one side.

    Attributes:
        seconds: Of one step.
        processor: Processor time of one step, of all threads.
        others: Share of the machine's cores that other processes used meanwhile.
    """

    seconds: float
    processor: float
    others: float


def take_turns(sides: Mapping[str, Side], rounds: int, seconds: float = 0.5) -> dict[str, list[Turn]]:
    """Lets every side train for about so many seconds in each round, in an order that turns."""
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    names = list(sides)
    with ExitStack() as stack:
        started = {name: stack.enter_context(_started(side)) for name, side in sides.items()}
        steps = {name: max(round(seconds / step(WARMUP).seconds), 1) for name, step in started.items()}
        for number in range(rounds):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                turns[name].append(started[name](steps[name]))
    return turns


def ratios(turns: Mapping[str, Sequence[Turn]], side: str, base: str) -> dict[str, Any]:
    """Speed of a side over that of another within each round; of quiet rounds alone, if there are enough."""
    pairs = list(zip(turns[side], turns[base], strict=True))
    quiet = [pair for pair in pairs if max(turn.others for turn in pair) <= QUIET]
    return spread([b.seconds / a.seconds for a, b in (quiet if len(quiet) >= LEAST else pairs)])


@contextmanager
def _started(side: Side) -> Iterator[Callable[[int], Turn]]:
    variables = {**os.environ, **(side.environment or {})}
    process = subprocess.Popen(
        [sys.executable, __file__, side.job, *side.options],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def take(steps: int) -> Turn:
        busy = _busy_seconds()
        print(steps, file=process.stdin, flush=True)
        answer = json.loads(process.stdout.readline())
        others = max(_busy_seconds() - busy - answer["processor"], 0.0)
        return Turn(
            answer["seconds"] / steps,
            answer["processor"] / steps,
            others / answer["seconds"] / (os.cpu_count() or 1),
        )

    try:
        take(WARMUP)
        yield take
    finally:
        process.stdin.close()
        process.wait()


def _busy_seconds() -> float:
    """What all processes of this machine have used of all cores."""
    cells = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, cells[:7])
    return (user + nice + system + irq + softirq) / TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--torch-muon", action="store_true", help="torch.optim.Muon in place of raygen's")
    parser.add_argument(
        "--layout", choices=("contiguous", "channels_last"), help="instead of the family's own"
    )
    arguments = parser.parse_intermixed_args()
    step = _stepper(arguments)
    for line in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        answer = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
        print(json.dumps(answer), flush=True)


def _stepper(arguments: argparse.Namespace) -> Callable[[], None]:
    """One training step of the job."""
    import torch  # late: raygen comes first, which says how torch's threads wait

    from raygen.data.readers import open_data
    from raygen.inference.code import install_code
    from raygen.models.protocol import Alone
    from raygen.models.registry import build_family
    from raygen.parallel.lanes import micro_batches
    from raygen.parallel.whole import SingleWorker
    from raygen.spec import resolve
    from raygen.training.optimizers.updates import make_updates

    if arguments.layout == "contiguous":
        torch.channels_last = torch.contiguous_format
    loaded = raygen.load(ROOT / arguments.job, overrides=arguments.overrides)
    job, base, device = resolve(loaded.job), loaded.path.parent, torch.device("cpu")
    install_code(job, base)
    data = open_data(job, base, {})
    family = build_family(job, data.domain, device)
    if arguments.layout == "channels_last":
        for network in family.networks.values():
            network.to(memory_format=torch.channels_last)
    updates = make_updates(family, job.spec.training, 10_000, SingleWorker())
    if arguments.torch_muon:
        optimizers = updates["model"].optimizers
        (group,) = optimizers["matrices"].param_groups
        names = ("lr", "weight_decay", "momentum", "nesterov")
        optimizers["matrices"] = torch.optim.Muon(group["params"], **{name: group[name] for name in names})
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        for update in updates.values():
            update.schedule(number)
        family.step(micro_batches(job, data, device, number, SingleWorker(), Alone()), updates, Alone())

    return step


if __name__ == "__main__":
    main()
