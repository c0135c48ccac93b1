"""Which strategy an attempt is trained under: the one place that knows them all."""

from __future__ import annotations

from raygen.models.protocol import Workers
from raygen.parallel.data_parallel import DataParallel
from raygen.parallel.strategy import Strategy
from raygen.parallel.whole import SingleWorker


def make_strategy(workers: Workers) -> Strategy:
    """The strategy of an attempt on these workers; each of them makes it once."""
    return SingleWorker() if workers.count == 1 else DataParallel(workers)
