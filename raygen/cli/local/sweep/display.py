"""What a person sees of a sweep: a live table on a terminal, and lines that stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from raygen.cli.live import LiveConsole
from raygen.cli.output import duration
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.events import Began, Ended, Event, Proposed, Returned
from raygen.sweeps.history import History, Trial
from raygen.sweeps.record import ranked

ROWS = 12
DRAWN_S = 0.5


class SweepDisplay(LiveConsole):
    """Prints to stderr; stdout stays free for data.

    On a terminal a table of the best trials changes at the bottom. Elsewhere there is none: what becomes of each trial is printed.

    Args:
        sweep: The sweep.
        console: Where to print.
        clock: Seconds that only grow.
    """

    def __init__(
        self, sweep: Sweep, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console, per_second=2)
        self._spec = sweep.spec
        self._clock = clock
        self._drawn = clock()

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """Says nothing."""

    def summarised(self, summary: Mapping[str, Any]) -> None:
        """Draws from what happens."""

    def has_use_for(self, pods: Mapping[str, Any]) -> None:
        """Shows nothing of it: who watches here has no pods."""

    def notice(self, text: str) -> None:
        """Prints a line that stays."""
        self._console.print(Text(text, style="yellow"))

    def take(self, event: Event, history: History) -> None:
        """Prints what becomes of a trial, and changes the table."""
        if isinstance(event, Began):
            if event.driver > 1:
                self._console.print(
                    Text(f"continues with {len(history.trials)} trials (driver {event.driver})")
                )
        elif isinstance(event, (Ended, Returned, Proposed)):
            self._say(event, history)
        if self._console.is_terminal and self._clock() - self._drawn >= DRAWN_S:
            self._drawn = self._clock()
            self._live.update(self._table(history))

    def _say(self, event: Ended | Returned | Proposed, history: History) -> None:
        trial = history.trials[event.trial]
        if isinstance(event, Proposed):
            if not self._console.is_terminal:
                values = "  ".join(f"{_short(path)} {_shown(value)}" for path, value in event.values.items())
                begun = (
                    "" if event.parent is None else f" from step {event.parent_step} of trial {event.parent}"
                )
                self._console.print(Text(f"trial {event.trial}  {values}  ({event.source}{begun})"))
            return
        if isinstance(event, Returned):
            if event.reason == "WorkerLost":
                self.notice(
                    f"trial {event.trial}: its worker was lost; it goes on from its newest checkpoint"
                )
            elif event.reason == "Decision" and not self._console.is_terminal:
                self._console.print(Text(_came(trial, history), style="dim"))
            return
        words = {
            "Completed": "",
            "Stopped": f"stopped ({event.reason})",
            "Failed": f"failed ({event.reason})",
        }
        said = f"{words[event.state]} {event.message}".strip()
        style = "red" if event.state == "Failed" else "none"
        self._console.print(Text(f"{_came(trial, history)}  {said}".rstrip(), style=style))

    def _table(self, history: History) -> Table:
        paths = [one.path for one in self._spec.parameters if one.type != "Linked"]
        done = sum(one.has_ended for one in history.trials)
        limit = self._spec.budget.trials
        title = (
            f"{len(history.trials) - history.known}{'' if limit is None else f' of {limit}'} trials, {history.running} running,"
            f" {done} ended, {history.failed} failed, {duration(history.now)}"
        )
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("trial", "state", "step", *(one.name for one in self._spec.objectives)):
            table.add_column(heading, justify="right" if heading != "state" else "left")
        for path in paths:
            table.add_column(_short(path), justify="right")
        for trial in ranked(history)[:ROWS]:
            values = _judged(trial, history)
            table.add_row(
                str(trial.number),
                trial.state,
                str(trial.step),
                *(f"{values[one.name]:.4f}" if one.name in values else "" for one in self._spec.objectives),
                *(_shown(trial.values[path]) if path in trial.values else "" for path in paths),
            )
        return table


def _judged(trial: Trial, history: History) -> dict[str, float]:
    score = history.score(trial)
    if score is None:
        return {}
    return {one.name: one.sign * value for one, value in zip(history.objectives, score, strict=True)}


def _came(trial: Trial, history: History) -> str:
    """What a trial has come to."""
    values = (f"{name} {value:.4f}" for name, value in _judged(trial, history).items())
    return "  ".join([f"trial {trial.number}", f"step {trial.step}", *values])


def _short(path: str) -> str:
    return path.rpartition(".")[2]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:30]
