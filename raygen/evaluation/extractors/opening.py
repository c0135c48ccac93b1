"""From a file of weights to the extractor in it."""

from __future__ import annotations

import hashlib

from raygen.errors import InputError, without_secrets
from raygen.evaluation.extractors.extractor import Extractor
from raygen.evaluation.extractors.kinds import Kind, Network, Onnx
from raygen.evaluation.extractors.network import open_network
from raygen.evaluation.extractors.onnx_file import open_onnx
from raygen.evaluation.extractors.timm_model import open_timm
from raygen.storage import Storage, open_storage


def open_extractor(
    uri: str, kind: Kind | None = None, *, sha256: str | None = None, name: str | None = None
) -> Extractor:
    """Opens the extractor in a file, local or on S3.

    Args:
        uri: A path, `file:///absolute/path` or `s3://bucket/folder/file`.
        kind: What the file is; by default ONNX where it ends with `.onnx`, else a network of raygen's.
        sha256: Of the file, if it must be that one.
        name: What metrics call the extractor. By default the name in the file or, in an ONNX file without one, the file's without its
            ending, or that of timm's model.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is another file than the one asked for, or its architecture is unknown.
        DamagedError: it is damaged or something else.
        MissingExtraError: the package that it needs is not installed.
    """
    folder, slash, key = uri.rpartition("/")
    if not key:
        raise InputError(
            "this is a folder, and not the file of an extractor",
            where=without_secrets(uri),
            remedy="Name the file.",
        )
    return read_extractor(open_storage(folder + slash or "."), key, kind, sha256=sha256, name=name)


def read_extractor(
    storage: Storage,
    key: str,
    kind: Kind | None = None,
    *,
    sha256: str | None = None,
    name: str | None = None,
) -> Extractor:
    """As `open_extractor`, from a storage that is open."""
    where = f"{storage.uri.rstrip('/')}/{key}"
    content = storage.read(key)
    found = hashlib.sha256(content).hexdigest()
    # First of all, so that nothing of a file is looked at that is not the one meant.
    if sha256 is not None and sha256.lower() != found:
        raise InputError(
            f"the file's SHA-256 is {found}, and not {sha256.lower()} as asked for",
            where=where,
            remedy="Take the file that was meant, or ask for this one and compute the reference statistics again.",
        )
    stem, _, ending = key.rpartition("/")[2].rpartition(".")
    if kind is None:
        kind = Onnx() if ending.lower() == "onnx" else Network()
    if isinstance(kind, Network):
        return open_network(content, found, where, name)
    if isinstance(kind, Onnx):
        given = kind if name is None else kind.model_copy(update={"name": name})
        return open_onnx(content, found, where, stem or ending, given)
    return open_timm(content, found, where, kind, name)
