"""The sections of results/README.md about sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from harness import read_result
from image_table import judged

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]
Middle = Callable[..., tuple[str, str]]

FIGURES = (
    ("raygen_to_ideal", "raygen's time over the trials' own, shared by the slots", 3),
    ("tune_to_ideal", "Ray Tune's, with reused actors", 3),
    ("overhead_to_tune", "raygen's idle time of a slot for each trial over Ray Tune's", 3),
    ("driver_mb", "MB of the driver", 0),
    ("restart_s", "s to open the sweep again, up to its next decision", 2),
    ("summary_kb", "kB of summary.json", 1),
)

KILLS = (
    ("drivers", "drivers"),
    ("trials", "trials"),
    ("events", "events"),
    ("decisions", "decisions that were worked out again"),
    ("differences", "of these otherwise than in the log"),
    ("lost", "kills after which something recorded was gone"),
    ("repeated_trials", "trials that were proposed twice"),
    ("repeated_reports", "measurements that are there twice"),
)


def sweep_overhead(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """What a sweep costs beside its trials."""
    for name in ("sweep_overhead", "sweep_scale"):
        result = read_result(name)
        if not result:
            continue
        title = (
            f"{result['trials']:,} trials that sleep for {result['seconds']:g} s, {result['slots']} at a time"
        )
        yield from heading(title, result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        for figure, words, digits in FIGURES:
            if figure in result:
                bound = result["must"].get(figure)
                limit = judged(f"<= {bound:g}", result[figure]["median"]) if bound is not None else ""
                yield from row(words, *middle(result[figure], digits), limit)
        yield ""


def sweep_kills(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:  # noqa: ARG001
    """What the log of a sweep holds whose driver was killed again and again."""
    result = read_result("sweep_kills")
    if not result:
        return
    yield from heading(
        f"{result['kills']} kills of a sweep's driver, {result['slots']} trials at a time", result
    )
    yield from row("figure", "found", "must")
    yield from row(*["---"] * 3)
    for figure, words in KILLS:
        bound = result["must"].get(figure)
        limit = judged(f"<= {bound:g}", result[figure]) if bound is not None else ""
        yield from row(words, f"{result[figure]:,}", limit)
    yield ""


def sweep_curves(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """How near early stopping comes to the best of all, and for how much."""
    result = read_result("sweep_curves")
    if not result:
        return
    count, seeds = result["configurations"], result["seeds"]
    title = f"Early stopping on {count} configurations of a small GPT, {result['steps']} steps, {seeds} seeds"
    yield from heading(title, result)
    yield from row(
        "",
        "loss above the best of all",
        "least to most",
        "must",
        "share of the steps",
        "least to most",
        "must",
    )
    yield from row(*["---"] * 7)
    must = result["must"]
    for name, found in result["schedulers"].items():
        is_ours = "Tune" not in name and name != "random search"
        gap = judged(f"<= {must['gap']:g}", found["gap"]["median"]) if is_ours else ""
        share = judged(f"<= {must['share']:g}", found["share"]["median"]) if is_ours else ""
        yield from row(name, *middle(found["gap"], 4), gap, *middle(found["share"], 3), share)
    yield ""


VERDICTS = ("better", "even", "worse")


def sweep_regret(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:  # noqa: ARG001
    """How near searches come to the least value of known functions."""
    result = read_result("sweep_regret")
    if not result:
        return
    title = f"Regret of searches on {len(result['tasks'])} functions"
    yield from heading(title, result)
    versions = [f"{name} {found}" for one in result["packages"].values() for name, found in one.items()]
    yield f"{', '.join(dict.fromkeys(versions))}.\n"
    yield from _comparisons(result, row)
    yield "raygen's own searches: the mean of their ranks among themselves, by median regret.\n"
    yield from which_search(result, row)
    for budget, found in result["budgets"].items():
        yield from _medians(result, budget, found["ranks"], row)


def _comparisons(result: dict[str, Any], row: Row) -> Iterator[str]:
    """Each search beside others, by functions on which it is better or worse."""
    columns = ("search", "beside", "trials", "seeds", "median not greater on", "ratio of regrets (p)")
    yield from row(*columns, *VERDICTS, "must")
    yield from row(*["---"] * (len(columns) + len(VERDICTS) + 1))
    for budget, found in result["budgets"].items():
        for one in found["comparisons"]:
            count = len(one["tasks"])
            beside = (
                one["theirs"][0] if len(one["theirs"]) == 1 else f"the best of {', '.join(one['theirs'])}"
            )
            chance = "" if one["p"] is None else f" ({one['p']:.2f})"
            yield from row(
                one["ours"],
                beside,
                budget,
                _range(one["seeds"]),
                f"{one['median_not_greater']} of {count}",
                f"{one['ratio']:.2f}{chance}",
                *(str(one[verdict]) for verdict in VERDICTS),
                judged("<= 0", one["worse"]) if one["may_reject"] else "too few seeds to test",
            )
    yield ""


def _medians(result: dict[str, Any], budget: str, ranks: dict[str, float], row: Row) -> Iterator[str]:
    """Median regret by function, of searches that ran on all, the best first."""
    found = {(one["side"], one["task"]): one["regrets"][budget] for one in result["runs"]}
    yield from row(f"median regret after {budget} trials", *ranks)
    yield from row(*["---"] * (len(ranks) + 1))
    for task, about in result["tasks"].items():
        cells = [f"{median(found[side, task]):.3g}" for side in ranks]
        yield from row(f"{task}, {about['parameters']} parameters", *cells)
    yield from row("mean rank", *(f"{rank:.2f}" for rank in ranks.values()))
    seeds = [[len(found[side, task]) for task in result["tasks"]] for side in ranks]
    yield from row("seeds", *map(_range, seeds))
    yield ""


def which_search(result: dict[str, Any], row: Row) -> Iterator[str]:
    """raygen's searches by budget and number of parameters, by their mean ranks among themselves; a page has it too."""
    kinds = ("Random", "Sobol", "TPE", "GaussianProcess", "CMAES")
    yield from row("trials", "parameters", "functions", *(f"`{kind}`" for kind in kinds))
    yield from row(*["---"] * (len(kinds) + 3))
    for budget, found in result["budgets"].items():
        for group in found["groups"]:
            means = [group["ranks"].get(f"raygen:{kind}") for kind in kinds]
            cells = ["" if one is None else f"{one:.1f}" for one in means]
            yield from row(budget, group["parameters"], str(group["functions"]), *cells)
    yield ""


def _range(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    return str(most) if least == most else f"{least} to {most}"
