"""The features of a case by which each metric is scored, and words for what is missing."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raygen.evaluation.judge.offline import words
from raygen.evaluation.judge.offline.addressed import Recognizer
from raygen.evaluation.judge.offline.evidence import (
    Rarity,
    Read,
    Support,
    cosine,
    likeliest,
    support,
    whole_vector,
)
from raygen.evaluation.judge.offline.fluency import Ngrams, wrong_shares
from raygen.evaluation.judge.offline.order import Order
from raygen.evaluation.judge.rubrics import MetricName
from raygen.evaluation.text.embeddings import Encoded

WHOLE_QUESTION, QUESTION_END = 6, 3
"""Sentences of a question that are all compared with the answer; of a longer one, so many at its end, and the likeliest of the others."""
ECHO = 0.4
"""What is left of the nearness of a sentence that only repeats the question."""
SAME_SENTENCE = 0.7
"""The cosine from which on two sentences are taken to speak of the same."""
MOST_COMPARED = 30
"""Sentences of an answer that are compared with each other."""
GAIN = 4.0
"""What the n-gram model's mean gain is divided by, so that natural text has about 0.7."""
_NO_ANSWER = re.compile(
    r"\b(?:i\s+(?:do\s+not|don't|cannot|can't|could\s+not|couldn't)\s+(?:know|answer|say|tell|help|find)|no\s+idea|not\s+sure|i(?:'m|\s+am)\s+(?:sorry|unable|afraid)"
    r"|as\s+an\s+ai|(?:can|could)\s*not\s+be\s+answered|no\s+information)\b",
    re.IGNORECASE,
)
_UNTOLD = re.compile(
    r"\b(?:context|text|passage|document|article|source|information)\b.{0,40}\b(?:does\s+not|doesn't|do\s+not|don't|is\s+not|isn't|did\s+not|never|no)\b"
    r".{0,30}\b(?:say|tell|mention|state|contain|give|specif|include|provide|information|discuss)",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\b(?:yesterday|today|tomorrow|century|decade|years?|months?|weeks?|days?|hours?|minutes?|monday|tuesday|wednesday|thursday|friday"
    r"|saturday|sunday|january|february|march|april|june|july|august|september|october|november|december|before|after|during|many|few|several|all|none)\b",
    re.IGNORECASE,
)
_KINDS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        re.compile(
            r"\b(?:when|what\s+(?:year|date|day|time)|how\s+(?:many|much|old|long|tall|far|high|often))\b",
            re.IGNORECASE,
        ),
        lambda text: bool(words.numbers(text)) or bool(_WHEN.search(text)),
    ),
    (
        re.compile(r"\b(?:who|whose|where|which\s+(?:country|city|person))\b", re.IGNORECASE),
        lambda text: any(map(str.isupper, text)),
    ),
)


@dataclass(frozen=True)
class Knowledge:
    """What training has left beside the heads.

    Attributes:
        rarity: How much words tell.
        ngrams: The n-gram model.
        order: Which sentence follows which.
        recognizer: Which sentences are addressed to a judge.
    """

    rarity: Rarity
    ngrams: Ngrams
    order: Order
    recognizer: Recognizer


@dataclass(frozen=True)
class Material:
    """The texts of a case, read.

    Attributes:
        question: What was asked.
        answer: The answer, without what is addressed to a judge; it has at least one sentence.
        other: What it is held against: the context or the ground truth; None where a metric needs neither.
    """

    question: Read
    answer: Read
    other: Read | None

    def needed(self, metric: MetricName, rarity: Rarity) -> list[str]:
        """The sentences that the encoder has to read for a metric."""
        asked = [] if metric in ("Fluency", "Similarity") else self.asked(rarity)
        if self.other is None:
            return [*self.answer.sentences, *asked]
        if metric == "Similarity":
            return [*self.answer.sentences, *self.other.sentences]
        return [*self.answer.sentences, *likeliest(self.answer, self.other, rarity)]

    def asked(self, rarity: Rarity) -> list[str]:
        """The sentences of the question that are compared with the answer, the last one last.

        In a dialogue the last ones are what is answered, and in a question with a document any may be.
        """
        sentences = self.question.sentences
        if len(sentences) <= WHOLE_QUESTION:
            return sentences
        end = sentences[-QUESTION_END:]
        return [*(one for one in likeliest(self.answer, self.question, rarity) if one not in end), *end]


@dataclass(frozen=True)
class Found:
    """The features of a case.

    Attributes:
        values: By name.
        details: By name, what is missing in particular, as a text.
    """

    values: Mapping[str, float]
    details: Mapping[str, str]


def found(
    metric: MetricName, material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge
) -> Found:
    """The features of a case by a metric.

    Args:
        metric: The metric.
        material: The texts.
        encoded: What the encoder has made of each sentence that `Material.needed` names.
        knowledge: What training has left.
    """
    return _METRICS[metric](material, encoded, knowledge)


def _groundedness(material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge) -> Found:
    context = material.other or Read("")
    supports = _supports(
        material.answer,
        context,
        likeliest(material.answer, context, knowledge.rarity),
        encoded,
        knowledge.rarity,
    )
    values = {
        # A few words that all stand in the context are near to it, although its sentences say more.
        "close": _weighted(supports, lambda one: max(one.close, 0.8 * one.covered)),
        "covered": _weighted(supports, lambda one: one.covered),
        "alike": _weighted(supports, lambda one: one.alike),
        "least": _weighted(supports, lambda one: one.least),
        "pairs": _weighted(supports, lambda one: one.pairs),
    }
    values["worst"] = min(one.whole for one in supports)
    values["numbers"] = _weighted(supports, lambda one: 1.0 / (1 + len(one.numbers)))
    values["names"] = _weighted(supports, lambda one: 1.0 / (1 + len(one.names)))
    values["agreed"] = _weighted(supports, lambda one: float(not one.opposed))
    numbers = list(dict.fromkeys(number for one in supports for number in one.numbers))
    names = list(dict.fromkeys(name for one in supports for name in one.names))
    missing = [stem for stem in dict.fromkeys(_stems(material.answer)) if stem not in context.stem_set]
    worst = min(range(len(supports)), key=lambda place: supports[place].whole)
    details = {"worst": f"one sentence has little support: {_shown(material.answer.sentences[worst])}"}
    if numbers:
        details["numbers"] = f"numbers {_listed(numbers)} not in the context"
    if names:
        details["names"] = f"names {_listed(names)} not in the context"
    if missing:
        rare = sorted(missing, key=lambda stem: (-knowledge.rarity.of(stem), stem))
        details["covered"] = (
            f"words {_listed([_word(material.answer, stem) for stem in rare])} not in the context"
        )
    return Found(values, details)


def _supports(
    answer: Read, text: Read, nearest: Sequence[str], encoded: Mapping[str, Encoded], rarity: Rarity
) -> list[Support]:
    if not nearest:
        nothing = Support(0.0, 0.0, 0.0, 0.0, 0.0, (), (), opposed=False, weight=1)
        return [nothing for _ in answer.sentences]
    near = [(sentence, encoded[sentence]) for sentence in nearest]
    told = Support(1.0, 1.0, 1.0, 1.0, 1.0, (), (), opposed=False, weight=1)
    return [
        # That the context does not tell is true as far as this judge knows.
        told if _UNTOLD.search(sentence) else support(sentence, encoded[sentence], text, near, rarity)
        for sentence in answer.sentences
    ]


def _similarity(material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge) -> Found:
    truth, answer = material.other or Read(""), material.answer
    there = _supports(answer, truth, truth.sentences, encoded, knowledge.rarity)
    back = _supports(truth, answer, answer.sentences, encoded, knowledge.rarity) or there
    ours, theirs = ([encoded[sentence] for sentence in one.sentences] for one in (answer, truth))
    close = float((whole_vector(ours) * whole_vector(theirs)).sum(dtype=np.float64)) if theirs else 0.0
    # Numbers and names can differ only where both speak of the same; elsewhere both have others, which says nothing.
    same = max(close, 0.0)
    ours_named, theirs_named = (
        frozenset(name for line in one.sentences for name in words.names(line)) for one in (answer, truth)
    )
    opposed = _both(
        _weighted(there, lambda one: float(not one.opposed)),
        _weighted(back, lambda one: float(not one.opposed)),
    )
    values = {
        "close": close,
        "alike": _both(_weighted(there, lambda one: one.alike), _weighted(back, lambda one: one.alike)),
        "covered": _both(_weighted(there, lambda one: one.covered), _weighted(back, lambda one: one.covered)),
        "numbers": 1 - same * (1 - _common(answer.numbers, truth.numbers)),
        "names": 1 - same * (1 - _common(ours_named, theirs_named)),
        "agreed": 1 - same * (1 - opposed),
    }
    details = {}
    if differing := sorted(answer.numbers ^ truth.numbers):
        details["numbers"] = f"numbers {_listed(differing)} are in only one of answer and ground truth"
    if names := sorted(ours_named ^ theirs_named):
        details["names"] = f"names {_listed(names)} are in only one of answer and ground truth"
    return Found(values, details)


def _relevance(material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge) -> Found:
    question, answer = material.question, material.answer
    asked = [encoded[sentence] for sentence in material.asked(knowledge.rarity)]
    said = [encoded[sentence] for sentence in answer.sentences]
    # A sentence that has nothing but the question's words is near to it and says nothing.
    # What stands further up may be a document, whose words an answer may use.
    end = frozenset(stem for stems in question.stems[-QUESTION_END:] for stem in stems)
    echoes = [len(stems) > 1 and end.issuperset(stems) for stems in answer.stems]
    best = [
        max((max(cosine(one, other), 0.0) for other in asked), default=0.0) * (ECHO if echo else 1.0)
        for one, echo in zip(said, echoes, strict=True)
    ]
    whole = float((whole_vector(said) * whole_vector(asked)).sum(dtype=np.float64)) if asked else 0.0
    stems = sorted(question.stem_set)
    weights = [knowledge.rarity.of(stem) for stem in stems]
    taken = math.fsum(weight for stem, weight in zip(stems, weights, strict=True) if stem in answer.stem_set)
    own = sum(stem not in end for stem in _stems(answer)) / max(len(_stems(answer)), 1)
    asks = question.sentences[-1] if question.sentences else ""
    kinds = [has(answer.text) for asking, has in _KINDS if asking.search(asks)]
    shares = wrong_shares(said)
    values = {
        "close": max(whole, 0.0) * (ECHO if all(echoes) else 1.0),
        "nearest": max(best),
        "point": sum(best) / len(best),
        "covered": taken / math.fsum(weights) if stems else 1.0,
        "kind": float(all(kinds)) if kinds else 0.6,
        # A few words may be all that is asked for; nothing but the question's own words is no answer.
        "own": min(1.0, 4 * own) if len(answer.stem_set) > 2 or not end >= answer.stem_set else 0.5,
        "willing": float(_NO_ANSWER.search(answer.text) is None),
        "sound": 1 - float(shares.mean()) if len(shares) else 0.0,
    }
    return Found(values, {})


def _coherence(material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge) -> Found:
    answer = material.answer
    said = [encoded[sentence] for sentence in answer.sentences]
    asked = [encoded[sentence] for sentence in material.asked(knowledge.rarity)]
    near = [max(cosine(one, other), 0.0) for one, other in itertools.pairwise(said)]
    values = {
        "follow": knowledge.order.mean(said),
        # A sentence alone has none before it; this is what sentences of good texts have.
        "near": sum(near) / len(near) if near else 0.45,
        "least": min(near) if near else 0.3,
        "fresh": 1 - _repeated(answer),
        "close": max((max(cosine(one, other), 0.0) for one in said for other in asked), default=0.0),
        **_language(answer, said, knowledge.ngrams),
    }
    values["agreed"] = float(not _contradicts(answer, said))
    details = {}
    if near and min(near) < 0.2:
        place = near.index(min(near)) + 1
        details["least"] = (
            f"a sentence has nothing to do with the one before: {_shown(answer.sentences[place])}"
        )
    return Found(
        {
            name: values[name]
            for name in ("follow", "near", "least", "fresh", "agreed", "close", "right", "natural", "ended")
        },
        details,
    )


def _fluency(material: Material, encoded: Mapping[str, Encoded], knowledge: Knowledge) -> Found:
    answer = material.answer
    said = [encoded[sentence] for sentence in answer.sentences]
    pieces = sum(len(one.tokens) for one in said)
    values = {
        **_language(answer, said, knowledge.ngrams),
        "fresh": 1 - _repeated(answer),
        "known": 1
        - min(1.0, sum(token.startswith("##") for one in said for token in one.tokens) / max(pieces, 1) * 2),
        "written": sum(_written(sentence) for sentence in answer.sentences) / len(answer.sentences),
    }
    details = {}
    if wrong := _wrong_words(answer, said):
        details["right"] = details["worst"] = f"words look wrong where they stand: {_listed(wrong)}"
    return Found(values, details)


def _language(answer: Read, said: Sequence[Encoded], ngrams: Ngrams) -> dict[str, float]:
    shares = wrong_shares(said)
    gains = np.concatenate([ngrams.gains(one.ids) for one in said])
    return {
        "right": 1 - min(1.0, 2 * float(shares.mean())) if len(shares) else 0.0,
        "worst": 1 - float(np.sort(shares)[-3:].mean()) if len(shares) else 0.0,
        "natural": float(np.clip(gains.mean() / GAIN, -1, 1)) if len(gains) else 0.0,
        "ended": float(answer.text.rstrip("\"'”’)]* ")[-1:] in ".!?…:" or len(words.words(answer.text)) < 6),
    }


def _contradicts(answer: Read, said: Sequence[Encoded]) -> bool:
    """Whether two sentences about the same differ in that one says no."""
    denies = [bool(words.negations(sentence)) for sentence in answer.sentences[:MOST_COMPARED]]
    return any(
        denies[place] != denies[other] and cosine(said[place], said[other]) > SAME_SENTENCE
        for place in range(len(denies))
        for other in range(place)
    )


def _repeated(answer: Read) -> float:
    """The share of a text that it has had before: words twice in a row, runs of three words, or whole sentences."""
    listed = words.words(answer.text)
    runs = list(words.grams(listed, 3))
    again = 1 - len(set(runs)) / len(runs) if runs else 0.0
    twice = sum(one == other for one, other in itertools.pairwise(listed)) / max(len(listed) - 1, 1)
    lines = [" ".join(words.words(sentence)) for sentence in answer.sentences]
    same = 1 - len(set(lines)) / len(lines)
    return min(1.0, max(again, 3 * twice, same) * 1.5)


def _written(sentence: str) -> float:
    """Whether a sentence begins and ends as sentences are written, half for each."""
    first = next((character for character in sentence if character.isalnum()), "a")
    return 0.5 * (not first.islower()) + 0.5 * (
        sentence.rstrip("\"'”’)]* ")[-1:] in ".!?…:" or len(sentence.split()) < 4
    )


def _wrong_words(answer: Read, said: Sequence[Encoded]) -> list[str]:
    listed: dict[str, None] = {}
    for sentence, one in zip(answer.sentences, said, strict=True):
        for (start, end), logit in zip(one.spans, one.probed, strict=True):
            if logit > 0.5:
                listed.setdefault(sentence[start:end])
    return list(listed)


def _weighted(supports: Sequence[Support], value: Callable[[Support], float]) -> float:
    total = sum(one.weight for one in supports)
    return math.fsum(one.weight * max(value(one), 0.0) for one in supports) / max(total, 1)


def _both(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other > 0 else 0.0


def _common(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of what either has that both have; 1 where none has any."""
    return len(one & other) / len(one | other) if one | other else 1.0


def _stems(text: Read) -> list[str]:
    return [stem for sentence in text.stems for stem in sentence]


def _word(text: Read, stem: str) -> str:
    return next((word for word in words.words(text.text) if words.stem(word) == stem), stem)


def _listed(texts: Sequence[str], most: int = 4) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _shown(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[:most].rstrip() + "...")


_METRICS: Mapping[MetricName, Callable[[Material, Mapping[str, Encoded], Knowledge], Found]] = {
    "Groundedness": _groundedness,
    "Relevance": _relevance,
    "Coherence": _coherence,
    "Fluency": _fluency,
    "Similarity": _similarity,
}
