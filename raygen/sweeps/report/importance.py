"""How much each parameter matters, by PED-ANOVA (Watanabe et al. 2023, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
in Arbitrary Subspaces, IJCAI; with conditions as in Conditional PED-ANOVA, KDD 2026), as Optuna computes it.

It compares where the best tenth of the trials lies with where all lie, parameter by parameter. With few trials that tenth has
values of its own by chance alone; so it is at least five trials, as Optuna's documentation advises, there are at least four
times as many in all, and each parameter is held against what it gets when the objective is shuffled over the trials.

Which trials are the best is told by the order in which tables have them: those that were trained further come first, since a
scheduler ends the others for being worse. Were only those compared that were trained whole, what the scheduler has sorted out
would seem not to matter.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence

from optuna import create_study
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import create_trial

from raygen.report.chart import spread
from raygen.report.sweep import Weight, Weights
from raygen.sweeps.report.view import Judged, View
from raygen.sweeps.search.models.optuna_study import Coding
from raygen.sweeps.search.places import lies_in

LEAST_BEST = 5
"""Trials that the best part has, at least."""
BEST_SHARE = 0.1
LEAST_TRIALS = 4 * LEAST_BEST
MOST_TRIALS = 500
"""More are spread evenly: they would change the shares no more."""
SHUFFLES = 40
"""A parameter that does not matter is above all of them with 1 chance in 41."""
METHOD = (
    "By PED-ANOVA (Watanabe et al. 2023): how far the values of the best tenth of the trials, and of at least"
    f" {LEAST_BEST}, lie from those of all, as shares of the whole. What may be chance is pale: it was not greater than in each of"
    f" {SHUFFLES} shuffles of the objective."
)


def importance_of(view: View) -> tuple[list[Weights], str]:
    """For each objective how much the parameters matter; and why there is nothing, if so."""
    space = view.record.space
    fitting = {
        one.trial.number for one in view.judged if _counts(one, view) and lies_in(space, one.trial.values)
    }
    if len(fitting) < LEAST_TRIALS:
        return [], (
            f"This takes {LEAST_TRIALS} trials that can be compared, since with fewer of them chance would decide;"
            f" there {'is' if len(fitting) == 1 else 'are'} {len(fitting)}."
        )
    numbers = sorted(fitting)
    chosen = [view.history.trials[numbers[place]] for place in spread(len(numbers), MOST_TRIALS)]
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
        values = {one.trial.number: one.values[number] for one in view.judged}
        if len({values[one.number] for one in chosen}) > 1:
            places = {one.trial.number: place for place, one in enumerate(view.ranked(number))}
            scores = [float(places[one.number]) for one in chosen]
            result.append(Weights(objective.name, len(chosen), _weights(study, scores, view.names)))
    return result, "" if result else "All trials have come to the same value."


def _counts(one: Judged, view: View) -> bool:
    """Whether a trial's length says something about it: where no scheduler stops trials, one that has not ended is just young."""
    return one.kind != "waiting or running" or view.record.sweep.spec.scheduler.type != "Full"


def _weights(study: Study, scores: list[float], names: Mapping[str, str]) -> list[Weight]:
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_SHARE, LEAST_BEST / len(scores)))
    found = _evaluated(study, evaluator, scores)
    draw = random.Random(0)
    greatest = dict.fromkeys(found, 0.0)
    for _ in range(SHUFFLES):
        by_chance = _evaluated(study, evaluator, draw.sample(scores, len(scores)))
        greatest = {path: max(greatest[path], by_chance[path]) for path in found}
    whole = sum(found.values()) or 1.0
    ordered = sorted(found, key=lambda path: (-found[path], path))
    return [
        Weight(names.get(path, path), path, found[path] / whole, found[path] > greatest[path])
        for path in ordered
    ]


def _evaluated(
    study: Study, evaluator: PedAnovaImportanceEvaluator, scores: Sequence[float]
) -> dict[str, float]:
    with warnings.catch_warnings():
        # Optuna warns that low scores are taken for good, which they are here, and that shares can be left as they are since 3.0.
        warnings.simplefilter("ignore")
        return get_param_importances(
            study, evaluator=evaluator, target=lambda trial: scores[trial.number], normalize=False
        )
