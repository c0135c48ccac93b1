#!/usr/bin/env bash
# One search space of Ray Tune, two sets of values, by who proposes them.
#
# qrandint(1, 100, 8) is multiples of 8 when Ray draws, and 1 + multiples of 8 when Optuna does through Ray's own
# adapter: they have not one value in common. A batch size that has to be divisible by 8 never is.
# Versions: ray 2.60.0, optuna 5.0.0.
# Source: ray.tune.qrandint rounds to multiples of q; optuna's IntDistribution counts steps from the lower bound.
# raygen: has no sweeps; one would propose indexes and compute values itself, checked against the bounds of the
# file.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[tune]==2.60.0' optuna==5.0.0 numpy==2.4.6
look <<'PY'
import logging

import optuna
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from verdict import verdict

logging.disable(logging.WARNING)
optuna.logging.set_verbosity(optuna.logging.ERROR)
space = tune.qrandint(1, 100, 8)
drawn = set(space.sample(size=3000))
sampler = optuna.samplers.RandomSampler(seed=0)
search = OptunaSearch(space={"batch": space}, metric="loss", mode="min", sampler=sampler)
proposed = {search.suggest(f"trial-{number}")["batch"] for number in range(300)}
verdict(
    expected="the same values, whoever proposes them",
    seen=f"Ray {sorted(drawn)}, Optuna {sorted(proposed)}",
    holds=not drawn & proposed and max(value % 8 for value in drawn) == 0,
)
PY
