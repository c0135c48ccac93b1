"""Second stage: turns a part's records into samples' contents (tokens, or pixels), and deals them into the ranges of the shuffle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raygen.data.images.pixels import class_names
from raygen.data.shards.images import encoded
from raygen.data.text.lengths import added, count_lengths
from raygen.data.text.tokenizers import Tokenizer
from raygen.errors import DataError
from raygen.preparation.card.statistics import Counting
from raygen.preparation.cleaning import order_of
from raygen.preparation.context import Context
from raygen.preparation.duplicates import dropped_rows
from raygen.preparation.tables import in_order, opened, write_groups
from raygen.storage import NotFoundError

ENCODED = pa.schema(
    [
        ("order", pa.uint64()),
        ("component", pa.int32()),
        ("units", pa.int64()),
        ("label", pa.int64()),
        ("content", pa.large_binary()),
    ]
)
"""Of each piece: its place in the shuffle, the component it belongs to, tokens or images in it, the number of its class, and its
content."""
VALIDATION = -1
"""The component of what is of the validation split; those of the training split count from 0."""
_HELD = 64 << 20
"""Bytes of pieces that are put in order at a time."""
_OVERHEAD = 512
"""What a piece takes in memory besides its content, in bytes."""
_ENCODING = "encoding"
_COLUMNS = ["key", "where", "order", "held", "label", "content"]


@dataclass(frozen=True)
class Encoding:
    """What the stages before have found out, and this one needs.

    Attributes:
        tokenizer: tokenizer.json of text; empty for images.
        dtype: Type of a token, such as `<u2`; empty for images.
        classes: Label as JSON -> number of its class; empty without classes.
        shape: Channels, height and width of images.
        held_out: Share of the training sources' records that is kept for validation.
        piece: Characters from which on a document is cut into pieces.
        split_pieces: Whether pieces, and not whole documents, are kept for validation.
        ranges: Into how many ranges the samples are dealt.
        mixed: Whether each source is a component of its own.
        slices: Into how many slices each range is cut, of which the next stage has one in memory at a time.
    """

    tokenizer: str
    dtype: str
    classes: dict[str, int]
    shape: tuple[int, ...]
    held_out: float
    piece: int
    split_pieces: bool
    ranges: int
    mixed: bool
    slices: int = 1


@dataclass(frozen=True)
class Piece:
    """A document or a part of it, or an image.

    Attributes:
        order: Its place in the shuffle.
        component: Which it belongs to; VALIDATION for the validation split.
        units: Tokens, or 1 image.
        label: Number of its class, 0 where there are none.
        content: As it will be in the shard.
    """

    order: int
    component: int
    units: int
    label: int
    content: bytes


def write_encoding(context: Context, encoding: Encoding) -> None:
    """Leaves what this stage needs for its tasks."""
    context.finish(_ENCODING, asdict(encoding))


def read_encoding(context: Context) -> Encoding:
    """What `write_encoding` left."""
    found = context.done(_ENCODING)
    if found is None:
        raise NotFoundError(
            "what the stage before has left is gone",
            where=context.work.uri,
            remedy="See that nothing else deletes files there, and run the same again.",
        )
    return Encoding(**found | {"shape": tuple(found["shape"])})


def encode(context: Context, item: tuple[int, str, int]) -> dict[str, Any]:
    """Encodes one part, by its number, split and source.

    Raises:
        DataError: a text has a character that the tokenizer does not know.
    """
    number, split, source = item
    name = f"encoded/{number:06d}"
    encoding, done = read_encoding(context), context.done(name)
    # What was cut into other slices is made again.
    if done is not None and done.get("slices", 1) == encoding.slices:
        return done
    component = VALIDATION if split == "validation" else source if encoding.mixed else 0
    encoder = _Encoder(context, encoding, component)
    groups = in_order(encoder.tables(kept_rows(context, number)), encoding.ranges * encoding.slices)
    write_groups(context.work, f"{name}.parquet", groups)
    return context.finish(name, encoder.report() | {"slices": encoding.slices})


def kept_rows(context: Context, number: int) -> Iterator[dict[str, Any]]:
    """The records of a part that are not left out as duplicates, by columns of `CLEAN`."""
    dropped = dropped_rows(context, number)
    first = 0
    with opened(context.work, f"clean/{number:06d}.parquet") as table:
        for group in range(table.num_row_groups):
            for row, values in enumerate(
                table.read_row_group(group, columns=_COLUMNS).to_pylist(), start=first
            ):
                if row not in dropped:
                    yield values
            first += table.metadata.row_group(group).num_rows


def limit_of(held_out: float) -> int:
    """Records whose `held` is below this are kept for validation, of a share of them."""
    return int(held_out * 2**64)


class _Encoder:
    """Turns the records of a part into pieces, and counts them."""

    def __init__(self, context: Context, encoding: Encoding, component: int) -> None:
        preparation = context.job.spec.preparation
        self._encoding = encoding
        self._component = component
        self._tokenizer = Tokenizer.from_json(encoding.tokenizer) if encoding.tokenizer else None
        self._limit = limit_of(encoding.held_out)
        self._counting = Counting(encoding.shape)
        self._png = preparation is not None and preparation.encoding == "PNG"
        self._pieces = self._units = 0
        self._lengths: list[dict[str, int]] = []

    def tables(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.Table]:
        """The pieces of all records by columns of `ENCODED`, about `_HELD` bytes at a time; one table at least."""
        waiting, held = list[Piece](), 0
        for row in rows:
            for piece in self._made(row):
                waiting.append(piece)
                held += len(piece.content) + _OVERHEAD
            if held >= _HELD:
                yield self._counted(waiting)
                waiting, held = [], 0
        yield self._counted(waiting)

    def report(self) -> dict[str, Any]:
        """What was made, once all tables have been taken."""
        found = {
            "pieces": self._pieces,
            "units": self._units,
            "statistics": self._counting.to_json(),
        }
        return found if self._tokenizer is None else found | {"lengths": added(self._lengths)}

    def _counted(self, pieces: list[Piece]) -> pa.Table:
        self._pieces += len(pieces)
        self._units += sum(piece.units for piece in pieces)
        if self._tokenizer is not None:
            trained = (piece.units for piece in pieces if piece.component != VALIDATION)
            self._lengths = [added([*self._lengths, count_lengths(trained)])]
        return _table(pieces)

    def _made(self, row: Mapping[str, Any]) -> Iterator[Piece]:
        """The pieces of one record."""
        key, order, where = row["key"], row["order"], row["where"]
        label = self._encoding.classes.get(row["label"], 0)
        if self._tokenizer is None:
            component = self._component_of(row["held"])
            content = self._picture(row["content"])
            self._counting.image(component, label, row["content"])
            yield Piece(order, component, 1, label, content)
            return
        texts = cut(row["content"].decode("utf-8", "surrogatepass"), self._encoding.piece)
        for place, text in enumerate(texts):
            tokens = self._tokens(self._tokenizer, text, where)
            if place == len(texts) - 1 and self._tokenizer.end_of_text is not None:
                tokens = np.append(tokens, self._tokenizer.end_of_text)
            own = f"{key}/{place}"
            component = self._component_of(
                order_of(f"validation:{own}") if self._encoding.split_pieces else row["held"]
            )
            order = row["order"] if place == 0 else order_of(own)
            self._counting.text(component, len(tokens), len(text.encode("utf-8", "surrogatepass")))
            yield Piece(order, component, len(tokens), label, tokens.astype(self._encoding.dtype).tobytes())

    def _component_of(self, held: int) -> int:
        return VALIDATION if held < self._limit else self._component

    def _tokens(self, tokenizer: Tokenizer, text: str, where: str) -> NDArray[np.int32]:
        try:
            return tokenizer.encode(text)
        except DataError as error:
            raise DataError(error.what, where=where, remedy=error.remedy) from error

    def _picture(self, pixels: bytes) -> bytes:
        shape = self._encoding.shape
        return encoded(np.frombuffer(pixels, dtype=np.uint8).reshape(shape)) if self._png else pixels


def cut(text: str, length: int) -> list[str]:
    """A text in pieces of about `length` characters, cut behind the ends of lines where there are some."""
    pieces = []
    start = 0
    while len(text) - start > length * 3 // 2:
        end = start + length
        line = text.rfind("\n", start + length // 2, end)
        end = line + 1 if line >= 0 else end
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]


def numbered(
    counts: Mapping[str, int], held: Mapping[str, int], missing: int, total: int, where: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes, and the number of each label.

    Args:
        counts: How many images of the training split's sources have each label, by its JSON text.
        held: Likewise of validation sources, which may have no other labels.
        missing: Images without a label.
        total: All images.
        where: The sources.

    Raises:
        DataError: labels cannot be used.
    """
    if missing:
        raise DataError(
            f"{missing:,} of {total:,} images have no label",
            where=where,
            remedy="Give every image a label: a whole number from 0 or a text.",
        )
    labels = {text: json.loads(text) for text in sorted(counts)}
    names = class_names(list(labels.values()), where)
    numbers = {name: number for number, name in enumerate(names)}
    other = next((label for label in labels.values() if str(label) not in numbers), None)
    if other is not None:
        raise DataError(
            f"some labels are texts, such as {names[0]!r}, and others numbers, such as {other}",
            where=where,
            remedy="Give all labels as texts, or all as whole numbers from 0.",
        )
    alone = next((json.loads(text) for text in sorted(held) if text not in labels), None)
    if alone is not None:
        raise DataError(
            f"the label {str(alone)!r} is not one of the training split's {len(names)} classes",
            where="spec.data.validation",
            remedy="Correct the label, or add images of this class to the training split.",
        )
    return names, {text: numbers[str(label)] for text, label in labels.items()}


def shape_of(cleaned: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """The size of all images, from the reports of the first stage.

    Raises:
        DataError: they differ.
    """
    shapes = {tuple(report["shape"]) for report in cleaned if report["shape"]}
    if len(shapes) > 1:
        raise DataError(
            f"the images have different sizes or modes (channels, height, width): {sorted(shapes)}",
            where="spec.data",
            remedy="Give spec.data.images.size and mode, so that all become the same.",
        )
    return shapes.pop()


def _table(pieces: list[Piece]) -> pa.Table:
    columns = {
        "order": [piece.order for piece in pieces],
        "component": [piece.component for piece in pieces],
        "units": [piece.units for piece in pieces],
        "label": [piece.label for piece in pieces],
        "content": [piece.content for piece in pieces],
    }
    return pa.table(
        {name: pa.array(values, ENCODED.field(name).type) for name, values in columns.items()}, schema=ENCODED
    )
