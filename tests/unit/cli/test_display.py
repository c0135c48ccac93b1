from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from raygen.cli.display import Display
from raygen.models.protocol import Sample
from raygen.training.observers.events import Preparing, Progress, Started, WorkersLost

PLAN = Started(run="runs/a", attempt=1, parameters=1234, device="cpu", first_step=1, steps=1000)
PROGRESS = Progress(
    step=250, steps=1000, loss=1.5, throughput=20_000.0, unit="tokens", seconds_left=75.0, checkpoint=200
)


def shown(*, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120, highlight=False, soft_wrap=True)
    with Display(console) as display:
        display.started(PLAN)
        display.progressed(PROGRESS)
        display.evaluated(250, {"loss": 1.6})
        display.sampled(250, [Sample(prompt="A:", text="b\x1b[2Jc")])
    return stream.getvalue()


def test_a_terminal_has_a_live_line_with_everything() -> None:
    text = shown(terminal=True)
    for part in ("step 250/1,000", "loss 1.5000", "20,000 tokens/s", "ETA 1:15", "checkpoint step 200"):
        assert part in text


def test_a_terminal_shows_how_far_data_is_prepared() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=True, width=80, highlight=False)) as display:
        display.preparing(Preparing("listing sources", 0, 0))
        display.preparing(Preparing("cleaning", 1200, 4000))
    assert "preparing data, cleaning: 1,200 of 4,000" in stream.getvalue()


def test_elsewhere_only_lines_that_stay_are_printed() -> None:
    text = shown(terminal=False)
    assert "ETA" not in text
    assert "\x1b" not in text
    assert "step 250/1,000  loss 1.6000" in text


def test_waiting_for_data_is_shown_where_it_matters() -> None:
    for share, shown_as in ((0.01, None), (0.234, "waits for data 23%")):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=120, highlight=False, soft_wrap=True)
        with Display(console) as display:
            display.progressed(replace(PROGRESS, data_wait=share))
        assert ("waits for data" in stream.getvalue()) == (shown_as is not None)
        assert shown_as is None or shown_as in stream.getvalue()


def test_why_training_stands_still_is_printed() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, width=120, highlight=False, soft_wrap=True)) as display:
        display.workers_lost(WorkersLost("the processes of these workers ended: 1", drained=False))
        display.workers_lost(WorkersLost("worker 0 raised RuntimeError", drained=True))
    again = "all are started again from the newest checkpoint"
    assert stream.getvalue().splitlines() == [
        f"workers were lost: the processes of these workers ended: 1; {again}",
        f"a worker's pod is about to go; {again}",
    ]


def test_progress_is_printed_where_nothing_else_is() -> None:
    stream = io.StringIO()
    times = iter((0.0, 30.0, 61.0, 61.0, 70.0, 122.0, 122.0))
    console = Console(file=stream, width=120, highlight=False, soft_wrap=True)
    with Display(console, clock=lambda: next(times)) as display:
        for _ in range(4):
            display.progressed(PROGRESS)
    assert stream.getvalue().count("ETA 1:15") == 2


def test_a_long_start_is_explained() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, width=120, highlight=False, soft_wrap=True)) as display:
        display.ready({"model": 0.2, "first step": 0.1})
        assert stream.getvalue() == ""
        display.ready({"start Ray": 2.71, "model": 0.01, "first step": 0.8})
    assert stream.getvalue() == "first step after 3.5 s: start Ray 2.7, first step 0.8\n"


def test_a_model_cannot_steer_the_terminal() -> None:
    assert "\\x1b[2J" in shown(terminal=True)
