"""The driver's side of what workers wait for: the attempt that begins, whether to stop or pause, answers to reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from raygen.training.engine.control import Control
from raygen.training.engine.store import CONTROL, REPORT, STOP, Store
from raygen.training.facts import Facts
from raygen.training.ray.mailbox import BEGUN, FACTS, RESULT, ClaimedAttempt, Inbox


class Steering:
    """Hands on to workers what their driver decides.

    Args:
        store: Where workers look.
        control: What the driver's caller wants.
        inbox: Delivers what workers have said before an answer that refers to it.
        answer: Begins the attempt, once data and model are open; gives what workers have to know of it.
    """

    def __init__(
        self, store: Store, control: Control, inbox: Inbox, answer: Callable[[Facts], ClaimedAttempt]
    ) -> None:
        self._store, self._control, self._inbox, self._answer = store, control, inbox, answer
        self._sent: str | None = None
        self.stopping = False

    def deliver(self) -> None:
        """Looks what workers wait for, and hands on what has changed; what `answer` raises comes out here."""
        self._steer()
        self._inbox.deliver()
        if self._store.check([RESULT]):
            # Nobody waits any more, and an attempt that has not begun is not to begin.
            return
        if self._store.check([FACTS]) and not self._store.check([BEGUN]):
            facts = Facts(**json.loads(self._store.get(FACTS)))
            self._store.set(BEGUN, json.dumps(asdict(self._answer(facts))))
        if self._store.check([REPORT]):
            question = json.loads(self._store.get(REPORT))
            self._store.delete_key(REPORT)
            self._control.notify(question["step"], question["values"])
            self._steer()
            self._store.set(question["answer"], json.dumps(self._wanted()))

    def _steer(self) -> None:
        if self._control.requested and not self.stopping:
            self._store.set(STOP, self._control.reason or "")
            self.stopping = True
        wanted = json.dumps({"paused": self._control.paused, "at": self._control.stop_step})
        if wanted != self._sent:
            self._store.set(CONTROL, wanted)
            self._sent = wanted

    def _wanted(self) -> dict[str, Any]:
        control = self._control
        return {"stop": control.reason, "paused": control.paused, "at": control.stop_step}
