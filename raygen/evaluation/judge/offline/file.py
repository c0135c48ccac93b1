"""A trained offline judge in one file: safetensors, with all else as JSON inside it, and a digest of everything. Nothing in it is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from raygen.errors import DamagedError, InputError
from raygen.evaluation.headers import digest_of, metadata_of
from raygen.evaluation.judge.offline.addressed import Recognizer
from raygen.evaluation.judge.offline.evidence import Rarity
from raygen.evaluation.judge.offline.features import Knowledge
from raygen.evaluation.judge.offline.fluency import WrongWords, from_tensors, tensors_of
from raygen.evaluation.judge.offline.heads import FEATURES, Head
from raygen.evaluation.judge.offline.order import Order
from raygen.evaluation.judge.rubrics import MetricName
from raygen.evaluation.text.embeddings import Encoder
from raygen.storage import open_storage

FORMAT = "raygen.judge/1"
"""The key of the metadata in the file's header, and the version of its layout and of the features."""
_TOKENIZER = "encoder/tokenizer"


@dataclass(frozen=True)
class Trained:
    """All that an offline judge has learnt.

    Attributes:
        encoder: The sentence encoder.
        knowledge: What the features need.
        wrong_words: The probe of the encoder's states.
        heads: By metric.
        facts: What it was trained on, by which seed: JSON.
    """

    encoder: Encoder
    knowledge: Knowledge
    wrong_words: WrongWords
    heads: Mapping[MetricName, Head]
    facts: Mapping[str, object]

    def save(self, path: Path) -> str:
        """Writes it, in place of what is there, and returns the SHA-256 of the file.

        Raises:
            OutputError: the file cannot be written.
        """
        tensors = self._tensors()
        said = {
            "facts": self.facts,
            "heads": {metric: asdict(head) for metric, head in sorted(self.heads.items())},
            "features": {metric: [one.name for one in FEATURES[metric]] for metric in sorted(self.heads)},
            "order": self.knowledge.order.bias,
            "recognizer": self.knowledge.recognizer.limit,
        }
        header = json.dumps({"said": said, "sha256": digest_of(tensors, said)}, sort_keys=True)
        content = safetensors.torch.save(tensors, {FORMAT: header})
        open_storage(str(path.parent)).write(path.name, content)
        return hashlib.sha256(content).hexdigest()

    def _tensors(self) -> dict[str, Tensor]:
        # The weights are used in these 16 bits, so that the other half of float32 would be carried for nothing.
        tensors = {f"encoder/{name}": tensor.bfloat16() for name, tensor in self.encoder.tensors.items()}
        text = bytearray(self.encoder.tokenizer.encode())
        tensors[_TOKENIZER] = torch.frombuffer(text, dtype=torch.uint8).clone()
        tensors.update(tensors_of(self.knowledge.ngrams, self.wrong_words))
        tensors["rarity.stems"] = torch.from_numpy(self.knowledge.rarity.stems)
        tensors["rarity.pieces"] = torch.from_numpy(self.knowledge.rarity.pieces)
        tensors["recognizer.weights"] = torch.from_numpy(self.knowledge.recognizer.weights)
        tensors["order.weights"] = torch.from_numpy(self.knowledge.order.weights)
        return {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}


def load(path: Path) -> tuple[Trained, str]:
    """Reads a trained judge if it is whole, with the SHA-256 of its file.

    Raises:
        InputError: there is no such file, or it cannot be read.
        DamagedError: it is cut off, altered, of another version, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the judge cannot be read: {error.strerror or type(error).__name__}",
            where=str(path),
            remedy="Train one: raygen evaluate train-judge --to FILE.",
        ) from error
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(metadata_of(content)[FORMAT])
        said = header["said"]
        intact = header["sha256"] == digest_of(tensors, said)
        # Before anything is made of it: what was altered may be no tokenizer or head any more.
        trained = _trained(tensors, said) if intact else None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(
            path, "this is not a file of an offline judge, one of another version, or a damaged one"
        ) from error
    if trained is None:
        raise _damaged(path, "the judge does not match its digest: it was altered after it was written")
    return trained, hashlib.sha256(content).hexdigest()


def _trained(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> Trained:
    encoder = {
        name.removeprefix("encoder/"): tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder/")
    }
    tokenizer = encoder.pop("tokenizer").numpy().tobytes().decode()
    ngrams, wrong_words = from_tensors(tensors)
    rarity = Rarity(tensors["rarity.stems"].numpy(), tensors["rarity.pieces"].numpy())
    heads = {}
    for metric, features in FEATURES.items():
        if said["features"][metric] != [one.name for one in features]:
            raise ValueError(f"{metric} has other features")
        head = said["heads"][metric]
        heads[metric] = Head(tuple(head["weights"]), head["bias"], tuple(head["usual"]))
    order = Order(tensors["order.weights"].numpy(), said["order"])
    recognizer = Recognizer(tensors["recognizer.weights"].numpy(), said["recognizer"])
    knowledge = Knowledge(rarity, ngrams, order, recognizer)
    return Trained(Encoder(encoder, tokenizer), knowledge, wrong_words, heads, said["facts"])


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(
        what, where=str(path), remedy="Train the judge again, or take an intact copy of its file."
    )
