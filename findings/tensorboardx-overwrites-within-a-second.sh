#!/usr/bin/env bash
# Two writers that begin in the same second share a file, and the second empties it.
#
# tensorboardX names an event file by folder, whole second and host, opens it for writing anew, and adds neither
# process nor number as TensorBoard's own writer does. A run that fails at once and is started again, or two
# processes that log into one folder, lose what was written first.
# Versions: tensorboardX 2.6.5, tensorboard 2.21.0.
# Source: not documented; EventsWriter in tensorboardX/event_file_writer.py.
# raygen: gives each attempt's file a suffix of its own (raygen/training/observers/tensorboard.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages tensorboardx==2.6.5 tensorboard==2.21.0 numpy==2.4.6
look <<'PY'
import logging
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter
from verdict import verdict

logging.disable(logging.WARNING)


def written(folder):
    """Whether the second of two short runs began in the second of the first, and the tags that are left."""
    while time.time() % 1 > 0.2:  # near the beginning of a second
        time.sleep(0.01)
    began = int(time.time())
    for name in ("first", "second"):
        writer = SummaryWriter(folder)
        writer.add_scalar(name, 1.0, 1)
        inside = int(time.time()) == began
        writer.close()
    events = EventAccumulator(folder)
    events.Reload()
    return inside, events.Tags()["scalars"], len(list(Path(folder).iterdir()))


for attempt in range(20):
    inside, tags, files = written(f"events-{attempt}")
    if inside:
        break
verdict(
    expected="two files, with the scalars first and second",
    seen=f"{files} file, with {' and '.join(tags)}",
    holds=tags == ["second"] and files == 1,
)
PY
