"""An offline judge: the five scores from one file, with no network and no GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygen.errors import DataError
from raygen.evaluation.judge.answers import Answer
from raygen.evaluation.judge.cache import NoAnswer
from raygen.evaluation.judge.costs import Usage
from raygen.evaluation.judge.offline.addressed import Cleaned, cleaned, cuts, suspected, tails, without
from raygen.evaluation.judge.offline.evidence import Read
from raygen.evaluation.judge.offline.features import Found, Material, found
from raygen.evaluation.judge.offline.file import Trained, load
from raygen.evaluation.judge.offline.heads import FEATURES
from raygen.evaluation.judge.results import Score, Scores
from raygen.evaluation.judge.rubrics import HIGHEST, LOWEST, RUBRICS, Case, MetricName, check_metrics
from raygen.evaluation.text.embeddings import Encoded
from raygen.evaluation.threads import one_thread

Heard = Callable[[int, int], None]

AT_ONCE = 64
"""Cases whose sentences are read together; scores do not depend on it."""
KEPT = 4096
"""Sentences that are remembered, as those of a context that many answers share; each takes some 50 KB."""
TOLD, MOST_TOLD = 0.15, 3
"""The least loss, in logarithms of odds, that an explanation names, and how many of them it names."""


@dataclass(frozen=True)
class _Task:
    """A case and metric that can be scored.

    Attributes:
        metric: The metric.
        material: The texts.
        cleaned: The answer, and what was left out of it.
    """

    metric: MetricName
    material: Material
    cleaned: Cleaned


class LocalJudge:
    """A judge in a file, as `train_judge` makes it.

    A score depends on the texts of its case alone: neither other cases, nor their order, nor how many are given at once change a bit of it. Nothing in a text
    can be an instruction, since nothing in the judge follows any; what an answer says to its judge is left out before it is scored.

    Args:
        path: The file.

    Raises:
        InputError: there is no such file, or it cannot be read.
        DamagedError: it is no judge of this version, or was altered.
    """

    def __init__(self, path: Path | str) -> None:
        self.trained, self.sha256 = load(Path(path))
        self._known: dict[str, Encoded] = {}

    @classmethod
    def of(cls, trained: Trained) -> LocalJudge:
        """A judge that was not written to a file."""
        judge = cls.__new__(cls)
        judge.trained, judge.sha256, judge._known = trained, "", {}
        return judge

    def score(
        self, cases: Iterable[Case], metrics: Sequence[MetricName], *, progress: Heard | None = None
    ) -> Scores:
        """Judges every case by every metric.

        Args:
            cases: What is judged.
            metrics: By what.
            progress: Called after some cases each, with how many scores are done and how many there are to be.

        Returns:
            A score of each case and metric, in this order: by case, then by metric. `Score.explanation` tells what lowered it.

        Raises:
            DataError: a case lacks a text that a metric needs.
            InputError: there is no such metric.
        """
        check_metrics(metrics)
        named = [(case.id or str(number), case) for number, case in enumerate(cases)]
        for name, case in named:
            _check(name, case, metrics)
        scores: list[Score] = []
        for start in range(0, len(named), AT_ONCE):
            some = [
                (name, case, metric) for name, case in named[start : start + AT_ONCE] for metric in metrics
            ]
            with one_thread():
                outcomes = self._outcomes([(case, metric) for _, case, metric in some])
            scores += [
                Score.of(name, metric, outcome, len(case.answer))
                for (name, case, metric), outcome in zip(some, outcomes, strict=True)
            ]
            if progress is not None:
                progress(len(scores), len(named) * len(metrics))
        return Scores(tuple(scores), Usage(), None)

    def features(self, cases: Sequence[Case], metric: MetricName) -> list[Found]:
        """The features of cases: what their scores are made of.

        Raises:
            DataError: a case lacks a text that the metric needs, or it has no words.
        """
        features: list[Found] = []
        for start in range(0, len(cases), AT_ONCE):
            some = cases[start : start + AT_ONCE]
            for number, case in enumerate(some, start):
                _check(case.id or str(number), case, [metric])
            with one_thread():
                tasks, encoded = self._tasks([(case, metric) for case in some])
                for number, task in enumerate(tasks, start):
                    if isinstance(task, NoAnswer) or not task.material.answer.sentences:
                        raise DataError(
                            f"{metric} has nothing to look at",
                            where=f"case {cases[number].id or number}",
                            remedy="Give texts with words in them.",
                        )
                    features.append(found(metric, task.material, encoded, self.trained.knowledge))
        return features

    def _outcomes(self, wanted: Sequence[tuple[Case, MetricName]]) -> list[Answer | NoAnswer]:
        tasks, encoded = self._tasks(wanted)
        return [task if isinstance(task, NoAnswer) else self._outcome(task, encoded) for task in tasks]

    def _tasks(
        self, wanted: Sequence[tuple[Case, MetricName]]
    ) -> tuple[list[_Task | NoAnswer], Mapping[str, Encoded]]:
        """What is to be scored, and what the encoder makes of all of its sentences."""
        reads: dict[str, Read] = {}

        def read(text: str) -> Read:
            return reads.setdefault(text, Read(text))

        faults = [_unusable(case, metric) for case, metric in wanted]
        usable = [case for (case, _), fault in zip(wanted, faults, strict=True) if fault is None]
        answers = {text: cleaned(text) for text in dict.fromkeys(case.answer for case in usable)}
        lines = [line for one in answers.values() for line in read(one.text).sentences]
        encoded = dict(self._encoded([*lines, *(tail for line in lines for tail in tails(line))]))
        recognizer = self.trained.knowledge.recognizer
        suspects = [line for line in lines if suspected(line, recognizer, encoded)]
        encoded.update(self._encoded([part for line in suspects for cut in cuts(line) for part in cut]))
        answers = {
            text: without(one, read(one.text).sentences, recognizer, encoded) for text, one in answers.items()
        }
        tasks: list[_Task | NoAnswer] = []
        for (case, metric), fault in zip(wanted, faults, strict=True):
            if fault is not None:
                tasks.append(fault)
                continue
            other = {"Groundedness": case.context, "Similarity": case.ground_truth}.get(metric)
            answer = answers[case.answer]
            material = Material(
                read(case.question), read(answer.text), None if other is None else read(other)
            )
            tasks.append(_Task(metric, material, answer))
        rarity = self.trained.knowledge.rarity
        needed = [
            sentence
            for task in tasks
            if isinstance(task, _Task) and task.material.answer.sentences
            for sentence in task.material.needed(task.metric, rarity)
        ]
        encoded.update(self._encoded([sentence for sentence in needed if sentence not in encoded]))
        return tasks, encoded

    def _encoded(self, sentences: Sequence[str]) -> Mapping[str, Encoded]:
        """What the encoder makes of sentences; it keeps what was asked for last."""
        wanted = dict.fromkeys(sentences)
        encoded = {sentence: self._known[sentence] for sentence in wanted if sentence in self._known}
        new = [sentence for sentence in wanted if sentence not in encoded]
        encoded.update(zip(new, self.trained.encoder.encode(new, self.trained.wrong_words), strict=True))
        if len(self._known) + len(new) > KEPT:
            self._known = {}
        self._known.update(encoded)
        return encoded

    def _outcome(self, task: _Task, encoded: Mapping[str, Encoded]) -> Answer:
        left_out = task.cleaned.left_out
        out = [f"left out, since it is addressed to the judge: {left_out[0][:80]!r}"] if left_out else []
        if not task.material.answer.sentences:
            return Answer(str(LOWEST), "; ".join(out or ["the answer has no words"]), float(LOWEST), LOWEST)
        features = found(task.metric, task.material, encoded, self.trained.knowledge)
        head = self.trained.heads[task.metric]
        values = [features.values[one.name] for one in FEATURES[task.metric]]
        expected = head.expected(values)
        losses = sorted(zip(head.losses(values), FEATURES[task.metric], strict=True), key=lambda one: -one[0])
        told = [features.details.get(one.name, one.fault) for loss, one in losses[:MOST_TOLD] if loss >= TOLD]
        # Halves round up.
        score = min(max(int(expected + 0.5), LOWEST), HIGHEST)
        return Answer(str(score), "; ".join(dict.fromkeys([*told, *out])), expected, score)


def _unusable(case: Case, metric: MetricName) -> NoAnswer | None:
    """Why a case cannot be judged; None if it can."""
    for field in RUBRICS[metric].fields:
        text, name = case.text(field) or "", field.replace("_", " ")
        if not text.strip():
            return NoAnswer("EmptyText", f"the {name} is empty")
        try:
            text.encode()
        except UnicodeEncodeError:
            return NoAnswer("InvalidText", f"the {name} is not valid Unicode")
    return None


def _check(name: str, case: Case, metrics: Sequence[MetricName]) -> None:
    for metric in metrics:
        for field in RUBRICS[metric].fields:
            if case.text(field) is None:
                raise DataError(
                    f"{metric} needs {field!r}",
                    where=f"case {name}",
                    remedy="Give it in each case, or leave the metric out.",
                )
