"""Full: every trial to its end."""

from __future__ import annotations

from raygen.sweeps.history import History
from raygen.sweeps.scheduling.following import Follower, Queue
from raygen.sweeps.scheduling.protocol import Decision, Train


class Full:
    """Trains every trial to its end. One that waits, since its worker was lost or the sweep was stopped, goes on before a new one
    begins, and the lowest number first.
    """

    def __init__(self) -> None:
        self._follower = Follower()
        self._waiting = Queue()

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """See `raygen.sweeps.scheduling.protocol.Scheduler`."""
        for trial in self._follower.changed(history):
            if trial.state == "Waiting":
                self._waiting.add(trial.number)
        number = self._waiting.first(lambda one: history.trials[one].state == "Waiting")
        return Train(number, None) if number is not None or may_begin else None
