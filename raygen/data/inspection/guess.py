"""Guesses what a job would have to say of a source: the format by its files' names and first bytes, the rest by its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from raygen.data.images.formats import HEAD_BYTES, SUFFIXES, is_image
from raygen.data.inspection.schemas import Schema, holds_bytes
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import unpacking
from raygen.data.sources.files import AnyFile, find_files
from raygen.errors import DamagedError, DataError
from raygen.spec import Source
from raygen.spec.data.sources import EITHER_FORMATS, parse_source
from raygen.spec.schema.base import given

_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4", ".lzma"})
_FORMATS = {
    ".arrow": "Arrow",
    ".arrows": "Arrow",
    ".csv": "Csv",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".jsonl": "JsonLines",
    ".mds": "Mds",
    ".mid": "Midi",
    ".midi": "Midi",
    ".ndjson": "JsonLines",
    ".parq": "Parquet",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".tab": "Csv",
    ".tar": "Tar",
    ".tgz": "Tar",
    ".tsv": "Csv",
    ".txt": "Text",
    ".md": "Text",
    **dict.fromkeys(SUFFIXES, "ImageFolder"),
}
"""Formats by the ends of names, in lower case and without that of a compressed file."""
LOOKED_AT = 500
"""Files that are looked at."""
_HEAD = 512
_IDX = b"\0\0\x08\x03"
_IMAGE_ENDS = frozenset(suffix[1:] for suffix in SUFFIXES)
_IMAGE_NAMES = ("image", "img", "picture", "photo", "jpg", "png", "pixels", "bytes")
_TEXT_NAMES = ("text", "content", "body", "document", "caption", "story", "article", "sentence")
_LABEL_NAMES = ("label", "class", "cls", "fine_label", "target", "category")


def guess_format(uri: str, base: Path) -> str:
    """The format that most of a source's files have.

    Raises:
        DataError: There are no files.
    """
    if uri.lower().startswith("hf://"):
        return "HuggingFace"
    files = find_files(Source(uri=uri), base, Remarks())
    names = {file.inner[-1] for file in files}
    if {"state.json", "dataset_dict.json"} & names and any(file.suffix == ".arrow" for file in files):
        return "HuggingFace"
    found = Counter(format_of(file) for file in files[:LOOKED_AT])
    # What lies beside data is text or unknown: README.md, index.json.
    known = Counter({name: count for name, count in found.items() if name != "Text"})
    return (known or found).most_common(1)[0][0]


def format_of(file: AnyFile) -> str:
    """The format that a file has by its name, else by its first bytes; Text, if nothing else is known."""
    name = PurePosixPath(file.inner[-1].lower())
    suffix = PurePosixPath(name.stem).suffix if name.suffix in _PACKED else name.suffix
    if suffix in _FORMATS:
        return _FORMATS[suffix]
    if ".mds." in name.name:
        return "Mds"
    try:
        with file.open() as opened:
            head = unpacking(opened, str(file), Remarks()).head(_HEAD)
    except DamagedError:
        return "Text"
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "Arrow"
    if head[257:262] == b"ustar":
        return "Tar"
    if head.startswith(_IDX) or "idx3-ubyte" in name.name:
        return "Idx"
    if is_image(head[:HEAD_BYTES]):
        return "ImageFolder"
    line = head.lstrip()
    return "JsonLines" if line.startswith(b"{") and b'":' in line and suffix != ".json" else "Text"


def guess_fields(
    source: Source, schema: Schema, heads: Callable[[str], Sequence[bytes]] = lambda _: ()
) -> Source:
    """The source with what it leaves open and its columns tell: contents, field and labels.

    Args:
        source: What is known of it.
        schema: Its columns.
        heads: What the first values of a column of bytes begin with. Default: nobody knows, so its name tells.

    Raises:
        DataError: it says nothing of what it holds, and that is neither text nor images.
        InputError: what it says does not go with what it holds.
    """
    is_either = source.format in EITHER_FORMATS
    changes: dict[str, str] = {}
    is_open = source.contents is None or (source.contents == "Images" and source.field is None)
    images = _images(source, schema, heads) if is_either and is_open else []
    if is_either and source.contents is None:
        if not images:
            _check_is_known(source, schema)
        changes["contents"] = "Images" if images or not schema else "Text"
    contents: Literal["Text", "Images"] = (
        "Text" if source.holds_text or changes.get("contents") == "Text" else "Images"
    )
    if source.field is None and schema and source.format != "Tar":
        usual, names = ("image", _IMAGE_NAMES) if contents == "Images" else ("text", _TEXT_NAMES)
        held = images if contents == "Images" else [name for name, kind in schema.items() if _is_text(kind)]
        field = _named(held, names) or next(iter(held), None)
        if field is not None and field != usual:
            changes["field"] = field
    if is_either and contents == "Images" and source.label_field is None and source.format != "Tar":
        label = _named(list(schema), _LABEL_NAMES)
        if label is not None and label != "label":
            changes["label_field"] = label
    return parse_source(given(source) | changes)


def _named(held: list[str], names: tuple[str, ...]) -> str | None:
    return next((found for name in names for found in held if found.lower() == name), None)


def _images(source: Source, schema: Schema, heads: Callable[[str], Sequence[bytes]]) -> list[str]:
    """The columns that hold images. Where nothing else can be what is meant, those that might are taken for it: of which nobody knows how
    their values begin, or all where the source says that it holds images.
    """
    found = [name for name, kind in schema.items() if _is_image(name, kind, source.format, heads)]
    if found or source.format in ("Tar", "Mds"):
        return found
    has_text = source.contents is None and any(map(_is_text, schema.values()))
    if has_text:
        return []
    is_said = source.contents is not None
    return [name for name, kind in schema.items() if holds_bytes(kind) and (is_said or not heads(name))]


def _check_is_known(source: Source, schema: Schema) -> None:
    """Refuses a table of bytes that are no images beside no text, such as tokens.

    Raises:
        DataError: it is one.
    """
    held = [name for name, kind in schema.items() if holds_bytes(kind)]
    if source.field is not None or not held or any(map(_is_text, schema.values())):
        return
    raise DataError(
        f"holds neither text nor images: what is in {', '.join(held)} begins like no image that is read",
        where=source.uri,
        remedy="Name the column by --field and what it holds by --contents; what raygen has prepared is shown by card.html beside its index.",
    )


def _is_image(name: str, kind: str, form: str, heads: Callable[[str], Sequence[bytes]]) -> bool:
    if form == "Tar":
        return name.rpartition(".")[2] in _IMAGE_ENDS
    if form == "Mds":
        return kind.partition(":")[0] in ("jpeg", "png", "pil") or (
            kind.partition(":")[0] in ("bytes", "ndarray") and name.lower() in _IMAGE_NAMES
        )
    if not holds_bytes(kind):
        return kind.startswith("Image")
    begun = heads(name)
    return any(map(is_image, begun)) if begun else name.lower() in _IMAGE_NAMES


def _is_text(kind: str) -> bool:
    return kind in ("text", "str", "string", "large_string", "string_view", "Value('string')") or (
        kind.startswith("dictionary<values=string")
    )
