#!/usr/bin/env bash
# Ray's workers run at niceness 15, and so starve beside anything else.
#
# Whoever trains in them has handed the processor to every other process: one busy neighbour takes nearly all of a
# core that it shares with a worker. On a laptop, or a node with other pods, training then takes many times as
# long, and no log says why.
# Versions: ray 2.60.0.
# Source: the internal setting worker_niceness, not in the documentation of ray.init.
# raygen: sets RAY_worker_niceness=0 unless the user has set it (raygen/training/ray/launch.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

unset RAY_worker_niceness
packages 'ray[default]==2.60.0'
look <<'PY'
import os

import ray
from local_ray import start
from verdict import verdict

start(1)


@ray.remote
def niceness():
    import os

    return os.nice(0)


own, worker = os.nice(0), ray.get(niceness.remote())
ray.shutdown()
verdict(
    expected=f"the driver's niceness, {own}",
    seen=f"{worker}",
    holds=worker == min(own + 15, 19) and worker > own,
)
PY
