"""Starts Ray on this machine for a finding."""

from __future__ import annotations

import ray

STARTS = 3


def start(cpus: int) -> None:
    """Starts Ray, again where it was too slow.

    Ray's node ends when its agent is not up within 15 seconds (ray-project/ray#65983), as happens on a busy machine; no
    finding is about that.

    Args:
        cpus: Cores that Ray takes the machine to have.
    """
    for left in reversed(range(STARTS)):
        try:
            ray.init(num_cpus=cpus, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        except Exception:
            ray.shutdown()
            if not left:
                raise
        else:
            return
