"""Learns a vocabulary by byte-pair encoding, of large texts in a process of its own.

    python -m raygen.data.text.learning TOKENS

The library learns in compiled code that hears no signal and tells nothing, for minutes or hours; a process can be ended.
It reads documents from its standard input, each behind its length, and writes tokenizer.json to its standard output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from raygen.data.progress import Progress
from raygen.errors import DataError

END_OF_TEXT = "<|endoftext|>"
LONGEST_WORD = 512
"""Bytes of a run without a boundary, such as base64, DNA or a row of dashes, that are learned from as one word.

Time grows with the square of a word's length (https://github.com/huggingface/tokenizers/issues/497): one of 20,000
letters takes longer than a book. Longer runs are cut for learning, and for nothing else; the words of no language are.
"""
ALONE_FROM = 1 << 16
"""Characters from which on a text is learned from in a process of its own; what is shorter takes a second or so."""
_LENGTH_BYTES = 8
_END = (1 << 64) - 1


def byte_level(model: models.BPE, *, use_regex: bool) -> tokenizers.Tokenizer:
    """A tokenizer of bytes, as GPT-2 has them.

    Args:
        model: Vocabulary and merges.
        use_regex: Whether merges stay within words.
    """
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([END_OF_TEXT])
    return inner


def learn(documents: Sequence[str], tokens: int, progress: Progress) -> tokenizers.Tokenizer:
    """Learns from documents; the same ones give the same tokenizer.

    Args:
        documents: The text.
        tokens: Size of the vocabulary.
        progress: Told of, where it takes long.

    Raises:
        DataError: The process that learns was killed, as where memory runs out.
    """
    if sum(map(len, documents)) < ALONE_FROM:
        return _learned(documents, tokens)
    return tokenizers.Tokenizer.from_str(_learned_alone(documents, tokens, progress))


def _learned(documents: Iterable[str], tokens: int) -> tokenizers.Tokenizer:
    inner = byte_level(models.BPE(), use_regex=True)
    words = inner.pre_tokenizer
    # A byte is one character behind the first of the two.
    pieces = pre_tokenizers.Split(Regex(rf"[\s\S]{{1,{LONGEST_WORD}}}"), "isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence([words, pieces])
    trainer = trainers.BpeTrainer(
        vocab_size=tokens,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(documents, trainer)
    inner.pre_tokenizer = words
    return inner


def _learned_alone(documents: Sequence[str], tokens: int, progress: Progress) -> str:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as faults:
        process = subprocess.Popen(  # noqa: S603 (nothing foreign in the command)
            # Without -P, modules in the working directory would come before those of their names.
            [sys.executable, "-P", "-m", "raygen.data.text.learning", str(tokens)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=faults,
            # Ctrl-C in a terminal is for this process alone, which ends that one.
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 (for mypy)
        feeder = _Feeder(process.stdin, documents)
        try:
            feeder.start()
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(progress.seconds_left, 0.1))
                progress.at("learning the tokenizer, documents read", feeder.done, len(documents))
        finally:
            process.kill()
            process.wait()
            if feeder.ident is not None:
                feeder.join()
            with suppress(OSError):
                process.stdin.close()
        if process.returncode != 0:
            faults.seek(0)
            raise _failed(process.returncode, faults.read().decode("utf-8", "replace"))
        output.seek(0)
        return output.read().decode()


def _failed(code: int, words: str) -> DataError:
    lines = words.strip().splitlines()
    why = (
        f"was ended by {signal.Signals(-code).name}"
        if code < 0
        else lines[-1]
        if lines
        else f"exit code {code}"
    )
    return DataError(
        f"learning the tokenizer failed: {why}",
        where="spec.data.tokenizer",
        remedy="If memory ran out, learn from less text or use the type Byte; give more memory otherwise.",
    )


class _Feeder(threading.Thread):
    """Writes documents into a pipe, which may break.

    Attributes:
        done: Documents written.
    """

    def __init__(self, pipe: IO[bytes], documents: Sequence[str]) -> None:
        super().__init__(name="learning", daemon=True)
        self.done = 0
        self._pipe = pipe
        self._documents = documents

    def run(self) -> None:
        with suppress(OSError):
            for document in self._documents:
                content = document.encode("utf-8", "surrogatepass")
                self._pipe.write(len(content).to_bytes(_LENGTH_BYTES, "little"))
                self._pipe.write(content)
                self.done += 1
            self._pipe.write(_END.to_bytes(_LENGTH_BYTES, "little"))
            self._pipe.flush()


def _fed(pipe: IO[bytes]) -> Iterator[str]:
    """The documents that a feeder writes."""
    while (length := int.from_bytes(_exactly(pipe, _LENGTH_BYTES), "little")) != _END:
        yield _exactly(pipe, length).decode("utf-8", "surrogatepass")


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        os._exit(1)  # whoever asked is gone
    return content


def _end_with_parent(pipe: IO[bytes]) -> None:
    """Ends this process when the other end of its standard input is closed, as when its owner was killed."""
    pipe.read(1)
    os._exit(1)


def main() -> None:
    """Learns from standard input."""
    pipe = sys.stdin.buffer

    def documents() -> Iterator[str]:
        yield from _fed(pipe)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()

    learned = _learned(documents(), int(sys.argv[1]))
    sys.stdout.buffer.write(learned.to_str().encode())
    sys.stdout.buffer.flush()
    # The thread that waits for the pipe holds its lock, which an orderly end would wait for.
    os._exit(0)


if __name__ == "__main__":
    main()
