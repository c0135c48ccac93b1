"""Data sets of the library `datasets`: a folder that `save_to_disk` wrote, which is Arrow; a name on the hub, or a copy of what is there.

Of the last two the library reads rows as they come, by its own readers of files; code that a data set brings is not run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raygen.data.records.listing import Records, part_files
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.tables import arrow
from raygen.data.records.tables.rows import Columns, columns_of, records_of
from raygen.data.remarks import Remarks
from raygen.data.sources.files import AnyFile, find_files, local_path
from raygen.errors import DataError, MissingExtraError
from raygen.spec import Source
from raygen.spec.data.sources import ResolvedSource

HUB = "hf://"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_STATE, _SPLITS = "state.json", "dataset_dict.json"
_ROWS = 32
"""Rows that are Python objects at a time."""


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """Files of a folder as Arrow's, or shards of the hub; see `raygen.data.records.parts`."""
    if not source.is_on_hub:
        saved = _saved(source, base, remarks)
        if saved is not None:
            return arrow.pieces_of(part_files(saved, source, base), source, size)
    # A file without a size: what the library streams.
    file = PartFile(source.uri, source.split or "", 0)
    count = _streamed(source, base).num_shards
    if count == 1:
        return [Piece(file)]
    return [Piece(file, number, number + 1) for number in range(count)]


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    if part.files[0].uri != source.uri:
        return arrow.read(part, source, base, remarks, limit)
    return _streamed_records(part, source, base, remarks, limit)


def features_of(source: Source, base: Path) -> dict[str, str]:
    """The columns of what the library streams, in its words."""
    return {name: str(feature) for name, feature in (_streamed(source, base).features or {}).items()}


def revision_of(source: Source) -> str:
    """The commit of a data set on the hub; empty where it cannot be told, which reading finds out.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        builder: Any = _library().load_dataset_builder(_name_on_hub(source), source.subset)
    except (OSError, ValueError, RuntimeError):
        return ""
    return str(builder.hash or "")


def _streamed_records(
    part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int
) -> Records:
    dataset = _streamed(source, base)
    if part.stop is not None:
        dataset = dataset.shard(num_shards=dataset.num_shards, index=part.start)
    columns: Columns | None = None
    (file,) = part.files
    row = 0
    try:
        for table in dataset.with_format("arrow").iter(batch_size=_ROWS):
            columns = columns or columns_of(table.schema, source, source.uri)
            for batch in table.select(columns.names).combine_chunks().to_batches():
                yield from records_of(batch, row, columns, source, file, remarks, limit, part.start)
                row += batch.num_rows
    # The library hands on what its many readers raise.
    except (OSError, ValueError, RuntimeError, pa.ArrowException) as error:
        raise _away(source, error) from error


def _streamed(source: Source, base: Path) -> Any:
    """The data set as it streams, with images as they are stored."""
    datasets = _library()
    if not source.is_on_hub:
        name = str(local_path(source.uri, base).absolute())
    else:
        name = _name_on_hub(source)
        if not _NAME.fullmatch(name):
            raise _away(source, ValueError("no name on the hub, which is owner/name"))
        if Path(name).exists():
            # The library would take it for the data set.
            raise _away(source, ValueError(f"a folder {name} is in the way in the working directory"))
    try:
        dataset: Any = datasets.load_dataset(
            name, source.subset, split=source.split or "train", streaming=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _away(source, error) from error
    for column, feature in (dataset.features or {}).items():
        if isinstance(feature, datasets.Image):
            dataset = dataset.cast_column(column, datasets.Image(decode=False))
    return dataset


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("datasets", "huggingface") from error
    return datasets


def _name_on_hub(source: Source) -> str:
    return source.uri[len(HUB) :].removeprefix("datasets/")


def _away(source: Source, error: Exception) -> DataError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"cannot be read by the library datasets: {said}",
        where=source.uri,
        remedy="Correct the name, subset or split; of a data set that is not public, give a token (HF_TOKEN).",
    )


def _saved(source: ResolvedSource, base: Path, remarks: Remarks) -> Sequence[AnyFile] | None:
    """The Arrow files of the split, in the order that its state names; None if it is no folder of `save_to_disk`."""
    files = {"/".join(file.inner): file for file in find_files(source, base, remarks)}
    folder = ""
    if not {_STATE, _SPLITS} & files.keys() and not source.uri.startswith("s3://"):
        return None
    if _STATE not in files:
        folder = f"{source.split}/"
        splits = _document(files[_SPLITS]).get("splits", []) if _SPLITS in files else []
        if f"{folder}{_STATE}" not in files:
            raise DataError(
                f"there is no split {source.split!r}; there are {', '.join(map(str, splits))}"
                if splits
                else "is not a data set that `save_to_disk` wrote",
                where=source.uri,
                remedy="Name one of its splits, or give a folder of save_to_disk or hf://owner/name.",
            )
    named = [
        f"{folder}{Path(one['filename']).name}"
        for one in _document(files[f"{folder}{_STATE}"]).get("_data_files", [])
    ]
    missing = [name for name in named if name not in files]
    if missing or not named:
        raise DataError(
            f"the file {missing[0]} is missing" if missing else f"{_STATE} names no files",
            where=source.uri,
            remedy="Save the data set again with save_to_disk.",
        )
    return [files[name] for name in named]


def _document(file: AnyFile) -> dict[str, Any]:
    try:
        document = json.loads(file.read())
    except ValueError as error:
        raise DataError(
            "is not JSON", where=str(file), remedy="Save the data set again with save_to_disk."
        ) from error
    return document if isinstance(document, dict) else {}
