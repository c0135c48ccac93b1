#!/usr/bin/env bash
# A trial whose loss is NaN fails in Optuna, and stays RUNNING for ever in Optuna under Ray.
#
# Optuna by itself marks it as failed. Ray's adapter logs a warning, forgets the trial and leaves it in the study,
# where it counts as work in progress: the sampler keeps away from its region, or not, and no list of failures has
# it. A trial that a scheduler stopped early is COMPLETE there, not PRUNED.
# Versions: ray 2.60.0, optuna 5.0.0.
# Source: not documented; OptunaSearch.on_trial_complete.
# raygen: has no sweeps; one would turn a number that is not finite into a failed trial with its cause before a
# searcher sees it.
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


def objective(trial):
    return float("nan") * trial.suggest_float("rate", 0.1, 1)


alone = optuna.create_study()
alone.optimize(objective, n_trials=1)
storage = optuna.storages.InMemoryStorage()
search = OptunaSearch(
    space={"rate": tune.uniform(0.1, 1)}, metric="loss", mode="min", storage=storage, study_name="sweep"
)
search.suggest("nan")
search.on_trial_complete("nan", {"loss": float("nan"), "training_iteration": 3})
search.suggest("stopped")  # as by ASHA, after one of many iterations
search.on_trial_result("stopped", {"loss": 9.0, "training_iteration": 1})
search.on_trial_complete("stopped", {"loss": 9.0, "training_iteration": 1})
under_ray = [trial.state.name for trial in optuna.load_study(study_name="sweep", storage=storage).trials]
verdict(
    expected=f"{alone.trials[0].state.name} for NaN, as Optuna does, and PRUNED for the one that was stopped",
    seen=f"{under_ray[0]} and {under_ray[1]}",
    holds=alone.trials[0].state.name == "FAIL" and under_ray == ["RUNNING", "COMPLETE"],
)
PY
