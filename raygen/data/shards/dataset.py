"""A prepared data set as training takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from raygen.data.images.pixels import open_domain as open_shape
from raygen.data.protocol import Samples
from raygen.data.remarks import Remark
from raygen.data.shards.cache import open_cache
from raygen.data.shards.images import ImageShards
from raygen.data.shards.index import Index, Shard
from raygen.data.shards.mixture import BLOCK, Mixture, Phase, tempered
from raygen.data.shards.order import COMPONENT, Numbers, Window, WindowOrder, words
from raygen.data.shards.pieces import LoadedWindow, OpenPieces, Shards, ThreadedPieces
from raygen.data.shards.recipe import digest_of, words_on_data
from raygen.data.shards.store import ShardStore, open_place
from raygen.data.shards.text import Cut, TextShards, never_sampled
from raygen.data.shards.windows import Windows
from raygen.data.text.lengths import cut_off
from raygen.data.text.tokenizers import Tokenizer
from raygen.data.text.windows import context_length
from raygen.data.text.windows import open_domain as open_tokenizer
from raygen.errors import DataError
from raygen.spec import ResolvedJob
from raygen.spec.contents import Domain
from raygen.spec.data.splits import TrainSplit


class Stream:
    """The shards of one component, in an order that the seed decides."""

    def __init__(
        self, shards: Shards[LoadedWindow], seed: int, shards_per_window: int, open_pieces: OpenPieces
    ) -> None:
        self._shards = shards
        self._order = WindowOrder(seed, shards.counts, shards_per_window)
        self._pieces = open_pieces(self._order, shards.listed, shards.fetch)
        self._windows: Windows[LoadedWindow] = Windows(self._order, self._load)
        self.samples = self._order.samples

    def batch(self, positions: range) -> Samples:
        """The samples at consecutive positions."""
        pieces = self._order.pieces(positions)
        return joined([self._windows.get(window).take(chosen) for window, chosen in pieces])

    def expect(self, position: int) -> None:
        """Begins to read for a position that will be asked for first."""
        self._windows.expect(*self._order.place(position)[:2])

    def order(self, positions: range) -> Numbers:
        """Which samples stand at consecutive positions, counted as the index lists them."""
        return self._order.samples_at(positions)

    def close(self) -> None:
        """Ends what reads ahead."""
        # The thread that loads a window may wait for its pieces.
        self._pieces.close()
        self._windows.close()

    def _load(self, window: Window) -> LoadedWindow:
        return self._shards.assembled(window, self._pieces.of(window))


class MixedStreams:
    """The streams of several components, mixed by weight."""

    def __init__(self, streams: Sequence[Stream], mixture: Mixture) -> None:
        self._streams = streams
        self._mixture = mixture
        self.samples = sum(stream.samples for stream in streams)
        self._firsts = np.cumsum([0, *(stream.samples for stream in streams)])

    def batch(self, positions: range) -> Samples:
        """The samples at consecutive positions."""
        components, ranks = self._mixture.components(positions)
        taken = [
            self._streams[component].batch(_span(ranks[components == component]))
            for component in np.unique(components)
        ]
        # They stand by component, and go to where the mixture has them.
        places = np.argsort(np.argsort(components, kind="stable"), kind="stable")
        whole = joined(taken)
        weights = whole.weights[places] if whole.weights is not None else None
        return Samples({name: array[places] for name, array in whole.arrays.items()}, weights)

    def expect(self, position: int) -> None:
        """Begins to read for a position that will be asked for first."""
        components, ranks = self._mixture.components(range(position, position + BLOCK))
        for component, first in zip(*np.unique(components, return_index=True), strict=True):
            self._streams[component].expect(int(ranks[first]))

    def order(self, positions: range) -> Numbers:
        """Which samples stand at consecutive positions, counted over all components."""
        components, ranks = self._mixture.components(positions)
        numbers = np.empty(len(positions), dtype=np.int64)
        for component in np.unique(components):
            chosen = components == component
            numbers[chosen] = self._firsts[component] + self._streams[component].order(_span(ranks[chosen]))
        return numbers

    def close(self) -> None:
        """Ends what reads ahead."""
        for stream in self._streams:
            stream.close()


def _never_chosen(train: TrainSplit) -> set[int]:
    """Sources of a mixture whose weight is always 0."""
    given = train.mixture.weights if train.mixture is not None else None
    phases = [given, *(change.weights for change in train.weight_changes)] if given is not None else []
    return {
        number for number in range(len(train.sources)) if phases and not any(one[number] for one in phases)
    }


def _span(ranks: Numbers) -> range:
    """Consecutive ranks as a range."""
    return range(int(ranks[0]), int(ranks[-1]) + 1)


def joined(samples: Sequence[Samples]) -> Samples:
    """Samples one after the other."""
    if len(samples) == 1:
        return samples[0]
    arrays = {name: np.concatenate([one.arrays[name] for one in samples]) for name in samples[0].arrays}
    weights = [one.weights for one in samples if one.weights is not None]
    return Samples(arrays, np.concatenate(weights) if weights else None)


def remarks_on(index: Index, job: ResolvedJob) -> Sequence[Remark]:
    """What the samples of a job leave out of a data set."""
    if index.kind != "text":
        return ()
    if job.spec.data.packing == "Single":
        return cut_off(index.counts.get("lengths", {}), context_length(job))
    shards = (shard for component in index.train for shard in component.shards)
    return tuple(never_sampled(shards, Cut(context_length(job), job.spec.data.packing)))


class PreparedData:
    """The prepared data of a job, streamed.

    Attributes:
        unit: What throughput counts: tokens or images.
        units_per_sample: Tokens in a sample; 1 for images.
        samples_per_epoch: Samples in one pass over the training split.
        domain: What a model must know of the data.
        weighted: Whether samples have weights.
        remarks: What samples leave out; what was left out while preparing is in the data card.
        fingerprint: Of the index.
    """

    def __init__(
        self,
        job: ResolvedJob,
        base: Path,
        index: Index | None = None,
        open_pieces: OpenPieces = ThreadedPieces,
        first: int | None = None,
    ) -> None:
        """Reads the index, and of the data nothing yet, unless it is known where training begins.

        Args:
            job: A job that has a preparation.
            base: Folder that its relative uri starts from.
            index: Of a data set whose index is not written yet. Default: it is read.
            open_pieces: What reads the training split. Default: threads of this process.
            first: The position that will most likely be asked for first: what it needs is read from now on.

        Raises:
            DataError: there is no complete data set, or one of other contents.
        """
        preparation = job.spec.preparation
        if preparation is None:
            raise ValueError("the job has no preparation")
        self._job = job
        self._store = ShardStore(open_place(preparation.uri, base), open_cache())
        self._index = self._store.index() if index is None else index
        if self._index.words != digest_of(words_on_data(job)):
            raise DataError(
                "the data was prepared in another way than this job asks for",
                where=self._store.uri,
                remedy="Give spec.preparation.uri another folder, or the data, cleaning, tokenizer and images of that job.",
            )
        self._files = {name: self._kept(name, digest) for name, digest in self._index.files.items()}
        self.fingerprint = self._index.fingerprint
        self._cut = Cut(0, "Stream")
        if self._index.kind == "text":
            self.unit, self.units_per_sample = "tokens", context_length(job)
            tokenizer = open_tokenizer(self._files)
            self.domain: Domain = tokenizer
            self._cut = Cut(self.units_per_sample, job.spec.data.packing, tokenizer.end_of_text)
        else:
            self.unit, self.units_per_sample = "images", 1
            self.domain = open_shape(self._files)
        self.weighted = self._cut.weighted
        self.remarks = remarks_on(self._index, job)
        self._stream = self._open_stream(open_pieces)
        self.samples_per_epoch = self._stream.samples
        if first is not None:
            self._stream.expect(first)

    def files(self) -> Mapping[str, bytes]:
        """What a run must keep to use its model later, by file name."""
        return self._files

    def train_batch(self, positions: range) -> Samples:
        """The samples at these positions."""
        return self._stream.batch(positions)

    def validation_batches(self, size: int) -> Iterator[Samples]:
        """The whole validation split in order, `size` samples at a time."""
        shards = self._shards(self._index.validation, 0, train=False)
        yield from shards.in_order(size)

    def order(self, positions: range) -> Numbers:
        """Which samples stand at these positions, as numbers of the training split's samples: (positions,)."""
        return self._stream.order(positions)

    def shards(self) -> Sequence[Shard]:
        """All shards, those of the training split first."""
        return [*(shard for part in self._index.train for shard in part.shards), *self._index.validation]

    def check(self, shard: Shard) -> None:
        """Reads a shard from its place, and checks all of it against the index.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
        """
        self._store.check(shard)

    @property
    def uri(self) -> str:
        """Where the data set is."""
        return self._store.uri

    def close(self) -> None:
        """Ends what reads ahead."""
        self._stream.close()

    def _open_stream(self, open_pieces: OpenPieces) -> Stream | MixedStreams:
        spec, per_window = self._job.spec, self._index.shards_per_window
        seed, mixture = spec.training.seed, spec.data.train.mixture
        unused = _never_chosen(spec.data.train)
        streams = []
        for number, component in enumerate(self._index.train):
            # Components of a mixture have orders of their own.
            own = seed if mixture is None else int(words(1, seed, COMPONENT, number)[0])
            shards = self._shards(component.shards, own, train=True)
            streams.append(Stream(shards, own, per_window, open_pieces))
            if not streams[-1].samples and number not in unused:
                part = "the training split"
                raise self._too_few(f"source {number + 1} of {part}" if mixture is not None else part)
        if mixture is None:
            return streams[0]
        given = mixture.weights or [None] * len(streams)
        sizes = [stream.samples for stream in streams]
        changes = sorted(spec.data.train.weight_changes, key=lambda change: change.from_sample)
        weights = [(0, given), *((change.from_sample, change.weights) for change in changes)]
        phases = [Phase(start, tuple(tempered(sizes, each, mixture.temperature))) for start, each in weights]
        return MixedStreams(streams, Mixture(seed, phases))

    def _too_few(self, whose: str) -> DataError:
        if self.unit == "images" or self._cut.packing == "Single":
            things = "images" if self.unit == "images" else "documents"
            what, remedy = f"{whose} has no {things}", "Give sources that hold some, or less strict filters."
        else:
            least = 2 * self.units_per_sample
            what = f"{whose} has fewer than {least} tokens, too few for one sample"
            remedy = "Prepare more data, or lower contextLength."
        return DataError(what, where=self._store.uri, remedy=remedy)

    def _shards(self, shards: Sequence[Shard], seed: int, *, train: bool) -> ImageShards | TextShards:
        schema = self._index.schema
        if isinstance(self.domain, Tokenizer):
            return TextShards(self._store, shards, self._cut, self.domain, str(schema["dtype"]), seed)
        images = self._job.spec.data.images
        flip = seed if train and images is not None and images.horizontal_flip else None
        return ImageShards(self._store, shards, open_shape(self._files), str(schema["encoding"]), flip)

    def _kept(self, name: str, digest: str) -> bytes:
        content = self._store.file(f"files/{name}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise DataError(
                "the file was changed since it was indexed",
                where=f"{self._store.uri}/files/{name}",
                remedy="Restore it, or prepare the data again with `raygen prepare`.",
            )
        return content
