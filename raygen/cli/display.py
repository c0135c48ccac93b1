"""What a person sees of a run: a live line on a terminal, and lines that stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from raygen.cli.live import LiveConsole
from raygen.cli.output import duration, number, printable
from raygen.models.sample import Sample
from raygen.training.observers.events import Observer, Preparing, Progress, Started, WorkersLost

SHOWN_CHARACTERS = 400
SLOW_START_S = 3.0
SILENT_S = 60.0
"""Where there is no live line, progress is printed after this long without any other line."""
SHOWN_WAIT = 0.01
"""Share of the time that training waits for data, above which it is shown."""


class Display(LiveConsole, Observer):
    """Prints events to stderr; stdout stays free for data.

    On a terminal the newest progress is one line at the bottom that changes. Elsewhere there is no such
    line: evaluations, samples and notices are printed, and progress where these are far apart.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, per_second=4)
        self._clock = clock
        self._printed = clock()
        self._steps = 0
        self._loss = ""

    def notice(self, message: str) -> None:
        """Prints a line that stays."""
        self._line(Text(message, style="yellow"))

    def preparing(self, preparing: Preparing) -> None:
        """Changes the live line."""
        count = f": {number(preparing.done)} of {number(preparing.parts)}" if preparing.parts else ""
        self._live.update(Text(f"preparing data, {preparing.doing}{count}", style="bold"))

    def started(self, start: Started) -> None:
        """Prints what is about to run."""
        self._steps = start.steps
        self._line(
            Text(
                f"run {start.run}  attempt {start.attempt}  {number(start.parameters)} parameters  {start.device}"
            )
        )
        if start.first_step > 1:
            self._line(Text(f"continues at step {number(start.first_step)} of {number(start.steps)}"))

    def ready(self, seconds: Mapping[str, float]) -> None:
        """Prints how long it took to get here, if that was long, and what took the time."""
        total = sum(seconds.values())
        if total >= SLOW_START_S:
            parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items() if value >= 0.05)
            self._line(Text(f"first step after {total:.1f} s: {parts}", style="dim"))

    def progressed(self, progress: Progress) -> None:
        """Changes the live line."""
        saved = "none yet" if progress.checkpoint is None else f"step {number(progress.checkpoint)}"
        self._loss = f"train {progress.loss:.4f}  {number(round(progress.throughput))} {progress.unit}/s"
        waits = f"  waits for data {progress.data_wait:.0%}" if progress.data_wait > SHOWN_WAIT else ""
        line = Text(
            f"step {number(progress.step)}/{number(progress.steps)}  loss {progress.loss:.4f}"
            f"  {number(round(progress.throughput))} {progress.unit}/s{waits}"
            f"  ETA {duration(progress.seconds_left)}  checkpoint {saved}",
            style="bold",
        )
        self._live.update(line)
        if not self._console.is_terminal and self._clock() - self._printed >= SILENT_S:
            self._line(line)

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Prints a line of metrics."""
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        self._line(Text(f"step {number(step)}/{number(self._steps)}  {metrics}  ({self._loss})"))

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """Prints the first text."""
        texts = [s for s in samples if s.text is not None]
        if not texts:
            return
        shown = texts[0].prompt + (texts[0].text or "")
        shown = shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "..."
        body = "\n".join("  | " + printable(line) for line in shown.splitlines())
        self._line(Text(f"sample at step {number(step)}:\n{body}", style="cyan"))

    def workers_lost(self, lost: WorkersLost) -> None:
        """Prints why training stands still."""
        what = "a worker's pod is about to go" if lost.drained else f"workers were lost: {lost.cause}"
        self.notice(f"{what}; all are started again from the newest checkpoint")

    def _line(self, text: Text) -> None:
        self._printed = self._clock()
        self._console.print(text)
