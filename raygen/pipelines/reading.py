"""Prepared data that workers of Ray Data fetch and decode ahead of its use, beside those that train.

An execution of Ray Data has the shards of some windows in their order, a block for each shard. The next execution begins when
the last window of the one before is asked for, so that workers do not wait between two.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from queue import Empty, Full, Queue
from typing import Any

import numpy as np
import pyarrow as pa

from raygen.data.shards.index import Shard
from raygen.data.shards.order import Window, WindowOrder
from raygen.data.shards.pieces import Fetch, OpenPieces, Piece, ThreadedPieces
from raygen.errors import RaygenError, RunError
from raygen.pipelines.execution import dataset_of, document_of, error_of, losses_explained

SHARDS_AT_ONCE = 128
"""Shards of one execution, about; to begin one takes as long as to read a few shards."""
ABOUT, ARRAY = "about", "array"
"""Columns of what a worker sends: the types and shapes of a shard's arrays, or an error, as JSON; and each array's bytes."""
POLL_S = 0.1
REST_S = 0.1
LEAVE_S = 10.0
"""How long an execution has to end its tasks; it is left to itself after that."""

_Key = tuple[int, int]
"""Epoch of a window, and its number."""


@dataclass(frozen=True)
class Workers:
    """Who reads.

    Attributes:
        count: Shards that are read at a time.
        books: What each books, as Ray's `num_cpus` and `resources`.
    """

    count: int
    books: Mapping[str, Any]


class PipelinedPieces:
    """Reads by pipelines of Ray Data.

    They take seconds to start. So a window that does not follow the one before, such as the first of a run, is read by this process,
    and pipelines begin with the one after it.

    Args:
        workers: Who reads.
        order: Of the windows.
        listed: The shards.
        fetch: Brings one into memory.
    """

    def __init__(self, workers: Workers, order: WindowOrder, listed: Sequence[Shard], fetch: Fetch) -> None:
        self._workers = workers
        self._order = order
        self._listed = listed
        self._fetch = fetch
        self._own = ThreadedPieces(order, listed, fetch)
        self._executions: deque[_Execution] = deque()
        self._expected: _Key | None = None
        self._unplanned: _Key = (0, 0)
        # Those who close it do so on another thread than reads.
        self._lock = threading.Lock()
        self._closed = False

    def of(self, window: Window) -> Iterator[Piece]:
        """What the shards of a window hold, in the order in which they stand in it.

        Raises:
            DataError: a shard is missing or was changed, or its place cannot be reached.
            RunError: workers were lost.
        """
        key = (window.epoch, window.number)
        following = key == self._expected
        # Until this window has been read whole, no other one can follow it.
        self._expected = None
        if following:
            yield from self._sent(window)
        else:
            self._end()
            self._unplanned = self._order.after(*key)
            self._begin()
            yield from self._own.of(window)
        self._expected = self._order.after(*key)

    def _sent(self, window: Window) -> Iterator[Piece]:
        """What pipelines send of a window."""
        execution = self._executions[0]
        execution.windows -= 1
        if not execution.windows:
            self._begin()
        for _ in window.shards:
            yield execution.next()
        if not execution.windows:
            # Not waited for: the next one is at work.
            self._executions.popleft().end()

    def close(self) -> None:
        """Ends the pipelines, and whoever waits for them."""
        with self._lock:
            self._closed = True
        self._own.close()
        for execution in self._end():
            execution.join()

    def _begin(self) -> None:
        """Begins to read what no execution reads yet."""
        windows, shards = 0, list[Shard]()
        while len(shards) < SHARDS_AT_ONCE:
            shards += [self._listed[number] for number in self._order.shards(*self._unplanned)]
            self._unplanned = self._order.after(*self._unplanned)
            windows += 1
        with self._lock:
            if self._closed:
                raise _closed()
            self._executions.append(_Execution(self._workers, self._fetch, shards, windows))

    def _end(self) -> list[_Execution]:
        ended = list(self._executions)
        self._executions.clear()
        for execution in ended:
            execution.end()
        return ended


def pipelined(workers: Workers) -> OpenPieces:
    """Opens readers by pipelines of Ray Data."""
    return partial(PipelinedPieces, workers)


class _Execution:
    """One execution of Ray Data, and the thread that takes what it gives.

    Attributes:
        windows: How many of its windows were not asked for yet.
    """

    def __init__(self, workers: Workers, fetch: Fetch, shards: Sequence[Shard], windows: int) -> None:
        self.windows = windows
        self._given: Queue[Piece | Exception] = Queue(1)
        self._over = _Over()
        self._thread = threading.Thread(
            target=self._run, args=(workers, fetch, shards), name="ray-data", daemon=True
        )
        self._thread.start()

    def next(self) -> Piece:
        """What the next shard holds.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
            RunError: workers were lost.
        """
        while not self._over.is_set():
            try:
                given = self._given.get(timeout=POLL_S)
            except Empty:
                continue
            if isinstance(given, Exception):
                raise given
            return given
        raise _closed()

    def end(self) -> None:
        """Has it end, with what its workers do, and whoever waits for it."""
        self._over.set()

    def join(self) -> None:
        """Waits until it has ended."""
        self._thread.join(LEAVE_S)

    def _run(self, workers: Workers, fetch: Fetch, shards: Sequence[Shard]) -> None:
        try:
            with (
                losses_explained("reads data", "The same command goes on from the newest checkpoint."),
                closing(_tables(workers, fetch, shards, self._over)) as tables,
            ):
                for table in tables:
                    self._give(_piece(table))
                    if self._over.is_set():
                        return
        except Exception as error:  # noqa: BLE001 (raised where a shard is waited for)
            self._give(error)

    def _give(self, given: Piece | Exception) -> None:
        while not self._over.is_set():
            with suppress(Full):
                self._given.put(given, timeout=POLL_S)
                break


class _Over(threading.Event):
    """Says that an execution is to end. Ray sends an execution's settings to its workers, where nobody says so."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Over, ()


def _tables(
    workers: Workers, fetch: Fetch, shards: Sequence[Shard], over: threading.Event
) -> Generator[pa.Table]:
    """What workers send of each shard, in the order of the shards, until it is over."""
    import ray

    dataset = dataset_of([asdict(shard) for shard in shards])
    largest = max(map(fetch.decoder.size, shards))
    options = dataset.context.execution_options
    options.preserve_order = True
    # What is read ahead lies in Ray's memory; there is no more of it than keeps every worker at work.
    options.resource_limits = ray.data.ExecutionResources.for_limits(
        object_store_memory=(workers.count + 1) * largest
    )
    dataset.context.custom_execution_callback_classes = [_rests(over)]
    # Nothing is taken while a run is paused, evaluates, or trains long on a window: that is no fault.
    dataset.context.execution_no_progress_timeout_s = -1
    # Ray takes blocks for this large until it has seen some, and would read one at a time.
    dataset.context.target_max_block_size = largest
    read = dataset.map_batches(
        _Reads(fetch),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        # More than there are shards Ray takes for a mistake, and warns of.
        compute=ray.data.TaskPoolStrategy(min(workers.count, len(shards))),
        **workers.books,
    )
    # Not `iter_batches`, whose threads outlive an iteration that is left early. What is left of this one ends with its iterator.
    for bundle in read.iter_internal_ref_bundles():
        for block in bundle.block_refs:
            yield ray.get(block)


def _rests(over: threading.Event) -> type:
    """A class of callbacks that let an execution wait while none of its tasks runs, and end it when it is over.

    Ray's loop looks whether one may begin without a pause, and while all that may be read ahead has been read that would take a
    core, and Python's lock, from training. Where no task ever begins, because others have booked all there is, whoever waits for
    its result can be told of the end from here alone.
    """
    from ray.data._internal.execution.execution_callback import ExecutionCallback

    class Rests(ExecutionCallback):
        def on_execution_step(self, executor: Any) -> None:
            if over.is_set():
                # Ray gives an error of its loop to whoever iterates over results, for whom this one is their end.
                raise StopIteration
            if not any(operator.num_active_tasks() for operator in executor._topology):
                time.sleep(REST_S)

    return Rests


class _Reads:
    """Reads a shard; called by Ray Data."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def __call__(self, row: pa.Table) -> pa.Table:
        (named,) = row.to_pylist()
        try:
            piece = self._fetch(Shard(**named))
        except RaygenError as error:
            return pa.table({ABOUT: [json.dumps(document_of(error))]})
        about = [[array.dtype.str, array.shape] for array in piece]
        columns = {f"{ARRAY}{number}": _bytes_of(array) for number, array in enumerate(piece)}
        return pa.table({ABOUT: [json.dumps(about)], **columns})


def _bytes_of(array: np.ndarray[Any, Any]) -> pa.Array:
    """A column with one value, an array's bytes, which are not copied."""
    held = np.ascontiguousarray(array)
    edges = np.array([0, held.nbytes], dtype=np.int64)
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(edges), pa.py_buffer(held)])


def _piece(table: pa.Table) -> Piece:
    """The arrays of a shard, as copies: Ray's memory is free for the next one.

    Raises:
        DataError: what the worker has met.
    """
    about = json.loads(table.column(ABOUT)[0].as_py())
    if isinstance(about, dict):
        raise error_of(about)
    arrays = []
    for number, (dtype, shape) in enumerate(about):
        value = table.column(f"{ARRAY}{number}")[0].as_buffer()
        arrays.append(np.frombuffer(value, dtype).reshape(shape).copy())
    return tuple(arrays)


def _closed() -> RunError:
    return RunError("the data was closed while it was read", remedy="Open it again.")
