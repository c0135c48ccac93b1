"""A sweep that is there, as readers see it: its trials, the best of them, and the job that gives one again."""

from __future__ import annotations

from typing import Any

from raygen.errors import InputError
from raygen.spec import TrainingJob, parse
from raygen.storage import open_storage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.driver import trial_job
from raygen.sweeps.history import History, Trial
from raygen.sweeps.replay import opened
from raygen.sweeps.summary import described, summary_of


class SweepRecord:
    """A sweep, read from its directory.

    Args:
        uri: The directory.

    Attributes:
        sweep: The sweep, as its newest driver had it.
        history: All that is known.

    Raises:
        InputError: there is no sweep.
        OutputError: its log is damaged.
    """

    def __init__(self, uri: str) -> None:
        self.directory = SweepDirectory(open_storage(uri))
        events = self.directory.read_known()
        self._policy, self.history = opened(events)
        self.sweep = self._policy.sweep
        self._cores = self._policy.cores

    @property
    def best(self) -> list[Trial]:
        """The best trials; see `History.best`."""
        return self.history.best()

    def summary(self) -> dict[str, Any]:
        """The sweep in short."""
        return summary_of(self.sweep, self.history, self._policy, self.directory.trials)

    def trial(self, number: int) -> dict[str, Any]:
        """A trial in short.

        Raises:
            InputError: there is none of this number.
        """
        return described(self._numbered(number), self.history, self.directory.trials)

    def job(self, number: int) -> TrainingJob:
        """The job whose training gives a trial's weights again, to the bit.

        Raises:
            InputError: there is no trial of this number.
        """
        document = trial_job(self._policy, self.history, self._numbered(number), self._cores)
        document["metadata"]["name"] = f"{self.sweep.metadata.name[:35].rstrip('-')}-{number:04d}"
        return parse(document)

    def _numbered(self, number: int) -> Trial:
        if not 0 <= number < len(self.history.trials):
            raise InputError(
                f"there is no trial {number}",
                where=self.directory.uri,
                remedy=f"There are {len(self.history.trials)}, counted from 0.",
            )
        return self.history.trials[number]


def ranked(history: History) -> list[Trial]:
    """Trials in the order in which a table shows them: the best first, those that failed last."""

    def rank(trial: Trial) -> tuple[Any, ...]:
        score = history.score(trial)
        feasible = history.is_feasible(trial)
        return (trial.state == "Failed", score is None, not feasible, -trial.step, score or (), trial.number)

    return sorted(history.trials, key=rank)
