"""How much each parameter matters, by PED-ANOVA (Watanabe et al. 2023, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
in Arbitrary Subspaces, IJCAI; with conditions as in Conditional PED-ANOVA, KDD 2026), as Optuna computes it.

It compares where the best tenth of the trials lies with where all lie, parameter by parameter. With few trials that tenth has
values of its own by chance alone; so it is at least five trials, as Optuna's documentation advises, there are at least four
times as many in all, and each parameter is held against what it gets when the objective is shuffled over the trials.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping

from optuna import create_study
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, create_trial

from raygen.report.chart import spread
from raygen.report.sweep import Weight, Weights
from raygen.sweeps.report.view import View
from raygen.sweeps.search.models.observed import Observer
from raygen.sweeps.search.models.optuna_study import Coding

LEAST_BEST = 5
"""Trials that the best part has, at least."""
BEST_SHARE = 0.1
LEAST_TRIALS = 4 * LEAST_BEST
MOST_TRIALS = 1000
"""More are spread evenly: they would change the shares no more."""
SHUFFLES = 20
"""A parameter whose importance is greater than in all of them is so with 1 chance in 21 if it does not matter."""


def importance_of(view: View) -> tuple[list[Weights], str]:
    """For each objective how much the parameters matter; and why there is nothing, if so.

    Trials are judged after equally many steps, as searches see them: see `raygen.sweeps.search.models.observed`.
    """
    space = view.record.space
    observed = Observer(space).read(view.history).scored
    if len(observed) < LEAST_TRIALS:
        return [], (
            f"This takes {LEAST_TRIALS} trials that can be compared, since with fewer of them chance would decide;"
            f" there {'is' if len(observed) == 1 else 'are'} {len(observed)}."
        )
    chosen = [observed[number] for number in spread(len(observed), MOST_TRIALS)]
    coding = Coding(space)
    study = create_study()
    study.add_trials(
        [
            create_trial(
                value=0.0,
                params=coding.parameters(one.values),
                distributions={path: coding.distributions[path] for path in one.values},
            )
            for one in chosen
        ]
    )
    result = []
    for number, objective in enumerate(view.objectives):
        scores = [one.scores[number] for one in chosen]
        if min(scores) < max(scores):
            result.append(Weights(objective.name, len(chosen), _weights(study, scores, view.names)))
    return result, "" if result else "All trials have come to the same value."


def _weights(study: Study, scores: list[float], names: Mapping[str, str]) -> list[Weight]:
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_SHARE, LEAST_BEST / len(scores)))
    found = _evaluated(study, evaluator, lambda trial: scores[trial.number])
    draw = random.Random(0)
    greatest = dict.fromkeys(found, 0.0)
    for _ in range(SHUFFLES):
        shuffled = draw.sample(scores, len(scores))
        by_chance = _evaluated(study, evaluator, lambda trial, values=shuffled: values[trial.number])
        greatest = {path: max(greatest[path], by_chance[path]) for path in found}
    whole = sum(found.values()) or 1.0
    ordered = sorted(found, key=lambda path: (-found[path], path))
    return [
        Weight(names.get(path, path), path, found[path] / whole, found[path] > greatest[path])
        for path in ordered
    ]


def _evaluated(
    study: Study, evaluator: PedAnovaImportanceEvaluator, score: Callable[[FrozenTrial], float]
) -> dict[str, float]:
    with warnings.catch_warnings():
        # Optuna warns that low scores are taken for good, which they are here, and that shares can be left as they are since 3.0.
        warnings.simplefilter("ignore")
        return get_param_importances(study, evaluator=evaluator, target=score, normalize=False)
