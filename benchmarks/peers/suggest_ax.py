"""Asks Ax for one point after the other: a line with the task, then a number in and a point out, as JSON.

It has a Python of its own: `uv pip install ax-platform==1.3.1`. Ax chooses its methods itself: a point in the middle, some of a Sobol
sequence, then a Gaussian process.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import redirect_stdout
from typing import TextIO


def main() -> None:
    # What it and the packages below it print is not an answer.
    answers = sys.stdout
    with redirect_stdout(sys.stderr):
        serve(answers)


def serve(answers: TextIO) -> None:
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    logging.disable(logging.INFO)
    task = json.loads(sys.stdin.readline())
    names = [f"x{place}" for place in range(len(task["low"]))]
    bounds = zip(names, task["low"], task["high"], strict=True)
    client = Client(random_seed=task["seed"])
    client.configure_experiment(
        name="task",
        parameters=[
            RangeParameterConfig(name=name, parameter_type="float", bounds=(low, high))
            for name, low, high in bounds
        ],
    )
    client.configure_optimization(objective="-loss")
    while True:
        ((number, point),) = client.get_next_trials(max_trials=1).items()
        print(json.dumps([float(point[name]) for name in names]), file=answers, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        client.complete_trial(trial_index=number, raw_data={"loss": json.loads(line)})


if __name__ == "__main__":
    main()
