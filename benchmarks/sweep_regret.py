"""How near searches come to the least value of known functions, beside Optuna's own samplers, HEBO and Ax.

    PYTHONPATH=IOH python benchmarks/sweep_regret.py --scratch FILE                     # what needs no peers
    ... --sides HEBO Ax --hebo PYTHON --ax PYTHON --seeds 0 1 2 --trials 50             # these take minutes for each run
    ... --conclude                                                                      # the result, from all runs

One trial at a time; a trial is a call of the function (`sweep_tasks.py`). raygen's searches decide as they do in a sweep, by its policy and history;
Optuna's samplers run in a study of Optuna's, and peers in Pythons of their own (`peers/`). A run of 200 trials is one of 50 as well: none of them knows
how many are to come. Each run that is over is a line of the file, and is not done again. `--share 1/2` and `--share 2/2` at the same time do half
of the runs each. How runs are compared stands in `sweep_statistics.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import write_result
from sweep_sides import KINDS, PEERS, opened, versions_of
from sweep_statistics import Run, conclusions
from sweep_tasks import Task, all_tasks

BUDGETS = (50, 200)
SIDES = tuple(f"{origin}:{kind}" for origin in ("raygen", "Optuna") for kind in KINDS)
COMPARISONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((f"raygen:{kind}", (f"Optuna:{kind}",)) for kind in KINDS),
    *(("raygen:GaussianProcess", (peer,)) for peer in PEERS),
    ("raygen:GaussianProcess", ("Optuna:GaussianProcess", *PEERS)),
)
"""What is put beside what: each search beside Optuna's own of its kind, and the one that models the function beside the peers, which do as well."""
PACKAGES = ("optuna", "cmaes", "scipy", "ioh")
PEER_PACKAGES = {
    "HEBO": ("HEBO", "GPy", "pymoo", "torch", "numpy"),
    "Ax": ("ax-platform", "botorch", "gpytorch", "torch", "numpy"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", type=Path, required=True, help="file of runs that are over, a line each")
    parser.add_argument("--sides", nargs="+", choices=(*SIDES, *PEERS), default=SIDES)
    parser.add_argument("--tasks", nargs="+", help="names; all by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    parser.add_argument("--trials", type=int, choices=BUDGETS, default=max(BUDGETS))
    parser.add_argument("--share", default="1/1", help="of the runs, as 1/2")
    parser.add_argument("--hebo", type=Path, help="a Python with HEBO")
    parser.add_argument("--ax", type=Path, help="a Python with ax-platform")
    parser.add_argument("--conclude", action="store_true", help="run nothing; write the result")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    pythons = {"HEBO": arguments.hebo, "Ax": arguments.ax}
    tasks = all_tasks()
    if arguments.conclude:
        conclude(
            tasks,
            known(arguments.scratch),
            {name: path for name, path in pythons.items() if path},
            arguments.out,
        )
        return
    if missing := [side for side in arguments.sides if side in pythons and not pythons[side]]:
        parser.error(f"--{missing[0].lower()} names its Python")
    chosen = [one for one in tasks if arguments.tasks is None or one.name in arguments.tasks]
    number, of = map(int, arguments.share.split("/"))
    plan = [(task, side, seed) for seed in arguments.seeds for task in chosen for side in arguments.sides]
    for task, side, seed in plan[number - 1 :: of]:
        if not any(one.covers(task.name, side, seed, arguments.trials) for one in known(arguments.scratch)):
            done = run(task, side, seed, arguments.trials, pythons)
            with arguments.scratch.open("a") as file:
                file.write(json.dumps(done.document()) + "\n")
            print(f"{side} on {task.name}, seed {seed}: {done.regrets}, {done.seconds:.1f} s", flush=True)


def known(scratch: Path) -> list[Run]:
    """Runs that are over; of two with the same seed the longer one."""
    lines = scratch.read_text().splitlines() if scratch.exists() else []
    found = sorted((Run.of(json.loads(line)) for line in lines), key=lambda one: max(one.regrets))
    return list({(one.task, one.side, one.seed): one for one in found}.values())


def run(task: Task, side: str, seed: int, trials: int, pythons: Mapping[str, Path]) -> Run:
    """So many trials of a search."""
    best, last = float("inf"), None
    regrets: dict[int, float] = {}
    began = time.perf_counter()
    with opened(side, task, seed, pythons) as suggest:
        for count in range(1, trials + 1):
            point = suggest(last)
            last = task.function(point)
            best = min(best, task.regret(point))
            if count in BUDGETS:
                regrets[count] = best
    return Run(task.name, side, seed, regrets, time.perf_counter() - began)


def conclude(
    tasks: Sequence[Task], runs: Sequence[Run], pythons: Mapping[str, Path], out: Path | None
) -> None:
    """Writes the result of all runs."""
    document: dict[str, Any] = {
        "packages": {
            "raygen": {name: version(name) for name in PACKAGES},
            **{peer: versions_of(python, PEER_PACKAGES[peer]) for peer, python in pythons.items()},
        },
        "tasks": {one.name: {"parameters": len(one.low), "minimum": one.minimum} for one in tasks},
        **conclusions(runs, {one.name: group_of(one) for one in tasks}, BUDGETS, COMPARISONS),
        "runs": list(_in_short(runs)),
    }
    write_result("sweep_regret", document, out)


def group_of(task: Task) -> str:
    """Which tasks are alike, by their number of parameters."""
    count = len(task.low)
    return "2" if count == 2 else "4 to 8" if count <= 8 else "16"


def _in_short(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Regrets of each search by task and budget, in the order of seeds."""
    for side, task in sorted({(one.side, one.task) for one in runs}):
        found = sorted(
            (one for one in runs if (one.side, one.task) == (side, task)), key=lambda one: one.seed
        )
        yield {
            "side": side,
            "task": task,
            "seeds": [one.seed for one in found],
            "regrets": {
                str(budget): [float(f"{one.regrets[budget]:.6g}") for one in found if budget in one.regrets]
                for budget in BUDGETS
            },
        }


if __name__ == "__main__":
    main()
