"""How runs of searches are compared: median regrets by task, a paired test over seeds, ranks over tasks.

Of two searches the runs with the same seeds make pairs. By task Wilcoxon's signed-rank test of the logarithms of their regrets, one-sided, says
whether one is greater than the other, with Holm's correction over the tasks of a comparison. "Worse" is a search whose regrets are greater
with p < 0.05, "better" one whose regrets are less, and all else is "even". With Holm's correction over twelve tasks it takes eight
seeds to reject anything: a comparison says whether it has as many. Over all tasks the means of the logarithms of ratios, one for each task, are tested likewise, two-sided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
from scipy.stats import rankdata, wilcoxon

LEVEL = 0.05
FLOOR = 1e-10
"""Regrets below it count as equal to it: what is left is rounding."""


@dataclass(frozen=True)
class Run:
    """A search on a task.

    Attributes:
        task: Name of the task.
        side: The search; see `sweep_sides.py`.
        seed: Its seed.
        regrets: The least regret after so many trials.
        seconds: It took, all trials together.
    """

    task: str
    side: str
    seed: int
    regrets: Mapping[int, float]
    seconds: float

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Run:
        """What `document` gave."""
        regrets = {int(budget): regret for budget, regret in document["regrets"].items()}
        return cls(document["task"], document["side"], document["seed"], regrets, document["seconds"])

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "regrets": {str(budget): regret for budget, regret in self.regrets.items()}}

    def covers(self, task: str, side: str, seed: int, trials: int) -> bool:
        """Whether it is such a run, or a longer one."""
        return (self.task, self.side, self.seed) == (task, side, seed) and trials in self.regrets


class Regrets:
    """The regrets of all runs after so many trials.

    Args:
        runs: The runs.
        budget: How many trials.
    """

    def __init__(self, runs: Iterable[Run], budget: int) -> None:
        self._found: dict[tuple[str, str], dict[int, float]] = {}
        for one in runs:
            if budget in one.regrets:
                by_seed = self._found.setdefault((one.side, one.task), {})
                by_seed[one.seed] = max(one.regrets[budget], FLOOR)

    def of(self, side: str, task: str) -> dict[int, float]:
        """Those of a search on a task, by seed; empty if it did not run."""
        return self._found.get((side, task), {})

    def sides(self, tasks: Sequence[str]) -> list[str]:
        """Searches that ran on all of these tasks."""
        names = dict.fromkeys(side for side, _ in self._found)
        return [side for side in names if all(self.of(side, task) for task in tasks)]


def compared(regrets: Regrets, ours: str, theirs: Sequence[str], tasks: Sequence[str]) -> dict[str, Any]:
    """A search beside others: on each task beside that of them which has the least median there.

    Args:
        regrets: All regrets.
        ours: The search.
        theirs: The others; only tasks and seeds that all of them ran with count.
        tasks: Names of tasks.
    """
    by_task: dict[str, dict[str, Any]] = {}
    means = []
    for task in tasks:
        mine, others = regrets.of(ours, task), {one: regrets.of(one, task) for one in theirs}
        seeds = sorted(set(mine).intersection(*others.values()))
        if not seeds:
            continue
        other = min(theirs, key=lambda one: median(others[one][seed] for seed in seeds))
        left = np.array([mine[seed] for seed in seeds])
        right = np.array([others[other][seed] for seed in seeds])
        means.append(float(np.log(left / right).mean()))
        by_task[task] = {
            **({"beside": other} if len(theirs) > 1 else {}),
            "seeds": len(seeds),
            "regret": float(np.median(left)),
            "other": float(np.median(right)),
            "ratio": float(np.median(left) / np.median(right)),
            "p_worse": signed_rank(left, right),
            "p_better": signed_rank(right, left),
        }
    for name in ("p_worse", "p_better"):
        for one, p in zip(by_task.values(), holm([one[name] for one in by_task.values()]), strict=True):
            one[name] = p
    for one in by_task.values():
        one["verdict"] = (
            "worse" if one["p_worse"] < LEVEL else "better" if one["p_better"] < LEVEL else "even"
        )
    verdicts = [one["verdict"] for one in by_task.values()]
    return {
        "ours": ours,
        "theirs": list(theirs),
        "seeds": [one["seeds"] for one in by_task.values()],
        **{name: verdicts.count(name) for name in ("better", "even", "worse")},
        "may_reject": bool(by_task) and _may_reject(len(by_task), [one["seeds"] for one in by_task.values()]),
        "median_not_greater": sum(one["ratio"] <= 1 for one in by_task.values()),
        "ratio": float(np.exp(fmean(means))) if means else None,
        "p": two_sided(means),
        "tasks": by_task,
    }


def _may_reject(tasks: int, seeds: Sequence[int]) -> bool:
    """Whether so many pairs on each of so many tasks could show a search to be worse."""
    return tasks / 2 ** min(seeds) < LEVEL


def signed_rank(left: np.ndarray, right: np.ndarray) -> float:
    """Chance of pairs like these if `left` is not greater than `right`; of logarithms."""
    differences = np.log(left) - np.log(right)
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative="greater").pvalue)


def two_sided(means: Sequence[float]) -> float | None:
    """Chance of such means if they lie evenly around 0."""
    return float(wilcoxon(means).pvalue) if any(means) else None


def holm(chances: Sequence[float]) -> list[float]:
    """The same by Holm's correction, in their order (Holm 1979)."""
    corrected = [0.0] * len(chances)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=lambda one: chances[one])):
        least = max(least, min(chances[place] * (len(chances) - rank), 1.0))
        corrected[place] = least
    return corrected


def ranks(regrets: Regrets, sides: Sequence[str], tasks: Sequence[str]) -> dict[str, float]:
    """The rank of each search by its median regret, 1 is the best; means over tasks."""
    medians = [[median(regrets.of(side, task).values()) for side in sides] for task in tasks]
    means = np.mean([rankdata(row) for row in medians], axis=0)
    return dict(sorted(zip(sides, means.tolist(), strict=True), key=lambda one: one[1]))


def conclusions(
    runs: Sequence[Run],
    tasks: Mapping[str, str],
    budgets: Sequence[int],
    comparisons: Sequence[tuple[str, Sequence[str]]],
) -> dict[str, Any]:
    """Ranks and comparisons at each budget, of what has run.

    Args:
        runs: All runs.
        tasks: Names of tasks, and the group of each.
        budgets: Numbers of trials.
        comparisons: Which search is put beside which others.
    """
    found: dict[str, Any] = {}
    for budget in budgets:
        regrets = Regrets(runs, budget)
        sides = regrets.sides([*tasks])
        ours = [one for one in sides if one.startswith("raygen:")]
        groups: dict[str, list[str]] = {}
        for task, group in tasks.items():
            groups.setdefault(group, []).append(task)
        beside = [compared(regrets, mine, theirs, [*tasks]) for mine, theirs in comparisons]
        found[str(budget)] = {
            "ranks": ranks(regrets, sides, [*tasks]),
            "groups": [
                {"parameters": group, "functions": len(names), "ranks": ranks(regrets, ours, names)}
                for group, names in groups.items()
            ],
            "comparisons": [one for one in beside if one["tasks"]],
        }
    return {"budgets": found}
