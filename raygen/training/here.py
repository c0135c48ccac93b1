"""Trains in the process of the driver; imports PyTorch, so it is imported late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import torch

from raygen.compute.device import limited_threads
from raygen.data.protocol import Dataset
from raygen.evaluation.generated.making import Team
from raygen.models.protocol import Alone, Family
from raygen.parallel.whole import SingleWorker
from raygen.training.engine.agreement import OwnDecisions
from raygen.training.engine.attempt import AttemptContext, train_attempt
from raygen.training.engine.control import Control
from raygen.training.engine.evaluation.measuring import make_evaluator
from raygen.training.engine.guards import Guards
from raygen.training.engine.state import State, Trained
from raygen.training.facts import Facts
from raygen.training.observers.events import EventSink, notices_of
from raygen.training.observers.startup import JOB_AND_DATA, Startup
from raygen.training.opening import facts_of, open_dataset, open_model, start_from
from raygen.training.prepare import Begun, JobPlan
from raygen.training.result import Result


def look(plan: JobPlan, control: Control, notice: Callable[[str], None]) -> Facts:
    """Opens data, model and the extractor of metrics, and closes them again.

    Raises:
        InputError: they cannot be used.
    """
    with limited_threads(plan.cores), closing(_data(plan, control, notice)) as data:
        device = _device(plan)
        facts = facts_of(plan.job, data, _model(plan, control, data, device), device)
        # It opens the extractor, and gives up before the first of the real images.
        make_evaluator(plan.job, plan.base, data, Team(go_on=lambda: False))
        return facts


def train_here(
    plan: JobPlan,
    state: State,
    control: Control,
    guards: Guards,
    observer: EventSink,
    startup: Startup,
    begin: Callable[[Facts], Begun | Result],
) -> Trained | Result:
    """Opens data and model, and trains.

    Args:
        plan: The run.
        state: The loop's; it counts on.
        control: Stops and pauses the run.
        guards: Watch the numbers.
        observer: Takes events.
        startup: Takes the time until the first step.
        begin: Begins the attempt, once data and model are open; or gives the result of a run that has nothing left to do.

    Raises:
        RaygenError: as `opening` and `engine.attempt.train_attempt` do.
    """
    with limited_threads(plan.cores), closing(_data(plan, control, notices_of(observer))) as data:
        device = _device(plan)
        family = _model(plan, control, data, device)
        begun = begin(facts_of(plan.job, data, family, device))
        if isinstance(begun, Result):
            return begun
        startup.done(JOB_AND_DATA)
        context = AttemptContext(
            job=plan.job,
            base=plan.base,
            directory=plan.directory,
            attempt=begun.attempt,
            steps=begun.steps,
            rollbacks=plan.rollbacks,
            data=data,
            family=family,
            device=device,
            checkpoint=plan.take_checkpoint(),
            state=state,
            control=control,
            guards=guards,
            observer=observer,
            workers=Alone(),
            strategy=SingleWorker(),
            agreement=OwnDecisions(control),
            startup=startup,
        )
        return train_attempt(context)


def _device(plan: JobPlan) -> torch.device:
    # The accelerator of a machine with Ray workers is theirs.
    return torch.device("cpu" if plan.distributed else plan.device)


def _data(plan: JobPlan, control: Control, notice: Callable[[str], None]) -> Dataset:
    with control.interrupt_at_once():
        return open_dataset(plan.job, plan.base, plan.data_files(), notice)


def _model(plan: JobPlan, control: Control, data: Dataset, device: torch.device) -> Family:
    with control.interrupt_at_once():
        family = open_model(plan.job, data, device)
        if plan.parent is not None and plan.start is not None:
            start_from(family, plan.parent.checkpoint(plan.start), plan.parent.directory.uri)
    return family
