"""One trial, in the process that trains it."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from importlib import import_module
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from raygen.errors import InputError, ObjectiveTimeoutError, RaygenError, reason_of
from raygen.run.directory import RunDirectory
from raygen.run.measurements import EVALUATION
from raygen.storage import open_storage
from raygen.sweeps.trials.inheriting import inherit
from raygen.sweeps.trials.protocol import Evaluated, Judge, Left, Message, TrialTask
from raygen.training import drain
from raygen.training.driver import train
from raygen.training.engine.control import STOP_AT, Control


class RunningTrial:
    """Trains a trial on a thread of its own, and hands on what it says.

    Args:
        task: The trial.

    Attributes:
        number: The trial's.
    """

    def __init__(self, task: TrialTask) -> None:
        self.number = task.trial
        self._task = task
        self._said: Queue[Message] = Queue()
        self._answers: Queue[tuple[int | None, bool]] = Queue()
        self._control = Control(stop_at=task.until, report=self._report)
        self._step = 0
        self._thread = Thread(target=self._run, name=f"trial-{task.trial}", daemon=True)
        self._thread.start()

    def messages(self) -> Iterator[Message]:
        """What it says, as it comes; the last is that it has left."""
        while True:
            message = self._said.get()
            yield message
            if isinstance(message, Left):
                self._thread.join()
                return

    def answer(self, until: int | None, *, stay: bool) -> None:
        """See `Workers.answer`."""
        self._answers.put((until, stay))

    def stop(self) -> None:
        """Asks it to leave at its next step, also while it asks."""
        self._control.stop("Stopped")
        self._answers.put((None, False))

    def _report(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        until = self._control.stop_step
        # Functions look at a checkpoint, which is there when the run has stopped.
        asks = until is not None and step >= until and not self._task.functions
        self._say(Evaluated(self._task.trial, step, _plain(values), asks))
        if asks and not self._control.requested:
            further, stay = self._answers.get()
            if stay:
                self._control.stop_at(further)

    def _say(self, message: Message) -> None:
        self._said.put(message)

    def _run(self) -> None:
        task = self._task
        try:
            inherit(task, self._control)
            self._tell_again()
            result = train(
                dict(task.job),
                base=Path(task.base),
                output=task.runs,
                run=task.run,
                cores=task.cores * _workers(task),
                # A pod names its cluster, of which this process is a part: one worker trains here, several in processes of their own.
                distributed=_workers(task) > 1,
                control=self._control,
            )
            if result.reason == drain.REASON:
                drain.answer()
            elif result.step > 0 and task.functions and result.reason != "Stopped":
                self._say(Evaluated(task.trial, result.step, self._judged(result.run, result.step), False))
            whole = result.state == "Succeeded"
            state = "Whole" if whole else "Leased" if result.reason == STOP_AT else "Stopped"
            self._say(Left(task.trial, result.step, state, result.reason, ""))
        except RaygenError as error:
            self._say(Left(task.trial, self._step, "Failed", reason_of(error), _sentence(error)))
        except BaseException as error:  # noqa: BLE001 (a trial that fails, or a function that exits, leaves the others alone)
            # The whole of it is in the log of this process.
            traceback.print_exc()
            said = f"{str(error)[:500]} ({_where(error)})".lstrip()
            self._say(Left(task.trial, self._step, "Failed", type(error).__name__, said))

    def _tell_again(self) -> None:
        """Says what the run has measured before: a driver that was killed may not have heard of it."""
        directory = RunDirectory(open_storage(self._task.runs), self._task.run)
        for line in directory.read_metrics().lines:
            if line.kind == EVALUATION:
                self._say(Evaluated(self._task.trial, line.step, _plain(line.values), asks=False))

    def _judged(self, run: str, step: int) -> dict[str, float]:
        """What functions of the checkpoint give."""
        from raygen.inference.run import Run

        opened = Run.open(run)
        return {name: _called(one, opened, step) for name, one in self._task.functions.items()}


def _called(judge: Judge, run: Any, step: int) -> float:
    """What a function gives for a checkpoint of a run.

    Raises:
        ObjectiveTimeoutError: it takes longer than it may. It goes on until this process ends.
    """
    function = function_at(judge.entry_point)
    if judge.seconds is None:
        return float(function(run, step))
    answers: Future[float] = Future()

    def answer() -> None:
        try:
            answers.set_result(float(function(run, step)))
        except BaseException as error:  # noqa: BLE001 (a function may exit, too)
            answers.set_exception(error)

    Thread(target=answer, name=judge.entry_point, daemon=True).start()
    done, _ = wait([answers], judge.seconds)
    if not done:
        raise ObjectiveTimeoutError(
            f"has not returned after {judge.seconds:g} s, with the checkpoint of step {step}",
            where=judge.entry_point,
            remedy="Make it faster, or raise its timeoutSeconds.",
        )
    return answers.result()


def _where(error: BaseException) -> str:
    """The place in the code where something was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"


def _workers(task: TrialTask) -> int:
    return int((task.job["spec"].get("scale") or {}).get("workers") or 1)


def function_at(path: str) -> Callable[..., Any]:
    """The function at module:function.

    Raises:
        InputError: there is none.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"cannot be imported: {error}",
            where=path,
            remedy="Put its module where Python finds it, such as a folder in PYTHONPATH.",
        ) from error
    if not callable(found):
        raise InputError("is not a function", where=path, remedy="Name a function.")
    function: Callable[..., Any] = found
    return function


def _sentence(error: RaygenError) -> str:
    faults = [f"{one.path} {one.rule}" for one in getattr(error, "faults", ())][:3]
    return "; ".join([error.located, *faults])[:1000]


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) if value is not None else math.nan for name, value in values.items()}
