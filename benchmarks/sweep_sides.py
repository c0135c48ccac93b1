"""The searches of `sweep_regret.py`, each asked for one point after the other: raygen's, Optuna's by Optuna itself, and peers in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import FOLDER, ROOT, environment
from sweep_tasks import Task

sys.path.insert(0, str(ROOT))

from raygen.sweeps.events import Began, Ended, Leased, Proposed, Reported
from raygen.sweeps.policy import Begin, Policy
from tests.sweeps import a_sweep

Suggest = Callable[[float | None], Sequence[float]]
"""Given what the function was at the point before (None: there is none), the next point."""

KINDS = ("Random", "Sobol", "TPE", "GaussianProcess", "CMAES")
PEERS = {"HEBO": "suggest_hebo.py", "Ax": "suggest_ax.py"}
PATH = "model.custom.parameters.x"


@contextmanager
def opened(side: str, task: Task, seed: int, pythons: Mapping[str, Path]) -> Iterator[Suggest]:
    """A search that has seen nothing.

    Args:
        side: `raygen:KIND`, `Optuna:KIND`, or a peer.
        task: What it is to make small.
        seed: Of what it draws.
        pythons: The interpreter of each peer.
    """
    origin, _, kind = side.partition(":")
    if origin == "raygen":
        yield of_raygen(kind, task, seed)
    elif origin == "Optuna":
        yield of_optuna(kind, task, seed)
    else:
        with of_peer(pythons[side], PEERS[side], task, seed) as suggest:
            yield suggest


def of_raygen(kind: str, task: Task, seed: int) -> Suggest:
    """What a sweep decides with one trial at a time; a trial is a call of the function."""
    paths = [f"{PATH}{place}" for place in range(len(task.low))]
    # A model of one's own may have numbers as parameters, so that they can be in any range.
    model = {"type": "Custom", "custom": {"entrypoint": "model:Model", "contextLength": 16}}
    bounds = zip(paths, task.low, task.high, strict=True)
    parameters = [{"path": path, "type": "Real", "low": low, "high": high} for path, low, high in bounds]
    sweep = a_sweep(
        template__spec__model=model,
        parameters=parameters,
        search={"type": kind},
        budget={"trials": 100_000},
        seed=seed,
    )
    policy = Policy(sweep, 1)
    history = policy.history()
    history.take(Began(1, 0, 1, {}, 0.0))
    count = 0

    def suggest(last: float | None) -> Sequence[float]:
        nonlocal count
        if last is not None:
            history.take(Reported(count - 1, 20, {"loss": last}, 0.0))
            history.take(Ended(count - 1, "Completed", "", "", 0.0))
        decision = policy.next(history)
        assert isinstance(decision, Begin)
        history.take(Proposed(count, decision.values, decision.source, 0.0))
        history.take(Leased(count, decision.until, 0.0))
        count += 1
        return [decision.values[path] for path in paths]

    return suggest


def of_optuna(kind: str, task: Task, seed: int) -> Suggest:
    """A study in memory, with the sampler's own settings, but for TPE that models all parameters together, as raygen's does."""
    import optuna  # late: raygen's own search loads it where it needs it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    samplers = optuna.samplers
    sampler: optuna.samplers.BaseSampler
    if kind == "TPE":
        sampler = samplers.TPESampler(multivariate=True, seed=seed)
    elif kind == "GaussianProcess":
        sampler = samplers.GPSampler(seed=seed)
    elif kind == "CMAES":
        sampler = samplers.CmaEsSampler(seed=seed)
    elif kind == "Sobol":
        sampler = samplers.QMCSampler(scramble=True, seed=seed)
    else:
        sampler = samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler)
    trial: optuna.Trial | None = None

    def suggest(last: float | None) -> Sequence[float]:
        nonlocal trial
        if trial is not None:
            study.tell(trial, last)
        trial = study.ask()
        bounds = enumerate(zip(task.low, task.high, strict=True))
        return [trial.suggest_float(f"x{place}", low, high) for place, (low, high) in bounds]

    return suggest


@contextmanager
def of_peer(python: Path, script: str, task: Task, seed: int) -> Iterator[Suggest]:
    """A peer in a process of its own: a line with the task, then a number in and a point out, line by line."""
    process = subprocess.Popen(
        [str(python), str(FOLDER / "peers" / script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    given, answers = process.stdin, process.stdout

    def suggest(last: float | None) -> Sequence[float]:
        said = {"seed": seed, "low": task.low, "high": task.high} if last is None else last
        print(json.dumps(said), file=given, flush=True)
        line = answers.readline()
        if not line:
            raise RuntimeError(f"{script} ended with {process.wait()}")
        found: list[float] = json.loads(line)
        return found

    try:
        yield suggest
    finally:
        given.close()
        process.wait()


def versions_of(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Versions of a peer and of what it computes with, in its own interpreter."""
    code = "import json, sys; from importlib.metadata import version; print(json.dumps({n: version(n) for n in sys.argv[1:]}))"
    done = subprocess.run([str(python), "-c", code, *packages], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
