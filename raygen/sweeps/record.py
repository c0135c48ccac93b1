"""A sweep that is there, as readers see it: its trials, the best of them, and the job that gives one again."""

from __future__ import annotations

from typing import Any

from pydantic.alias_generators import to_camel

from raygen.errors import InputError
from raygen.spec import TrainingJob, parse
from raygen.storage import open_storage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.history import History, Trial
from raygen.sweeps.replay import opened
from raygen.sweeps.summary import described, summary_of
from raygen.sweeps.trials.tasks import trial_job


class SweepRecord:
    """A sweep, read from its directory.

    Args:
        uri: The directory.

    Attributes:
        sweep: The sweep, as its newest driver had it.
        history: All that is known.
        events: The log.
        policy: Decides what follows.
        space: What varies.

    Raises:
        InputError: there is no sweep.
        OutputError: its log is damaged.
    """

    def __init__(self, uri: str) -> None:
        self.directory = SweepDirectory(open_storage(uri))
        self.events = self.directory.read_known()
        self.policy, self.history = opened(self.events)
        self.sweep, self.space = self.policy.sweep, self.policy.space

    @property
    def best(self) -> list[Trial]:
        """The best trials; see `History.best`."""
        return self.history.best()

    def summary(self) -> dict[str, Any]:
        """The sweep in short."""
        return summary_of(self.sweep, self.history, self.policy, self.directory.trials)

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
        document = trial_job(self.policy, self.history, self._numbered(number), self.policy.cores)
        spec = self.sweep.spec
        # Where the sweep ran the job may run too.
        document["spec"] |= {
            to_camel(name): value.model_dump(mode="json", exclude_unset=True)
            for name in ("runtime_ref", "scheduling")
            if name in spec.model_fields_set and (value := getattr(spec, name)) is not None
        }
        suffix = f"-{number:04d}"
        document["metadata"]["name"] = self.sweep.metadata.name[: 40 - len(suffix)].rstrip("-") + suffix
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
    return sorted(
        history.trials,
        key=lambda trial: (*standing(trial, history), history.score(trial) or (), trial.number),
    )


def standing(trial: Trial, history: History) -> tuple[float, ...]:
    """What comes before scores in that order; less is better.

    Trials that were trained whole come first, however many steps each of them had; then those that were trained further.
    """
    whole = trial.state == "Completed"
    return (
        trial.state == "Failed",
        history.score(trial) is None,
        not history.is_feasible(trial),
        not whole,
        0 if whole else -trial.step,
    )
