"""Asks HEBO for one point after the other: a line with the task, then a number in and a point out, as JSON.

It has a Python of its own: HEBO 0.3.6 wants NumPy below 1.25 and GPy 1.9.9, which does not build on Python 3.11:

    echo 'gpy>=1.13' > override.txt && uv pip install --override override.txt HEBO==0.3.6 torch
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import redirect_stdout
from typing import TextIO

import numpy as np
import torch


def main() -> None:
    # What it and the packages below it print is not an answer.
    answers = sys.stdout
    with redirect_stdout(sys.stderr):
        serve(answers)


def serve(answers: TextIO) -> None:
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    task = json.loads(sys.stdin.readline())
    random.seed(task["seed"])
    np.random.seed(task["seed"])
    torch.manual_seed(task["seed"])
    names = [f"x{place}" for place in range(len(task["low"]))]
    bounds = zip(names, task["low"], task["high"], strict=True)
    space = DesignSpace().parse(
        [{"name": name, "type": "num", "lb": low, "ub": high} for name, low, high in bounds]
    )
    search = HEBO(space, scramble_seed=task["seed"])
    while True:
        point = search.suggest(n_suggestions=1)
        print(json.dumps([float(point[name].iloc[0]) for name in names]), file=answers, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        search.observe(point, np.array([[json.loads(line)]]))


if __name__ == "__main__":
    main()
