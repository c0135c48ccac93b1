"""Whether a run's order of samples is what its data and its seed make it, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from raygen.data.order import Order
from raygen.data.order_hash import Numbers, Ordered, OrderRecord, record_order
from raygen.data.progress import Notice, Progress
from raygen.data.readers import open_data
from raygen.data.shards.dataset import PreparedData
from raygen.errors import DataError
from raygen.spec import ResolvedJob


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was recorded.

    Attributes:
        what: Its name: `sha256` of the order, a name in what the order depends on, or a shard.
        recorded: As the run, or the index, has it.
        found: As it is now.
    """

    what: str
    recorded: object
    found: object


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        data: Where prepared data is; empty for data that is held in memory.
        recorded: The order of the run.
        found: The order as it was computed again.
        shards: Shards whose contents were read and checked; None if they were not.
        differences: What differs; empty if the run is what it says.
    """

    data: str
    recorded: OrderRecord
    found: OrderRecord
    shards: int | None
    differences: Sequence[Difference]


def verify(
    job: ResolvedJob,
    base: Path,
    recorded: OrderRecord,
    files: Mapping[str, bytes],
    *,
    contents: bool = False,
    notice: Notice | None = None,
) -> Verification:
    """Computes the order of a run's samples again, and compares it with what the run recorded.

    Of prepared data it reads the index. The order of data that is held in memory follows from the seed and the number of
    samples, so that nothing is read.

    Args:
        job: The run's resolved job.
        base: Folder that its relative paths start from.
        recorded: The order that the run recorded.
        files: What the run keeps of its data.
        contents: Also read all data: every shard and every value in it, or the sources of data that is held in memory.
        notice: Takes a sentence now and then, where it takes long.

    Raises:
        DataError: there is no data, its index was altered, or it was prepared in another way than the job asks for.
    """
    if job.spec.preparation is None:
        found = _in_memory(job, base, recorded, files, notice if contents else None, read=contents)
        return Verification("", recorded, found, None, _differences(recorded, found))
    with closing(PreparedData(job, base)) as data:
        found = record_order(job, data, recorded.positions)
        differences = _differences(recorded, found)
        if not contents:
            return Verification(data.uri, recorded, found, None, differences)
        changed = _changed(data, Progress(notice))
        return Verification(data.uri, recorded, found, len(data.shards()), [*differences, *changed])


class _Known:
    """The order of data that is held in memory, without the data."""

    def __init__(self, seed: int, recorded: OrderRecord) -> None:
        self.samples_per_epoch = int(recorded.of["samplesPerEpoch"])
        self.fingerprint = str(recorded.of["fingerprint"])
        self._order = Order(seed, self.samples_per_epoch)

    def order(self, positions: range) -> Numbers:
        return self._order.indices(positions)


def _in_memory(
    job: ResolvedJob,
    base: Path,
    recorded: OrderRecord,
    files: Mapping[str, bytes],
    notice: Notice | None,
    *,
    read: bool,
) -> OrderRecord:
    if not read:
        known: Ordered = _Known(job.spec.training.seed, recorded)
        return record_order(job, known, recorded.positions)
    with closing(open_data(job, base, files, notice)) as data:
        return record_order(job, data, recorded.positions)


def _differences(recorded: OrderRecord, found: OrderRecord) -> list[Difference]:
    names = dict.fromkeys([*recorded.of, *found.of])
    differences = [
        Difference(name, recorded.of.get(name), found.of.get(name))
        for name in names
        if recorded.of.get(name) != found.of.get(name)
    ]
    if (recorded.sha256, recorded.positions) != (found.sha256, found.positions):
        differences.append(Difference("sha256", recorded.sha256, found.sha256))
    return differences


def _changed(data: PreparedData, progress: Progress) -> list[Difference]:
    """The shards that are not as the index has them."""
    changed = []
    shards = data.shards()
    for number, shard in enumerate(shards, start=1):
        try:
            data.check(shard)
        except DataError as error:
            changed.append(Difference(shard.name, shard.content, error.what))
        progress.at("reading shards", number, len(shards))
    return changed
