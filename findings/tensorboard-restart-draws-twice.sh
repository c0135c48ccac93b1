#!/usr/bin/env bash
# A run that begins again is drawn over its old points by TensorBoard's reader.
#
# Two event files of one folder, the second beginning again at step 1: the points of the first stay, and the line
# runs back. TensorBoard has a rule for steps that go back, and switches it off for every file of the present
# version; only the mark that `purge_step` writes counts. tensorboardX writes it when asked, and purge_step=None,
# its default, is easily taken for "nothing to purge at the beginning".
# Versions: tensorboard 2.21.0, tensorboardX 2.6.5.
# Source: purge_step in SummaryWriter's documentation; the rule in event_accumulator._MaybePurgeOrphanedData.
# raygen: writes the mark in every attempt after the first, also in those that begin again at zero.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages tensorboard==2.21.0 tensorboardx==2.6.5 numpy==2.4.6
look <<'PY'
import logging

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter
from verdict import verdict

logging.disable(logging.WARNING)


def curve(folder, purge_step):
    for number, (steps, mark) in enumerate([(5, None), (3, purge_step)]):
        writer = SummaryWriter(folder, filename_suffix=f".{number}", purge_step=mark)
        for step in range(1, steps + 1):
            writer.add_scalar("loss", number, step)
        writer.close()
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    return [event.step for event in events.Scalars("loss")]


default, marked = curve("default", None), curve("marked", 0)
verdict(
    expected="steps [1, 2, 3] of the run that began again",
    seen=f"{default}; with purge_step=0 {marked}",
    holds=default == [1, 2, 3, 4, 5, 1, 2, 3] and marked == [1, 2, 3],
)
PY
