"""How searches are compared on known functions, and that the functions are what they were."""

from __future__ import annotations

import importlib
import math
from types import ModuleType

import numpy as np
import pytest

from tests.unit.benchmarks.test_table import BENCHMARKS

LEAST = {
    "Branin": ([math.pi, 2.275], [-math.pi, 12.275]),
    "Hartmann6": ([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],),
}


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sweep_statistics")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sweep_tasks")


def runs(statistics: ModuleType, side: str, factor: float) -> list[object]:
    """Ten seeds on two tasks: on the first one regrets times a factor, on the second one the same for all."""
    return [
        statistics.Run(task, side, seed, {50: (seed + 1) * (factor if task == "one" else 1.0)}, 0.0)
        for task in ("one", "two")
        for seed in range(10)
    ]


def test_holm_multiplies_the_least_chance_by_all_and_keeps_the_order(statistics: ModuleType) -> None:
    assert statistics.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_search_that_is_worse_with_every_seed_is_worse(statistics: ModuleType) -> None:
    found = statistics.Regrets([*runs(statistics, "a", 2.0), *runs(statistics, "b", 1.0)], 50)
    told = statistics.compared(found, "a", ["b"], ["one", "two"])
    assert (told["better"], told["even"], told["worse"], told["median_not_greater"]) == (0, 1, 1, 1)
    assert told["tasks"]["one"]["p_worse"] == pytest.approx(2 / 2**10)
    assert told["tasks"]["two"]["ratio"] == 1.0
    assert told["ratio"] == pytest.approx(math.sqrt(2))
    other = statistics.compared(found, "b", ["a"], ["one", "two"])
    assert (other["better"], other["even"], other["worse"]) == (1, 1, 0)


def test_of_several_others_the_one_with_the_least_median_counts(statistics: ModuleType) -> None:
    sides = [*runs(statistics, "a", 2.0), *runs(statistics, "b", 3.0), *runs(statistics, "c", 1.0)]
    told = statistics.compared(statistics.Regrets(sides, 50), "a", ["b", "c"], ["one"])
    assert told["tasks"]["one"]["beside"] == "c"


def test_only_common_seeds_make_pairs_and_few_cannot_reject(statistics: ModuleType) -> None:
    few = [one for one in runs(statistics, "b", 1.0) if one.seed < 3]  # type: ignore[attr-defined]
    found = statistics.Regrets([*runs(statistics, "a", 9.0), *few], 50)
    told = statistics.compared(found, "a", ["b"], ["one"])
    assert (told["seeds"], told["even"], told["may_reject"]) == ([3], 1, False)
    assert told["tasks"]["one"]["regret"] == 18.0


def test_ranks_are_means_over_tasks(statistics: ModuleType) -> None:
    found = statistics.Regrets([*runs(statistics, "a", 2.0), *runs(statistics, "b", 1.0)], 50)
    assert statistics.ranks(found, ["a", "b"], ["one", "two"]) == {"b": 1.25, "a": 1.75}


def test_the_functions_have_their_least_values_where_papers_say(tasks: ModuleType) -> None:
    for task in tasks.own_tasks():
        for point in LEAST[task.name]:
            assert task.regret(point) == pytest.approx(0, abs=1e-5)
        drawn = np.random.default_rng(0).uniform(task.low, task.high, (100, len(task.low)))
        assert min(task.regret(point) for point in drawn) > 0


def test_tasks_of_the_benchmark_are_those_that_were_measured(tasks: ModuleType) -> None:
    names = [*tasks.OF_CARPS["dev"], *tasks.OF_CARPS["test"]]
    assert len(names) == len(set(names)) == 10
    assert set(names) == set(tasks.FINGERPRINTS), "by which another version of the package is known"


@pytest.mark.parametrize("side", ["raygen:TPE", "raygen:CMAES", "Optuna:TPE", "Optuna:Sobol"])
def test_a_search_is_asked_again_with_the_same_points(
    monkeypatch: pytest.MonkeyPatch, tasks: ModuleType, side: str
) -> None:
    sides = importlib.import_module("sweep_sides")
    (task, _) = tasks.own_tasks()

    def points() -> list[list[float]]:
        told: list[list[float]] = []
        with sides.opened(side, task, 3, {}) as suggest:
            for _ in range(14):
                told.append(list(suggest(task.function(told[-1]) if told else None)))
        return told

    first = points()
    assert first == points()
    assert all(
        low <= x <= high for point in first for low, x, high in zip(task.low, point, task.high, strict=True)
    )


def test_the_page_on_sweeps_has_the_ranks_that_were_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    table = importlib.import_module("table")
    measured = "\n".join(table.sweep_table.which_search(table.read_result("sweep_regret"), table.row))
    assert measured in (BENCHMARKS.parent / "docs" / "sweeps.md").read_text()
