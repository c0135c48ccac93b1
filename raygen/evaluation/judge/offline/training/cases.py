"""Cases with scores, made of texts and of faults put into them: what the heads of an offline judge are fitted to."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from raygen.evaluation.judge.offline import words
from raygen.evaluation.judge.offline.training import faults
from raygen.evaluation.judge.offline.training.corpus import Corpus, Exchange, Passage
from raygen.evaluation.judge.rubrics import Case, MetricName


@dataclass(frozen=True)
class Graded:
    """A case and the score that it was made for, from 1 to 5."""

    case: Case
    score: float


class Maker:
    """Makes cases of a corpus.

    Args:
        corpus: Passages of at least two articles, and exchanges.
        seed: Of all draws.
    """

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self._drawn = random.Random(seed)
        self._passages = corpus.passages
        self._exchanges = corpus.exchanges
        self._of: dict[str, list[Passage]] = defaultdict(list)
        for passage in corpus.passages:
            self._of[passage.title].append(passage)
        self._titles = sorted(self._of)
        self._names = sorted({name for passage in corpus.passages for name in _written_names(passage.text)})

    def made(self, metric: MetricName, count: int) -> list[Graded]:
        """At least so many cases of a metric."""
        found: list[Graded] = []
        while len(found) < count:
            passage = self._drawn.choice(self._passages)
            found += _MAKERS[metric](self, passage)
        return found

    def beside(self, passage: Passage) -> Passage:
        """Another passage of the same article, or of any where it has no other."""
        others = [
            one for one in self._of[passage.title] if one is not passage and one.section != passage.section
        ]
        return self._drawn.choice(others) if others else self.away(passage)

    def away(self, passage: Passage) -> Passage:
        """A passage of another article."""
        titles = [title for title in self._titles if title != passage.title]
        return self._drawn.choice(self._of[self._drawn.choice(titles)])

    def some(self, passage: Passage, count: int) -> list[str]:
        """So many sentences that follow each other, or all."""
        start = self._drawn.randrange(max(len(passage.sentences) - count, 0) + 1)
        return list(passage.sentences[start : start + count])

    def spoiled(self, sentence: str) -> Iterator[tuple[str, float]]:
        """The sentence with a wrong number, a wrong name, or the opposite of it, and how much is lost by that, from 0 to 1."""
        for changed, lost in (
            (faults.other_number(sentence, self._drawn), 0.65),
            (faults.other_name(sentence, self._names, self._drawn), 0.65),
            (faults.opposite(sentence), 0.8),
        ):
            if changed is not None and changed != sentence:
                yield changed, lost

    def groundedness(self, passage: Passage) -> Iterator[Graded]:
        """Answers that a passage supports wholly, in part, or not."""
        drawn, question = self._drawn, passage.question
        own, other, far = (
            self.some(passage, 2),
            self.some(self.beside(passage), 2),
            self.some(self.away(passage), 1),
        )
        rewritten = faults.reworded(faults.shorter(own[0], drawn), drawn)
        listed = [
            (own[0], 5.0),
            (rewritten, 4.9),
            (" ".join(reversed(own)), 5.0),
            (" ".join([rewritten, *own[1:], other[0]]), 3.6),
            (f"{rewritten} {other[0]}", 3.0),
            (f"{other[0]} {far[0]}", 1.2),
            (other[0], 1.5),
            (far[0], 1.0),
            *((changed, 5 - 4 * lost) for changed, lost in self.spoiled(rewritten)),
            *((f"{own[-1]} {changed}", 5 - 2.4 * lost) for changed, lost in self.spoiled(own[0])),
        ]
        return (Graded(Case(question, answer, context=passage.text), score) for answer, score in listed)

    def relevance(self, passage: Passage) -> Iterator[Graded]:
        """Answers to a question, beside it, and to another one."""
        drawn, question = self._drawn, passage.question
        own, other, far = (
            self.some(passage, 3),
            self.some(self.beside(passage), 2),
            self.some(self.away(passage), 2),
        )
        exchange, another = drawn.choice(self._exchanges), drawn.choice(self._exchanges)
        listed = [
            (question, " ".join(own), 5.0),
            (question, own[0], 4.7),
            (question, " ".join([*own, *far]), 3.3),
            (question, f"{own[0]} {far[0]}", 3.0),
            (question, " ".join(other), 2.6 if passage.section else 4.0),
            (question, " ".join(far), 1.0),
            (question, question, 1.6),
            (question, drawn.choice(_EVASIONS), 1.4),
            (question, faults.shuffled(own[0], drawn).text, 3.0),
            (exchange.question, exchange.answer, 4.8),
            (exchange.question, another.answer, 1.3),
            (exchange.question, f"{exchange.answer} {far[0]}", 3.2),
            (exchange.question, exchange.question, 1.6),
            (exchange.question, far[0], 1.0),
        ]
        return (Graded(Case(asked, answer), score) for asked, answer, score in listed)

    def coherence(self, passage: Passage) -> Iterator[Graded]:
        """Texts whose sentences belong together, stand in another order, or do not belong together."""
        drawn, question = self._drawn, passage.question
        own, other = self.some(passage, drawn.randint(3, 6)), self.some(self.beside(passage), 1)
        far = [self.some(self.away(passage), 1)[0] for _ in range(3)]
        moved = own.copy()
        drawn.shuffle(moved)
        swapped = [own[1], own[0], *own[2:]]
        middle = len(own) // 2
        listed = [
            (own, 5.0),
            (own[:1], 4.9),
            (own[:2], 5.0),
            (swapped, 4.0),
            (moved, 3.4 if moved != own else 5.0),
            ([*own[:middle], *other, *own[middle:]], 3.7),
            ([*own[:middle], far[0], *own[middle:]], 2.8),
            ([own[0], *far], 1.6),
            ([*own, own[0], own[-1]], 2.8),
            ([own[0]] * 3, 1.8),
            *(([*own, changed], 2.6) for changed in [faults.opposite(own[0])] if changed),
            ([faults.shuffled(one, drawn).text for one in own[:3]], 1.2),
            ([self.mistakes(one, 0.25) for one in own[:3]], 2.8),
            ([*own[:-1], faults.cut(own[-1], drawn)], 4.3),
            ([faults.looped(own[0], drawn), *own[1:]], 3.2),
        ]
        return (Graded(Case(question, " ".join(lines)), score) for lines, score in listed)

    def fluency(self, passage: Passage) -> Iterator[Graded]:
        """Texts without mistakes, and with more and more of them."""
        drawn = self._drawn
        own = self.some(passage, drawn.randint(1, 3))
        text = " ".join(own)
        exchange = drawn.choice(self._exchanges)
        listed = [
            (text, 5.0),
            (own[0], 5.0),
            (exchange.answer, 4.7),
            (" ".join([*own[:-1], faults.wrong_words(own[-1], 1, drawn).text]), 4.2),
            (" ".join(self.mistakes(one, 0.06) for one in own), 3.8),
            (" ".join(self.mistakes(one, 0.12) for one in own), 3.1),
            (" ".join(self.mistakes(one, 0.3) for one in own), 2.0),
            (" ".join(faults.shuffled(one, drawn).text for one in own), 1.0),
            (faults.looped(text, drawn), 2.6),
            (faults.looped(faults.looped(text, drawn), drawn), 1.9),
            (faults.cut(text, drawn), 4.0),
            (re.sub(r"[^\w\s]", "", text.lower()), 3.8),
        ]
        return (Graded(Case(passage.question, answer), score) for answer, score in listed)

    def similarity(self, passage: Passage) -> Iterator[Graded]:
        """A ground truth, and answers that say the same, more, less, or something else."""
        drawn = self._drawn
        own, other, far = (
            self.some(passage, 2),
            self.some(self.beside(passage), 1),
            self.some(self.away(passage), 1),
        )
        rewritten = faults.reworded(faults.shorter(own[0], drawn), drawn)
        listed = [
            (own[0], own[0], 5.0),
            (own[0], rewritten, 4.6),
            (" ".join(own), " ".join(reversed(own)), 4.9),
            (" ".join(own), own[0], 3.7),
            (own[0], " ".join(own), 3.8),
            (own[0], own[-1], 2.3),
            (own[0], other[0], 1.8),
            (own[0], far[0], 1.0),
            (own[0], self.mistakes(own[0], 0.15), 4.2),
            *((own[0], changed, 5 - 3 * lost) for changed, lost in self.spoiled(rewritten)),
        ]
        return (
            Graded(Case(passage.question, answer, ground_truth=truth), score)
            for truth, answer, score in listed
        )

    def mistakes(self, sentence: str, share: float) -> str:
        """The sentence with so many mistakes for each of its words, and at least one."""
        count = max(1, round(share * len(sentence.split())))
        return faults.wrong_words(sentence, count, self._drawn).text


def _written_names(text: str) -> list[str]:
    """Names as they are written."""
    listed = {name for sentence in words.sentences(text) for name in words.names(sentence)}
    return [
        word
        for word in words.WORD.findall(text)
        if word.lower() in listed and word[0].isupper() and len(word) > 3
    ]


def tellable(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Those whose answer is a text, and not a program."""
    return [one for one in exchanges if "```" not in one.answer and len(one.answer.split()) > 1]


_EVASIONS = (
    *(
        "I don't know.",
        "I am not sure about that.",
        "I'm sorry, but I cannot answer this question.",
        "No idea, sorry.",
    ),
    *("That is a good question.", "Please ask me something else.", "Can you say that again?", "Yes."),
)
_MAKERS: Mapping[MetricName, Callable[[Maker, Passage], Iterator[Graded]]] = {
    "Groundedness": Maker.groundedness,
    "Relevance": Maker.relevance,
    "Coherence": Maker.coherence,
    "Fluency": Maker.fluency,
    "Similarity": Maker.similarity,
}
