"""Text as batches of token windows.

Training: every epoch cuts the token stream into windows of `context` tokens from a start that the epoch
draws, and deals them in an order that the epoch draws; so each token is seen once per epoch, in other
windows each time. Evaluation: windows from the start that do not overlap, the last one filled up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from raygen.data.memory import check_memory
from raygen.data.order import Indices, Order
from raygen.data.progress import Notice, Progress
from raygen.data.protocol import Samples
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.data.text.tokenizers import Tokenizer, Tokens, train_tokenizer
from raygen.errors import DataError
from raygen.spec import ResolvedJob
from raygen.spec.contents import IGNORED

TOKENIZER_FILE = "tokenizer.json"


class TextData:
    """The text of a job, tokenized, in memory.

    Attributes:
        unit: What throughput counts.
        weighted: All windows count alike.
        units_per_sample: Tokens in a window.
        domain: The tokenizer; made from the training split, or the one given.
        samples_per_epoch: Windows in one pass over the training split.
        remarks: What was skipped while reading.
        fingerprint: SHA-256 over both splits' tokens and the tokenizer; equal data gives equal ones.
    """

    unit = "tokens"
    weighted = False

    def __init__(
        self,
        job: ResolvedJob,
        base: Path,
        tokenizer: Tokenizer | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Reads and tokenizes.

        Args:
            job: The job.
            base: Folder that relative source paths start from.
            tokenizer: The run's tokenizer, where there is one already.
            progress: Told of, where it takes long.

        Raises:
            DataError: the data cannot be used; says where and why.
        """
        self.units_per_sample = context_length(job)
        remarks, progress = Remarks(), progress or Progress()
        train_documents, validation_documents = _split(job, base, remarks)
        chosen = job.spec.data.tokenizer
        if chosen is None:
            raise ValueError("text needs a tokenizer")
        self.domain = tokenizer or train_tokenizer(chosen, train_documents, progress)
        _check_memory(chosen.type, [*train_documents, *validation_documents], _sources(job))
        self._train = _encode(self.domain, train_documents, "spec.data.train", progress)
        self._validation = _encode(self.domain, validation_documents, "spec.data.validation", progress)
        _check_prompts(job, self.domain)
        context = self.units_per_sample
        self.samples_per_epoch = (len(self._train) - context) // context
        if self.samples_per_epoch < 1:
            raise DataError(
                f"the training split has {len(self._train)} tokens, too few for contextLength {context}",
                where=_sources(job),
                remedy=f"Give at least {2 * context} tokens of text, or lower contextLength.",
            )
        if job.spec.data.validation is not None and len(self._validation) < 2:
            raise DataError(
                "the validation split is too short to predict anything",
                where="spec.data.validation",
                remedy="Give more text or a larger fraction.",
            )
        self._order = Order(job.spec.training.seed, self.samples_per_epoch)
        self._starts: dict[int, int] = {}
        self.remarks = remarks.all()
        self.fingerprint = self._fingerprint()

    def files(self) -> dict[str, bytes]:
        """What a run must keep to use its model later, by file name."""
        return {TOKENIZER_FILE: self.domain.to_json().encode()}

    def train_batch(self, positions: range) -> Samples:
        """The samples at these positions.

        Returns:
            `inputs` and `targets`, each (len(positions), context): targets are the inputs' next tokens.
        """
        context = self.units_per_sample
        windows = np.empty((len(positions), context + 1), dtype=np.int64)
        for row, position in enumerate(positions):
            epoch, index = self._order.at(position)
            start = self._start(epoch) + index * context
            windows[row] = self._train[start : start + context + 1]
        return Samples({"inputs": windows[:, :-1], "targets": windows[:, 1:]})

    def validation_batches(self, size: int) -> Iterator[Samples]:
        """The whole validation split, `size` windows at a time.

        Yields:
            `inputs` and `targets` (windows, context), targets that do not exist being IGNORED, and `bytes`
            (windows,): bytes of text that the targets stand for.
        """
        context = self.units_per_sample
        tokens = self._validation
        count = -(-(len(tokens) - 1) // context)
        padded = np.full(count * context + 1, IGNORED, dtype=np.int64)
        padded[: len(tokens)] = tokens
        inputs = np.maximum(padded[:-1], 0).reshape(count, context)
        targets = padded[1:].reshape(count, context)
        for start in range(0, count, size):
            chosen = targets[start : start + size]
            lengths = np.where(chosen == IGNORED, 0, self.domain.token_bytes[np.maximum(chosen, 0)])
            yield Samples(
                {"inputs": inputs[start : start + size], "targets": chosen, "bytes": lengths.sum(axis=1)}
            )

    def order(self, positions: range) -> Indices:
        """Which samples of the training split stand at these positions, by number: (positions,)."""
        return self._order.indices(positions)

    def close(self) -> None:
        """Does nothing: all is in memory."""

    def _start(self, epoch: int) -> int:
        if epoch not in self._starts:
            # Another key than the permutation's, so that the two are independent.
            self._starts = {epoch: int(self._order.generator(epoch, 1).integers(self.units_per_sample))}
        return self._starts[epoch]

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.domain.to_json().encode())
        for tokens in (self._train, self._validation):
            digest.update(len(tokens).to_bytes(8, "little"))
            digest.update(tokens.astype("<i4").tobytes())
        return digest.hexdigest()


def open_data(
    job: ResolvedJob, base: Path, files: Mapping[str, bytes], notice: Notice | None = None
) -> TextData:
    """The text of a job.

    Args:
        job: A resolved job.
        base: Folder that relative source paths start from.
        files: What `TextData.files` gave when the run began; empty for a new run.
        notice: Takes a sentence now and then, where it takes long.
    """
    return TextData(job, base, open_domain(files) if files else None, Progress(notice))


def open_domain(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer of a run, from what `TextData.files` gave.

    Raises:
        DataError: it is missing or cannot be read.
    """
    if TOKENIZER_FILE not in files:
        raise DataError(
            "the run's tokenizer is missing",
            where=TOKENIZER_FILE,
            remedy="Restore it, or start a new run.",
        )
    return Tokenizer.from_json(files[TOKENIZER_FILE].decode("utf-8", "replace"))


def context_length(job: ResolvedJob) -> int:
    """Tokens in a window."""
    tokens = job.spec.model.block.tokens
    if tokens is None:
        raise ValueError("text needs a model with a context length")
    return tokens


def _split(job: ResolvedJob, base: Path, remarks: Remarks) -> tuple[list[str], list[str]]:
    train = read_documents(job.spec.data.train.sources, base, remarks)
    validation = job.spec.data.validation
    if validation is None:
        return train, []
    if validation.sources is not None:
        return train, read_documents(validation.sources, base, remarks)
    tokenizer = job.spec.data.tokenizer
    behind = "\n" if tokenizer is not None and tokenizer.type == "REMI" else ""
    return split_at(train, 1 - (validation.fraction or 0.0), behind)


def split_at(documents: Sequence[str], share: float, behind: str = "") -> tuple[list[str], list[str]]:
    """Cuts documents in two after this share of their characters, inside a document if need be, and there behind this text."""
    left = int(sum(map(len, documents)) * share)
    first: list[str] = []
    for number, document in enumerate(documents):
        if len(document) > left:
            left = document.rfind(behind, 0, left) + len(behind) if behind else left
            head, tail = document[:left], document[left:]
            return [*first, *([head] if head else [])], [tail, *documents[number + 1 :]]
        first.append(document)
        left -= len(document)
    return first, []


def _check_memory(kind: str, documents: Sequence[str], where: str) -> None:
    """Of characters and bytes it is known how many tokens they become: one each, of four bytes.

    The longest document is in memory a second time while it is encoded: as code points of four bytes, or in UTF-8.
    """
    if kind in ("BPE", "REMI"):
        return
    characters, longest = sum(map(len, documents)), max(map(len, documents), default=0)
    needed = 4 * characters + (4 * longest if kind == "Character" else longest)
    remedy = "Give less text, use the tokenizer type BPE"
    check_memory(f"the tokens of {characters:,} characters need at least", needed, where, remedy)


def _encode(tokenizer: Tokenizer, documents: Sequence[str], where: str, progress: Progress) -> Tokens:
    pieces: list[Tokens] = []
    for number, document in enumerate(documents, start=1):
        progress.at("encoding documents", number, len(documents))
        if pieces and tokenizer.end_of_text is not None:
            pieces.append(np.asarray([tokenizer.end_of_text], dtype=np.int32))
        pieces.append(_encode_at(tokenizer, document, f"{where}, document {number} of {len(documents)}"))
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)


def _encode_at(tokenizer: Tokenizer, text: str, where: str) -> Tokens:
    try:
        return tokenizer.encode(text)
    except DataError as error:
        raise DataError(error.what, where=where, remedy=error.remedy) from error


def _check_prompts(job: ResolvedJob, tokenizer: Tokenizer) -> None:
    """Refuses now what would otherwise stop the run at its first samples."""
    samples = job.spec.evaluation.samples
    for number, prompt in enumerate(samples.prompts if samples is not None else ()):
        _encode_at(tokenizer, prompt, f"spec.evaluation.samples.prompts[{number}]")


def _sources(job: ResolvedJob) -> str:
    return ", ".join(source.uri for source in job.spec.data.train.sources)
