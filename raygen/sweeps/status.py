"""Tells the cluster how far a sweep's driver is and how it ended: `progress` and `outcome` of its Sweep's status."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raygen.storage import Storage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.driver import SweepResult, Watcher
from raygen.sweeps.events import Event
from raygen.sweeps.history import History
from raygen.sweeps.sweep import SilentWatcher
from raygen.training.observers.kubernetes import StatusWriter, failure, short, words, writer

MAX_TEXT = 200
"""Characters of a value that the status shows."""
EXIT_CODES = {"Succeeded": 0, "Stopped": 3}


class SweepReporter(SilentWatcher):
    """A watcher that writes the status of a Sweep.

    Args:
        writer: Writes it.
    """

    def __init__(self, writer: StatusWriter) -> None:
        self._writer = writer
        self._driver = 1
        self._progress: dict[str, Any] = {}
        self._first_step: int | None = None
        self._pods: Mapping[str, Any] = {}

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """Takes the driver's number."""
        del directory
        self._driver = driver

    def has_use_for(self, pods: Mapping[str, Any]) -> None:
        """Takes what worker pods the sweep has use for."""
        self._pods = pods

    def summarised(self, summary: Mapping[str, Any]) -> None:
        """Takes how the sweep is."""
        counts, used = summary["counts"], summary["used"]
        if self._first_step is None:
            self._first_step = summary["steps"] + 1
        trained = summary["trials"] - counts.get("Running", 0)
        progress = {
            "attempt": self._driver,
            "firstStep": self._first_step,
            "step": summary["steps"],
            "trials": summary["trials"],
            **{state.lower(): counts.get(state, 0) for state in ("Running", "Waiting")},
            **{state.lower(): counts.get(state, 0) for state in ("Completed", "Stopped", "Failed")},
            "said": f"{trained} of {summary['limit']}" if "limit" in summary else f"{trained}",
            "used": short(used),
        }
        if used > 0:
            left = max(0, int(summary["seconds"] * (1 - used) / used))
            progress |= {"remainingSeconds": left, "eta": words(left)}
        if summary["best"]:
            progress["best"] = _best(summary["best"][0], [one["name"] for one in summary["objectives"]])
        if self._pods:
            progress["workers"] = dict(self._pods)
        if "front" in summary:
            progress["front"] = summary["front"]
        self._progress = progress
        self._writer.put("progress", progress)

    def ended(self, result: SweepResult) -> None:
        """Writes the outcome of a driver that ended well; blocks until it is written, or for some seconds."""
        if result.state == "Succeeded":
            # Nothing follows, whatever of the budget is left.
            left = ("remainingSeconds", "eta")
            told = {name: value for name, value in self._progress.items() if name not in left}
            self._writer.put("progress", told)
        self._writer.last(
            {
                "state": result.state,
                "reason": result.reason,
                "message": f"{result.state} after {result.trials} trials{_best_words(result)}.",
                "exitCode": EXIT_CODES[result.state],
                "run": result.sweep,
            }
        )

    def failed(self, error: BaseException) -> None:
        """Writes the outcome of a driver that failed; blocks as `ended` does."""
        self._writer.last(failure(error))


class LogKeeper(SilentWatcher):
    """A watcher that tells the logs where the sweep is.

    Args:
        attach: Takes the sweep's directory and the driver's number.
    """

    def __init__(self, attach: Callable[[Storage, int], None]) -> None:
        self._attach = attach

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """Tells it."""
        self._attach(directory.storage, driver)


class Watchers:
    """Several watchers as one."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def take(self, event: Event, history: History) -> None:
        """Hands it on."""
        for one in self._watchers:
            one.take(event, history)

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """Hands it on."""
        for one in self._watchers:
            one.began(directory, driver)

    def summarised(self, summary: Mapping[str, Any]) -> None:
        """Hands it on."""
        for one in self._watchers:
            one.summarised(summary)

    def has_use_for(self, pods: Mapping[str, Any]) -> None:
        """Hands it on."""
        for one in self._watchers:
            one.has_use_for(pods)

    def notice(self, text: str) -> None:
        """Hands it on."""
        for one in self._watchers:
            one.notice(text)


def reporter(tell: Callable[[str], None]) -> SweepReporter | None:
    """The reporter that the pod's environment asks for, if it does."""
    found = writer(tell)
    return None if found is None else SweepReporter(found)


def _best(trial: Mapping[str, Any], objectives: Sequence[str]) -> dict[str, Any]:
    """The best trial as the status has it, the objectives first."""
    metrics: Mapping[str, float] = trial["metrics"]
    names = [*objectives, *(name for name in sorted(metrics) if name not in objectives)]
    best: dict[str, Any] = {
        "trial": trial["trial"],
        "values": {path: _shown(value) for path, value in trial["values"].items()},
        "metrics": [
            {"name": name, "value": short(metrics[name]), "step": trial["step"]}
            for name in names
            if name in metrics and math.isfinite(metrics[name])
        ][:32],
        "run": trial["run"],
    }
    if trial["checkpoint"] is not None:
        best["checkpoint"] = trial["checkpoint"]
    return best


def _shown(value: object) -> object:
    """A value, or of a long one its beginning."""
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return value if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _best_words(result: SweepResult) -> str:
    if not result.best:
        return ""
    best = result.best[0]
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in best["metrics"].items())
    return f"; the best is trial {best['trial']}: {metrics}"
