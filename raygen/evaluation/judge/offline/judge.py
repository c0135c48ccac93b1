"""An offline judge: the five scores from one file, with no network and no GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygen.errors import DataError, InputError
from raygen.evaluation.judge.answers import Answer
from raygen.evaluation.judge.cache import NoAnswer
from raygen.evaluation.judge.costs import Usage
from raygen.evaluation.judge.offline.addressed import Cleaned, cleaned
from raygen.evaluation.judge.offline.evidence import Read
from raygen.evaluation.judge.offline.features import Found, Material, found
from raygen.evaluation.judge.offline.file import Trained, load
from raygen.evaluation.judge.offline.heads import FEATURES
from raygen.evaluation.judge.results import Score, Scores
from raygen.evaluation.judge.rubrics import HIGHEST, LOWEST, RUBRICS, Case, MetricName
from raygen.evaluation.text.embeddings import Encoded

Heard = Callable[[int, int], None]

AT_ONCE = 64
"""Cases whose sentences are read together; scores do not depend on it."""
KEPT = 4096
"""Sentences that are remembered, as those of a context that many answers share; each takes some 50 KB."""
TOLD, MOST_TOLD = 0.15, 3
"""The least loss, in logarithms of odds, that an explanation names, and how many of them it names."""
_OTHER: Mapping[MetricName, str] = {"Groundedness": "context", "Similarity": "ground_truth"}


@dataclass(frozen=True)
class _Task:
    """A case and metric that can be scored.

    Attributes:
        metric: The metric.
        material: The texts.
        cleaned: The answer, and what was left out of it.
        sentences: What the encoder has to read.
    """

    metric: MetricName
    material: Material
    cleaned: Cleaned
    sentences: tuple[str, ...]


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
        unknown = [metric for metric in metrics if metric not in RUBRICS]
        if unknown:
            raise InputError(
                f"there is no metric {unknown[0]!r} of a judge",
                where="metrics",
                remedy=f"Choose from {', '.join(RUBRICS)}.",
            )
        named = [(case.id or str(number), case) for number, case in enumerate(cases)]
        for name, case in named:
            _check(name, case, metrics)
        scores: list[Score] = []
        for start in range(0, len(named), AT_ONCE):
            some = named[start : start + AT_ONCE]
            tasks = [
                (name, case, metric, self._task(case, metric)) for name, case in some for metric in metrics
            ]
            encoded = self._encoded(
                [one for *_, task in tasks if isinstance(task, _Task) for one in task.sentences]
            )
            for name, case, metric, task in tasks:
                outcome = task if isinstance(task, NoAnswer) else self._outcome(task, encoded)
                scores.append(Score.of(name, metric, outcome, len(case.answer)))
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
            tasks = []
            for number, case in enumerate(cases[start : start + AT_ONCE], start):
                name = case.id or str(number)
                _check(name, case, [metric])
                task = self._task(case, metric)
                if isinstance(task, NoAnswer) or not task.sentences:
                    raise DataError(
                        f"{metric} has nothing to look at",
                        where=f"case {name}",
                        remedy="Give texts with words in them.",
                    )
                tasks.append(task)
            encoded = self._encoded([one for task in tasks for one in task.sentences])
            features += [found(metric, task.material, encoded, self.trained.knowledge) for task in tasks]
        return features

    def _task(self, case: Case, metric: MetricName) -> _Task | NoAnswer:
        for field in RUBRICS[metric].fields:
            text = case.text(field) or ""
            name = field.replace("_", " ")
            if not text.strip():
                return NoAnswer("EmptyText", f"the {name} is empty")
            try:
                text.encode()
            except UnicodeEncodeError:
                return NoAnswer("InvalidText", f"the {name} is not valid Unicode")
        answer = cleaned(case.answer)
        other = _OTHER.get(metric)
        material = Material(
            Read(case.question),
            Read(answer.text),
            None if other is None else Read(str(getattr(case, other))),
        )
        sentences = (
            material.needed(metric, self.trained.knowledge.rarity) if material.answer.sentences else []
        )
        return _Task(metric, material, answer, tuple(sentences))

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
        out = (
            f"left out, since it is addressed to the judge: {task.cleaned.left_out[0][:80]!r}"
            if task.cleaned.left_out
            else ""
        )
        if not task.material.answer.sentences:
            nothing = out or "the answer has no words"
            return Answer(str(LOWEST), nothing, float(LOWEST), LOWEST)
        features = found(task.metric, task.material, encoded, self.trained.knowledge)
        head = self.trained.heads[task.metric]
        values = [features.values[one.name] for one in FEATURES[task.metric]]
        expected = head.expected(values)
        losses = sorted(zip(head.losses(values), FEATURES[task.metric], strict=True), key=lambda one: -one[0])
        told = [features.details.get(one.name, one.fault) for loss, one in losses[:MOST_TOLD] if loss >= TOLD]
        # Halves round up, as 2.5 is as near to 3.
        score = min(max(int(expected + 0.5), LOWEST), HIGHEST)
        return Answer(str(score), "; ".join([*told, out] if out else told), expected, score)


def _check(name: str, case: Case, metrics: Sequence[MetricName]) -> None:
    for metric in metrics:
        for field in RUBRICS[metric].fields:
            if case.text(field) is None:
                raise DataError(
                    f"{metric} needs {field!r}",
                    where=f"case {name}",
                    remedy="Give it in each case, or leave the metric out.",
                )
