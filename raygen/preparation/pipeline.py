"""Prepares a job's data: cleans, encodes, shuffles, and writes shards and their index.

The work is cut into tasks by the job and the listing of its sources alone, every task is a pure function of what it
reads, and what one has written is not written again. So the data set is the same to the byte for any number of workers, however
often it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from raygen import __version__
from raygen.data.cleaning.places import relative
from raygen.data.cleaning.report import CleaningReport, check_share
from raygen.data.images.pixels import DOMAIN_FILE, ImageShape
from raygen.data.progress import Notice, Progress
from raygen.data.remarks import Remark, Remarks, merged
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.index import INDEX_FILE, Component, Index, Shard, read_index
from raygen.data.text.lengths import added
from raygen.data.text.tokenizers import Tokenizer, train_tokenizer
from raygen.data.text.windows import TOKENIZER_FILE
from raygen.errors import DataError, OutputError, RaygenError
from raygen.preparation.card.contents import CARD_HTML
from raygen.preparation.card.writing import Found, remarks_of, write_card
from raygen.preparation.cleaning import BROKEN_SHARE, BrokenWatch, clean
from raygen.preparation.context import WORK, Context
from raygen.preparation.duplicates import deduplicate, likeness_of
from raygen.preparation.encoding import (
    VALIDATION,
    Encoding,
    encode,
    kept_rows,
    limit_of,
    numbered,
    shape_of,
    write_encoding,
)
from raygen.preparation.executors import Executor
from raygen.preparation.folder import aside, check_owner, claim, release, settle
from raygen.preparation.merging import merge
from raygen.preparation.plan import RANGE, Plan, plan
from raygen.spec import ResolvedJob

PREPARING = "preparing data, "
"""Before what is done, where that is told."""
LEARN_FROM = 256 << 20
"""Characters that a vocabulary is learned from at most: of each part its first documents; more change it little."""
FEW_DOCUMENTS = 100
"""Below this many documents, pieces of them are kept for validation: of one book, some pages."""
LEAST_PIECE, MOST_PIECE = 1 << 14, 1 << 20
"""Characters of a piece of a long document."""
PIECES = 256
"""How many pieces a text has at least, if they are not shorter than that."""


@dataclass(frozen=True)
class Prepared:
    """A data set that is whole.

    Attributes:
        uri: Its folder.
        index: What is in it.
        new: Whether it was made now.
    """

    uri: str
    index: Index
    new: bool

    @property
    def card(self) -> str:
        """Where the page of its data card is."""
        return f"{self.uri}/{CARD_HTML}"


def prepare(
    job: ResolvedJob,
    base: Path,
    executor: Executor,
    notice: Notice | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Makes the data set of a job, or finds it whole.

    Args:
        job: A resolved job that has a preparation.
        base: Folder that relative paths start from.
        executor: Does the tasks.
        notice: Takes a sentence now and then.
        progress: Takes how far it is, instead; what it raises ends the work between two parts.

    Raises:
        DataError: the data cannot be used, or the folder holds another data set.
    """
    # Keys are what follows a pattern's folder, which has no name where paths start from ".".
    base = base.absolute()
    remarks = Remarks()
    planned = plan(job, base, remarks)
    context = Context(job.model_dump_json(exclude_none=True), str(base), planned.recipe)
    index = _whole(context)
    if index is not None:
        return Prepared(context.place.uri, index, new=False)
    claim(context)
    try:
        # Another process may have ended it since.
        index = _whole(context)
        if index is not None:
            return Prepared(context.place.uri, index, new=False)
        index = _Pipeline(context, planned, executor, progress or Progress(notice), remarks.all()).run()
    except RaygenError as error:
        # One that makes the same data takes the work away when it ends.
        with suppress(RaygenError):
            index = _whole(context)
        if index is not None:
            return Prepared(context.place.uri, index, new=False)
        if isinstance(error, DataError):
            # What corrects it makes another recipe, which may use the folder.
            with suppress(RaygenError):
                release(context)
        raise
    return Prepared(context.place.uri, index, new=True)


def _whole(context: Context) -> Index | None:
    """The index of the data set, if it is whole.

    Raises:
        DataError: the folder holds another data set.
    """
    index = read_index(context.place)
    if index is None:
        return None
    if index.recipe != context.recipe:
        raise DataError(
            "the folder holds data that was prepared from other sources, or in another way",
            where=context.place.uri,
            remedy="Give spec.preparation.uri another folder, or delete this one if nobody needs it.",
        )
    with suppress(OutputError):
        # Of one that was killed between its last two steps.
        context.place.delete_prefix(f"{WORK}/")
    return index


class _Pipeline:
    def __init__(
        self,
        context: Context,
        planned: Plan,
        executor: Executor,
        progress: Progress,
        remarks: Sequence[Remark],
    ) -> None:
        self._context = context
        self._plan = planned
        self._executor = executor
        self._progress = progress
        self._remarks = list(remarks)
        self._spec = context.job.spec.data

    def run(self) -> Index:
        parts = list(enumerate(self._plan.parts))
        cleaned, report = self._cleaned()
        twice = self._duplicates(cleaned)
        if twice is not None:
            report = report.merged(CleaningReport.from_json(twice["cleaning"]))
            report.dropped += twice["dropped"]
            if twice["last"]:
                reason = "it is like one of validation, as only the last comparison of the splits has shown"
                self._remarks.append(Remark("Skipped", "record", twice["last"], reason, ()))
        certificate = twice["certificate"] if twice is not None else None
        encoding, files, schema = self._encoding(cleaned)
        remarks = merged([*self._remarks, *remarks_of(cleaned)])
        report, remarks = relative(report, remarks, self._context.base)
        write_encoding(self._context, encoding)
        items = [(number, part.split, part.source) for number, part in parts]
        encoded = self._stage(encode, items, "encoding")
        width = self._width(encoding)
        ranges = [(number, len(parts), width, bool(encoding.classes)) for number in range(self._plan.ranges)]
        written = self._stage(merge, ranges, "writing shards")
        for name, content in files.items():
            self._context.place.write(f"files/{name}", content)
        preparation = self._context.job.spec.preparation
        index = Index(
            kind=self._spec.kind,
            schema=schema,
            shards_per_window=preparation.shards_per_window if preparation is not None else 1,
            train=tuple(
                Component(str(number), _shards(written, number))
                for number in range(len(self._spec.train.sources) if encoding.mixed else 1)
            ),
            validation=_shards(written, VALIDATION),
            files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            words=self._plan.words,
            recipe=self._plan.recipe,
            counts={
                "cleaning": report.to_json(),
                "certificate": certificate,
                "lengths": added(one.get("lengths", {}) for one in encoded),
                "remarks": [str(remark) for remark in remarks],
            },
            made_with={"raygen": __version__, "pyarrow": version("pyarrow")},
        )
        with _left_out_told(report):
            self._check(index)
        check_owner(self._context)
        broken = [number for number, one in enumerate(cleaned) if one["cleaning"]["broken"]]
        settle(self._context, index.shards, map(aside, broken))
        # Before the index, after which nothing is done any more.
        write_card(self._context, index, Found(cleaned, encoded, remarks, report, certificate))
        self._context.place.write(INDEX_FILE, index.to_json())
        try:
            self._context.place.delete_prefix(f"{WORK}/")
        except OutputError as error:
            # The data set is whole, and what is left is only in the way.
            self._progress.say(
                f"the data is prepared, and {self._context.place.uri}/{WORK} could not be deleted: {error.what}"
            )
        return index

    def _stage(
        self,
        task: Callable[..., dict[str, Any]],
        items: Sequence[Any],
        doing: str,
        heard: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        total = len(items)

        def told(done: int, report: Mapping[str, Any]) -> None:
            # So that one whose data another has made does not make all of it again.
            check_owner(self._context)
            if heard is not None:
                heard(report)
            self._progress.at(f"{PREPARING}{doing}", done, total)

        return self._executor.run(task, self._context, items, told)

    def _cleaned(self) -> tuple[list[dict[str, Any]], CleaningReport]:
        """What cleaning says of each part, and what it did in all of them.

        Raises:
            DataError: too many records are broken; as soon as that is certain.
        """
        cleaning = self._spec.cleaning
        limit = cleaning.max_broken_share if cleaning is not None else BROKEN_SHARE
        watch = BrokenWatch(limit, [one.part.records for one in self._plan.parts])
        cleaned = self._stage(clean, list(enumerate(self._plan.parts)), "cleaning", watch.heard)
        report = CleaningReport()
        for one in cleaned:
            report = report.merged(CleaningReport.from_json(one["cleaning"]))
        check_share(report, limit)
        return cleaned, report

    def _duplicates(self, cleaned: list[dict[str, Any]]) -> dict[str, Any] | None:
        if likeness_of(self._context.job) is None:
            return None
        splits = tuple(report["split"] for report in cleaned)
        share = 0.0 if self._few(cleaned) else self._held_out
        (answer,) = self._stage(deduplicate, [(splits, share)], "looking for duplicates")
        return answer

    @property
    def _held_out(self) -> float:
        """Share of the training sources' records that is kept for validation."""
        validation = self._spec.validation
        return (validation.fraction or 0.0) if validation is not None and validation.sources is None else 0.0

    def _few(self, cleaned: list[dict[str, Any]]) -> bool:
        """Whether there are so few documents that pieces of them are kept for validation."""
        return self._spec.kind == "text" and sum(report["records"] for report in cleaned) < FEW_DOCUMENTS

    def _encoding(self, cleaned: list[dict[str, Any]]) -> tuple[Encoding, dict[str, bytes], dict[str, Any]]:
        """What the next stage needs, the files that runs keep, and what readers must know."""
        if not any(report["records"] for report in cleaned):
            raise DataError(
                f"the data holds no {'text' if self._spec.kind == 'text' else 'image'}",
                where=", ".join(source.uri for source in self._spec.train.sources),
                remedy="Give other sources, or less strict filters.",
            )
        mixed = self._spec.train.mixture is not None
        held_out = self._held_out
        size = sum(report["size"] for report in cleaned)
        piece = min(max(size // PIECES, LEAST_PIECE), MOST_PIECE)
        # Ranges are planned by the bytes of files, which may be compressed.
        ranges = self._plan.ranges
        slices = max(1, -(-size // (ranges * RANGE)))
        if self._spec.kind == "text":
            tokenizer = self._tokenizer(cleaned)
            dtype = "<u2" if tokenizer.size <= 1 << 16 else "<u4"
            text = tokenizer.to_json()
            few = self._few(cleaned)
            encoding = Encoding(text, dtype, {}, (), held_out, piece, few, ranges, mixed, slices)
            return encoding, {TOKENIZER_FILE: text.encode()}, {"dtype": dtype, "vocabulary": tokenizer.size}
        shape = shape_of(cleaned)
        names, numbers = self._classes(cleaned)
        encoding = Encoding("", "", numbers, shape, held_out, piece, False, ranges, mixed, slices)
        domain = ImageShape(shape[0], shape[1], shape[2], names)
        preparation = self._context.job.spec.preparation
        stored = preparation.encoding if preparation is not None else "Raw"
        schema = {"encoding": stored, "channels": shape[0], "height": shape[1], "width": shape[2]}
        return encoding, {DOMAIN_FILE: json.dumps(asdict(domain)).encode()}, schema

    def _tokenizer(self, cleaned: list[dict[str, Any]]) -> Tokenizer:
        """Learned once: it is kept beside the work, so that one that was stopped goes on with the same."""
        kept = self._context.done("tokenizer")
        if kept is not None:
            return Tokenizer.from_json(kept["tokenizer"])
        spec = self._spec.tokenizer
        if spec is None:
            raise ValueError("text needs a tokenizer")
        if spec.type == "Character":
            # Two documents, where there are several, since then there is a token between them.
            characters = "".join(sorted(set().union(*(report["characters"] for report in cleaned))))
            several = sum(report["records"] for report in cleaned) > 1
            documents = [characters, ""] if several else [characters]
        else:
            documents = [] if spec.type in ("Byte", "REMI") else self._documents(cleaned)
        tokenizer = train_tokenizer(spec, documents, self._progress)
        self._context.finish("tokenizer", {"tokenizer": tokenizer.to_json()})
        return tokenizer

    def _documents(self, cleaned: list[dict[str, Any]]) -> list[str]:
        """Text to learn a vocabulary from, of every part the same share: of what will be trained on, and not of what is held out
        or left out as a duplicate.
        """
        parts = [number for number, report in enumerate(cleaned) if report["split"] == "train"]
        share = math.ceil(LEARN_FROM / max(len(parts), 1))
        limit = limit_of(0.0 if self._few(cleaned) else self._held_out)
        documents = []
        for number in parts:
            left = share
            for row in kept_rows(self._context, number):
                if left <= 0:
                    break
                if row["held"] >= limit:
                    documents.append(row["content"].decode("utf-8", "replace")[:left])
                    left -= len(documents[-1])
        return documents

    def _classes(self, cleaned: list[dict[str, Any]]) -> tuple[tuple[str, ...], dict[str, int]]:
        """Names of the classes, and the number of each label as JSON; none where labels cannot be used and the model needs none.

        Raises:
            DataError: labels cannot be used, and the model may need them.
        """
        counts, held = Counter[str](), Counter[str]()
        for report in cleaned:
            (counts if report["split"] == "train" else held).update(report["labels"])
        total, missing = counts.total() + held.total(), counts.pop("null", 0) + held.pop("null", 0)
        if not counts:
            return (), {}
        where = ", ".join(source.uri for source in self._spec.train.sources)
        try:
            return numbered(counts, held, missing, total, where)
        except DataError as error:
            if self._context.job.spec.model.block.takes_classes:
                raise
            reason = f"the model needs none, and {error.what}"
            self._remarks.append(Remark("Skipped", "label", total - missing, reason, ()))
            return (), {}

    def _width(self, encoding: Encoding) -> int:
        """Bytes of a picture; 0 for text, -1 for pictures of different sizes in bytes."""
        if self._spec.kind == "text":
            return 0
        preparation = self._context.job.spec.preparation
        return math.prod(encoding.shape) if preparation is None or preparation.encoding == "Raw" else -1

    def _check(self, index: Index) -> None:
        held = self._spec.validation
        if held is not None and not any(shard.units for shard in index.validation):
            own = "Give other sources" if held.sources else "Give a larger fraction, sources of its own"
            remedy = f"{own}, or less strict filters."
            raise DataError("the validation split holds nothing", where="spec.data.validation", remedy=remedy)
        PreparedData(self._context.job, Path(self._context.base), index).close()


@contextmanager
def _left_out_told(report: CleaningReport) -> Iterator[None]:
    """Has an error say what cleaning has left out, since nobody will see the card."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what + report.left_out, where=error.where, remedy=error.remedy) from error


def _shards(written: list[dict[str, Any]], component: int) -> tuple[Shard, ...]:
    return tuple(Shard(**shard) for report in written for shard in report.get(str(component), ()))
