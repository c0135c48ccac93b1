"""What a pass of a judge gives: a score of each case and metric, a preference of each pair, and figures of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from raygen.evaluation.judge.answers import SCORES, Answer
from raygen.evaluation.judge.cache import NoAnswer, NoScoreReason
from raygen.evaluation.judge.calls import Stop
from raygen.evaluation.judge.costs import Usage
from raygen.evaluation.judge.rubrics import MetricName
from raygen.evaluation.ratings.agreement import spearman
from raygen.evaluation.ratings.intervals import Estimate, Values, estimate, mean
from raygen.evaluation.ratings.strength import Comparison

Better = Literal["first", "second", "tie"]

_WINS: Mapping[Better, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}


@dataclass(frozen=True)
class Score:
    """What a judge says of one case by one metric.

    Attributes:
        case: The case's id, or its place.
        metric: The metric.
        score: An integer from 1 to 5: the likeliest one; None without a score.
        expected: The expected score, from 1 to 5: over the probabilities of the score's token where the endpoint gives
            them, else the mean of the replies; None without a score.
        explanation: The judge's own words.
        reason: Why there is no score; None if there is one.
        detail: That in a sentence.
        answer_length: Of the judged answer, in characters.
    """

    case: str
    metric: MetricName
    score: int | None
    expected: float | None
    explanation: str
    reason: NoScoreReason | None
    detail: str
    answer_length: int

    @classmethod
    def of(cls, case: str, metric: MetricName, outcome: Answer | NoAnswer, answer_length: int) -> Self:
        """The score that an answer of the judge is."""
        if isinstance(outcome, NoAnswer):
            return cls(case, metric, None, None, "", outcome.reason, outcome.detail, answer_length)
        choice = int(outcome.choice)
        score = choice if outcome.likeliest is None else outcome.likeliest
        expected = float(choice) if outcome.expected is None else outcome.expected
        return cls(case, metric, score, expected, outcome.explanation, None, "", answer_length)


@dataclass(frozen=True)
class Summary:
    """All scores of a metric.

    Attributes:
        metric: The metric.
        mean: Of the expected scores, with a 95 % interval; None without scores.
        counts: Cases with each integer score.
        without: Share of all cases that have no score, by reason.
        total: Cases, with a score or without.
        length_bias: Spearman's correlation of expected scores with the answers' lengths; None where it is not defined. Long
            answers may be better ones: it shows a bias only beside the same figure of people's ratings.
    """

    metric: MetricName
    mean: Estimate | None
    counts: Mapping[int, int]
    without: Mapping[NoScoreReason, float]
    total: int
    length_bias: Estimate | None


@dataclass(frozen=True)
class Scores:
    """What a pass has given.

    Attributes:
        scores: By case, then by metric.
        usage: What the pass has sent and cost.
        stopped: Why the pass stopped early: "Budget" or "Unreachable"; None if it did not. Cases that it did not come to
            have the reason NotJudged.
    """

    scores: tuple[Score, ...]
    usage: Usage
    stopped: Stop | None

    def of(self, metric: MetricName) -> list[Score]:
        """The scores of one metric, by case."""
        return [score for score in self.scores if score.metric == metric]

    def summary(self, metric: MetricName, seed: int = 0) -> Summary:
        """The figures of one metric; `seed` is that of the intervals."""
        scores = self.of(metric)
        there = [score for score in scores if score.expected is not None]
        expected = np.array([score.expected for score in there], dtype=np.float64)
        lengths = np.array([score.answer_length for score in there], dtype=np.float64)
        integers = Counter(score.score for score in there)
        reasons = Counter(score.reason for score in scores if score.reason is not None)
        return Summary(
            metric,
            estimate([expected], mean, seed),
            {value: integers[value] for value in SCORES},
            {reason: count / len(scores) for reason, count in sorted(reasons.items())},
            len(scores),
            estimate([expected, lengths], spearman, seed),
        )


@dataclass(frozen=True)
class Pair:
    """Two answers to be compared.

    Attributes:
        question: What was asked.
        first: One answer.
        second: The other one.
        context: What the answers should rest on; Groundedness needs it.
        ground_truth: The right answer; Similarity needs it.
        id: A name for results. Without one a pair is named by its place among the others, from 0.
    """

    question: str
    first: str
    second: str
    context: str | None = None
    ground_truth: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class Preference:
    """What a judge says of one pair.

    Attributes:
        pair: The pair's id, or its place.
        better: Which answer is better in both orders; a tie where the orders disagree; None without an answer.
        positions: What the judge chose, "A" (shown first), "B" or "tie", with the first answer as A and with the second one as A.
        reason: Why there is no preference; None if there is one.
        detail: That in a sentence.
    """

    pair: str
    better: Better | None
    positions: tuple[str, str] | None
    reason: NoScoreReason | None
    detail: str

    @classmethod
    def of(cls, pair: str, outcome: tuple[Answer, Answer] | NoAnswer) -> Self:
        """The preference that answers to both orders are."""
        if isinstance(outcome, NoAnswer):
            return cls(pair, None, None, outcome.reason, outcome.detail)
        positions = outcome[0].choice, outcome[1].choice
        agreed: dict[tuple[str, str], Better] = {("A", "B"): "first", ("B", "A"): "second"}
        return cls(pair, agreed.get(positions, "tie"), positions, None, "")


@dataclass(frozen=True)
class Preferences:
    """What a pass over pairs has given.

    Attributes:
        metric: By what the answers were compared.
        preferences: By pair.
        usage: What the pass has sent and cost.
        stopped: Why the pass stopped early: "Budget" or "Unreachable"; None if it did not.
    """

    metric: MetricName
    preferences: tuple[Preference, ...]
    usage: Usage
    stopped: Stop | None

    def first_wins(self, seed: int = 0) -> Estimate | None:
        """Share of pairs whose first answer is better, a tie as half of one; None without preferences."""
        wins = [_WINS[one.better] for one in self.preferences if one.better is not None]
        return estimate([_column(wins)], mean, seed)

    def comparisons(self, first: str, second: str) -> list[Comparison]:
        """The same for `raygen.evaluation.ratings.strength`: who wrote the first answer of each pair, and who the second; pairs without a
        preference are left out.
        """
        return [
            Comparison(first, second, _WINS[one.better]) for one in self.preferences if one.better is not None
        ]

    def position_bias(self, seed: int = 0) -> Estimate | None:
        """Share of pairs in which the judge chose the same position in both orders; None without preferences.

        It is 0 for a judge that looks at the answers alone.
        """
        return estimate([_column([one in (("A", "A"), ("B", "B")) for one in self._positions()])], mean, seed)

    def first_position(self, seed: int = 0) -> Estimate | None:
        """Mean over pairs of how often the judge chose what it was shown first, a tie as half; None without preferences.

        It is 0.5 for a judge that looks at the answers alone.
        """
        worth = {"A": 0.5, "tie": 0.25, "B": 0.0}
        chosen = [sum(worth[position] for position in one) for one in self._positions()]
        return estimate([_column(chosen)], mean, seed)

    def _positions(self) -> list[tuple[str, str]]:
        return [one.positions for one in self.preferences if one.positions is not None]


def _column(values: Sequence[float]) -> Values:
    return np.array(values, dtype=np.float64)
