"""Statistics of real data's features in one file, so that they are computed once: safetensors, with what they are of as JSON inside it.

Shapes: D features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from raygen.errors import DamagedError, DataError
from raygen.evaluation.headers import digest_of, metadata_of
from raygen.evaluation.images.frechet import FeatureSums
from raygen.evaluation.images.moments import Moments
from raygen.storage import Storage

FORMAT = "raygen.reference/1"
"""The key of the metadata in the file's header, and the version of its layout."""
WHOLE = "all"
"""The name of the sums over all samples; those of a class have its label."""
MOMENTS = ("origin", "offset", "scatter")


@dataclass(frozen=True)
class ReferenceStatistics:
    """Sums over real samples' features, and what they are of.

    Attributes:
        extractor: SHA-256 of the extractor's weights, as 64 hexadecimal digits.
        data: Fingerprint of the data.
        sums: Over all samples.
        classes: Over those of each class, by label; empty where there are no classes.
    """

    extractor: str
    data: str
    sums: FeatureSums
    classes: Mapping[int, FeatureSums] = field(default_factory=dict)

    def save(self, storage: Storage, key: str) -> None:
        """Writes them, in place of what is there.

        Args:
            storage: Where.
            key: The file's.

        Raises:
            OutputError: the storage refuses.
        """
        tensors: dict[str, Tensor] = {}
        counts: dict[str, _Counts] = {}
        for name, sums in _named(self.sums, self.classes):
            counts[name] = {"folded": sums.moments.count if sums.moments else 0, "rows": sums.waiting}
            if sums.moments is not None:
                # Copies, since sums may share tensors, which safetensors refuses.
                for part in MOMENTS:
                    tensors[f"{name}/{part}"] = getattr(sums.moments, part).clone()
            if sums.rows:
                tensors[f"{name}/rows"] = torch.cat(sums.rows)
        facts: _Facts = {
            "extractor": self.extractor,
            "data": self.data,
            "dimensions": self.sums.dimensions,
            "counts": counts,
        }
        header = json.dumps({"facts": facts, "sha256": digest_of(tensors, facts)})
        storage.write(key, safetensors.torch.save(tensors, {FORMAT: header}))

    @classmethod
    def load(cls, storage: Storage, key: str, *, extractor: str) -> ReferenceStatistics:
        """Reads them, if they are whole and of that extractor's features.

        Args:
            storage: Where.
            key: The file's.
            extractor: SHA-256 of the weights of the extractor with whose features they are to be compared.

        Raises:
            NotFoundError: there is no such file.
            DamagedError: it is cut off, altered, or holds something else.
            DataError: it holds features of another extractor.
        """
        where = f"{storage.uri.rstrip('/')}/{key}"
        content = storage.read(key)
        try:
            tensors = safetensors.torch.load(content)
            facts, digest = _header(content)
            labels = [name for name in facts["counts"] if name != WHOLE]
            found = cls(
                facts["extractor"],
                facts["data"],
                _sums(WHOLE, facts, tensors),
                {int(label): _sums(label, facts, tensors) for label in labels},
            )
            intact = digest == digest_of(tensors, facts)
        except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(
                "this is not a file of reference statistics, or a damaged one",
                where=where,
                remedy="Compute the statistics again.",
            ) from error
        if not intact:
            raise DamagedError(
                "the reference statistics do not match their digest: they were altered after they were written",
                where=where,
                remedy="Compute the statistics again.",
            )
        if found.extractor != extractor:
            raise DataError(
                f"the reference statistics are of the features of another extractor, {found.extractor[:12]} and not"
                f" {extractor[:12]} by SHA-256",
                where=where,
                remedy="Compute the statistics with this extractor, or name the one that they are of.",
            )
        return found


class _Counts(TypedDict):
    folded: int
    rows: int


class _Facts(TypedDict):
    extractor: str
    data: str
    dimensions: int
    counts: dict[str, _Counts]


def _named(sums: FeatureSums, classes: Mapping[int, FeatureSums]) -> Iterator[tuple[str, FeatureSums]]:
    yield WHOLE, sums
    for label in sorted(classes):
        yield str(label), classes[label]


def _header(content: bytes) -> tuple[_Facts, str]:
    """What the header of a safetensors file says of its tensors, and the digest of both."""
    said = json.loads(metadata_of(content)[FORMAT])
    return said["facts"], said["sha256"]


def _sums(name: str, facts: _Facts, tensors: Mapping[str, Tensor]) -> FeatureSums:
    """Sums of that name; KeyError or ValueError if their tensors are not there or have other shapes."""
    counts, size = facts["counts"][name], facts["dimensions"]
    moments = None
    if counts["folded"]:
        origin, offset, scatter = (tensors[f"{name}/{part}"] for part in MOMENTS)
        if (origin.shape, offset.shape, scatter.shape) != ((size,), (size,), (size, size)):
            raise ValueError(f"moments of {name} have other shapes than ({size},)")
        moments = Moments(counts["folded"], origin, offset, scatter)
    rows = (tensors[f"{name}/rows"],) if counts["rows"] else ()
    if rows and rows[0].shape != (counts["rows"], size):
        raise ValueError(f"rows of {name} have the shape {tuple(rows[0].shape)}")
    return FeatureSums(size, moments, rows, counts["rows"])
