"""What a data card says, as card.json has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raygen.data.cleaning.duplicates import Certificate
from raygen.data.cleaning.report import CleaningReport
from raygen.data.order_hash import OrderRecord
from raygen.data.remarks import Remark

CARD_JSON, CARD_HTML = "card.json", "card.html"
FORMAT = 1
"""Version of this format."""


@dataclass(frozen=True)
class Source:
    """What was read of one source.

    Attributes:
        split: `train` or `validation`.
        uri: As the job gives it.
        records: Documents or images that filters kept, with duplicates.
        size: Bytes of text in UTF-8, or of pixels, of these.
    """

    split: str
    uri: str
    records: int
    size: int


@dataclass(frozen=True)
class Split:
    """One component of the training split, or the validation split.

    Attributes:
        split: `train` or `validation`.
        component: Number of the source that the component is, where sources are mixed by weight; otherwise 0.
        shards: Files.
        rows: Documents, pieces of long ones counted one by one, or images.
        units: Tokens or images.
        bytes: Size of the files.
        size: Bytes of text in UTF-8, or of pixels.
        shortest: Fewest tokens of a document; None for images.
        longest: Most tokens of a document; 0 for images.
        lengths: (least tokens, documents) for each class of lengths that occurs, ascending.
        classes: Name of a class -> images; empty without classes.
        levels: Of each channel how many pixels have each value from 0 to 255; empty for text.
        mean: Mean value of each channel's pixels, from 0 to 255; empty for text.
        deviation: Standard deviation of each channel's pixels; empty for text.
    """

    split: str
    component: int
    shards: int
    rows: int
    units: int
    bytes: int
    size: int
    shortest: int | None
    longest: int
    lengths: tuple[tuple[int, int], ...]
    classes: Mapping[str, int]
    levels: tuple[tuple[int, ...], ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class Sample:
    """One of the first samples in the order of the shuffle, which is one of a random choice.

    Attributes:
        split: `train` or `validation`.
        text: The beginning of a document; empty for an image.
        png: An image as a PNG file in Base64, made smaller if it is large; empty for text.
        label: Name of an image's class; empty without one.
    """

    split: str
    text: str = ""
    png: str = ""
    label: str = ""


@dataclass(frozen=True)
class Card:
    """What a prepared data set holds. It is a function of the sources and the job: there is no time and no machine in it.

    Attributes:
        name: Of the job.
        kind: `text` or `images`.
        fingerprint: Of the index.
        order: The order of the first epoch, for the job's seed.
        sources: In the order of the job.
        splits: Components of the training split, and then the validation split, if there is one.
        records: Documents or images that were kept, without duplicates.
        remarks: What was skipped or changed while the sources were read.
        observations: What else is to be known of it, in sentences.
        cleaning: What cleaning did; of a job without it, which records could not be read.
        certificate: Whether validation has near duplicates in training; None where near duplicates were not looked for.
        vocabulary: Tokens in the vocabulary; 0 for images.
        bytes_per_token: Bytes of UTF-8 that a token of the training split stands for; 0 for images.
        shape: Channels, height and width of images; empty for text.
        samples: Some of them.
        recipe: What the job says that decides what was prepared.
        made_with: Versions of the software.
    """

    name: str
    kind: str
    fingerprint: str
    order: OrderRecord
    sources: tuple[Source, ...]
    splits: tuple[Split, ...]
    records: int
    remarks: tuple[Remark, ...]
    observations: tuple[str, ...]
    cleaning: CleaningReport
    certificate: Certificate | None
    vocabulary: int
    bytes_per_token: float
    shape: tuple[int, ...]
    samples: tuple[Sample, ...]
    recipe: Mapping[str, Any]
    made_with: Mapping[str, str]

    def to_json(self) -> bytes:
        """The content of card.json."""
        body = {"format": FORMAT, **asdict(self)}
        if self.certificate is not None:
            body["certificate"]["holds"] = self.certificate.holds
        return (json.dumps(body, sort_keys=True, indent=1) + "\n").encode()
