"""A judge: scores of cases, and choices between two answers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from raygen.errors import DataError, InputError
from raygen.evaluation.judge.answers import Answer, read_choice, read_score
from raygen.evaluation.judge.cache import Cache, NoAnswer
from raygen.evaluation.judge.calls import Calls, Means, Question, Retries, Stop, StoppedError
from raygen.evaluation.judge.costs import Ledger, Usage
from raygen.evaluation.judge.endpoint import Client, Endpoint, Sampling
from raygen.evaluation.judge.pacing import Clock, Limits, Pacer, SystemClock
from raygen.evaluation.judge.prompts import pair_prompt, score_prompt, score_texts
from raygen.evaluation.judge.results import Pair, Preference, Preferences, Score, Scores
from raygen.evaluation.judge.rubrics import RUBRICS, Case, MetricName, check_metrics

Heard = Callable[[int, int], None]

_T = TypeVar("_T")
_NOT_JUDGED = NoAnswer("NotJudged", "the pass stopped before")


@dataclass(frozen=True)
class _Task:
    """Questions that one result is made of: replies to the same question, or the two orders of a pair."""

    questions: tuple[Question, ...]


class Judge:
    """A judge model behind an endpoint; used as a context it closes its connections and files.

    Args:
        endpoint: The model and where it is served.
        cache: A folder for answers, so that what is asked again costs nothing; without one they are kept in memory.
        sampling: How replies are drawn.
        limits: How fast requests go out.
        retries: How they are repeated.
        budget: What all passes of this judge may cost together, in the currency of the endpoint's prices; None for any amount.
        clock: Time, for limits and waits.

    Raises:
        MissingExtraError: the package openai is not installed.
        InputError: the budget is negative, there are no prices for it, or the key cannot be sent.
        OutputError: the cache's folder cannot be used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        cache: Path | str | None = None,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        retries: Retries | None = None,
        budget: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        if budget is not None and not budget >= 0:
            raise InputError(f"the judge's budget is {budget}", where="budget", remedy="Give 0 or more.")
        if budget is not None and not endpoint.prices.of(1, 1):
            raise InputError(
                "a budget needs prices", where="Endpoint.prices", remedy="Give what a million tokens cost."
            )
        self._limits = limits or Limits()
        self._client = Client(endpoint)
        self._ledger = Ledger(endpoint.prices, budget)
        clock = clock or SystemClock()
        self._means = Means(
            self._client,
            endpoint.model,
            endpoint.place,
            sampling or Sampling(),
            retries or Retries(),
            Pacer(self._limits, clock),
            self._ledger,
            Cache(None if cache is None else Path(cache)),
            clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections and files; what it has judged is kept."""
        self._client.close()
        self._means.cache.close()

    @property
    def usage(self) -> Usage:
        """What all passes of this judge have sent and cost."""
        return self._ledger.usage

    def score(
        self, cases: Iterable[Case], metrics: Sequence[MetricName], *, progress: Heard | None = None
    ) -> Scores:
        """Judges every case by every metric.

        Cases with the same texts are judged once. A pass that stops early returns what it has, and says why it stopped.

        Args:
            cases: What is judged.
            metrics: By what.
            progress: Called in this thread after each judgement, with how many are done and how many there are to be.

        Returns:
            A score of each case and metric, in this order: by case, then by metric.

        Raises:
            DataError: a case lacks a text that a metric needs. Nothing has been sent then.
            InputError: there is no such metric, or no request to the endpoint will have an answer, as with a wrong key. What was judged
                before is in the cache.
            OutputError: an answer cannot be kept.
        """
        check_metrics(metrics)
        named = [
            (case.id or str(number), case, metric) for number, case in enumerate(cases) for metric in metrics
        ]
        before = self.usage
        found, why = self._run([self._score_task(*one) for one in named], _score_of, progress)
        return Scores(
            tuple(
                Score.of(name, metric, outcome, len(case.answer))
                for (name, case, metric), outcome in zip(named, found, strict=True)
            ),
            self.usage - before,
            why,
        )

    def compare(
        self, pairs: Iterable[Pair], metric: MetricName, *, progress: Heard | None = None
    ) -> Preferences:
        """Asks which of two answers is better, in both orders; where these disagree it is a tie.

        Args:
            pairs: What is compared.
            metric: By what.
            progress: Called in this thread after each pair, with how many are done and how many there are to be.

        Raises:
            DataError: a pair lacks a text that the metric needs. Nothing has been sent then.
            InputError: there is no such metric, or no request to the endpoint will have an answer.
            OutputError: an answer cannot be kept.
        """
        check_metrics([metric])
        named = [(pair.id or str(number), pair) for number, pair in enumerate(pairs)]
        before = self.usage
        found, why = self._run(
            [self._pair_task(name, pair, metric) for name, pair in named], _both_orders, progress
        )
        return Preferences(
            metric,
            tuple(Preference.of(name, outcome) for (name, _), outcome in zip(named, found, strict=True)),
            self.usage - before,
            why,
        )

    def _score_task(self, name: str, case: Case, metric: MetricName) -> _Task | NoAnswer:
        rubric = RUBRICS[metric]
        try:
            texts = score_texts(rubric, case)
        except ValueError as error:
            raise _lacking(f"case {name}", str(error)) from None
        prompt = score_prompt(rubric)
        count = self._means.sampling.samples
        questions = tuple(Question(metric, prompt, texts, sample, read_score) for sample in range(count))
        return _unusable(texts) or _Task(questions)

    def _pair_task(self, name: str, pair: Pair, metric: MetricName) -> _Task | NoAnswer:
        rubric, prompt = RUBRICS[metric], pair_prompt(RUBRICS[metric])
        questions = []
        for first, second in ((pair.first, pair.second), (pair.second, pair.first)):
            try:
                texts = score_texts(rubric, Case(pair.question, first, pair.context, pair.ground_truth))
            except ValueError as error:
                raise _lacking(f"pair {name}", str(error)) from None
            texts["ANSWER A"], texts["ANSWER B"] = texts.pop("ANSWER"), second
            questions.append(Question(metric, prompt, texts, 0, read_choice))
        return _unusable(questions[0].texts) or _Task(tuple(questions))

    def _run(
        self,
        tasks: Sequence[_Task | NoAnswer],
        judged: Callable[[Calls, _Task], _T | NoAnswer],
        progress: Heard | None,
    ) -> tuple[list[_T | NoAnswer], Stop | None]:
        """The results of tasks, each different one done once, and why the pass stopped early if it did."""
        calls = Calls(self._means)

        def done(task: _Task) -> _T | NoAnswer:
            try:
                return judged(calls, task)
            except StoppedError:
                return _NOT_JUDGED
            except BaseException:
                # The others end after the requests that are on their way.
                calls.stop.set()
                raise

        def key(task: _Task) -> Hashable:
            return tuple(self._means.key(question) for question in task.questions)

        keys = [task if isinstance(task, NoAnswer) else key(task) for task in tasks]
        different = {key: task for key, task in zip(keys, tasks, strict=True) if isinstance(task, _Task)}
        threads = ThreadPoolExecutor(self._limits.concurrency, thread_name_prefix="judge")
        try:
            futures = {key: threads.submit(done, task) for key, task in different.items()}
            for number, future in enumerate(as_completed(futures.values()), 1):
                # Where one has failed for good, the others need not be waited for.
                future.result()
                if progress is not None:
                    progress(number, len(futures))
            results = {key: future.result() for key, future in futures.items()}
        except BaseException:
            calls.stop.set()
            threads.shutdown(wait=True, cancel_futures=True)
            raise
        threads.shutdown()
        return [key if isinstance(key, NoAnswer) else results[key] for key in keys], calls.why


def _score_of(calls: Calls, task: _Task) -> Answer | NoAnswer:
    """The score of a case: from probabilities where the first reply has them, else from the mean of all replies."""
    answers: list[Answer] = []
    for question in task.questions:
        answer = calls.ask(question)
        if isinstance(answer, NoAnswer) or (answer.expected is not None and not answers):
            return answer
        answers.append(answer)
    scores = [int(answer.choice) for answer in answers]
    expected = statistics.fmean(scores)
    # The most frequent; of several the one nearest to the mean, and of two as near the lower one.
    likeliest = min(scores, key=lambda score: (-scores.count(score), abs(score - expected), score))
    explanation = answers[scores.index(likeliest)].explanation
    return Answer(str(likeliest), explanation, expected, likeliest)


def _both_orders(calls: Calls, task: _Task) -> tuple[Answer, Answer] | NoAnswer:
    first, second = (calls.ask(question) for question in task.questions)
    if isinstance(first, NoAnswer):
        return first
    return second if isinstance(second, NoAnswer) else (first, second)


def _unusable(texts: Mapping[str, str]) -> NoAnswer | None:
    """Why texts cannot be judged; None if they can."""
    for name, text in texts.items():
        if not text.strip():
            return NoAnswer("EmptyText", f"the {name.lower()} is empty")
        try:
            text.encode()
        except UnicodeEncodeError:
            return NoAnswer("InvalidText", f"the {name.lower()} is not valid Unicode")
    return None


def _lacking(where: str, what: str) -> DataError:
    return DataError(what, where=where, remedy="Give it in each case, or leave the metric out.")
