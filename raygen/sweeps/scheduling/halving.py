"""ASHA and Hyperband: of the trials that came as far, the best part trains longer.

ASHA is algorithm 2 of Li et al. 2020 ("A System for Massively Parallel Hyperparameter Tuning"): whenever a worker is free, the
highest rung that has a trial to promote promotes its best one; if none has, a new trial begins at the bottom. Hyperband
(Li et al. 2018) is several of them, brackets, which differ in the first length; as in the asynchronous one of Li et al. 2020 trials
are dealt to brackets in turn.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from raygen.sweeps.history import History, Trial
from raygen.sweeps.scheduling.following import Follower, Queue
from raygen.sweeps.scheduling.lengths import lease, next_lease
from raygen.sweeps.scheduling.protocol import Decision, Train

Rank = tuple[bool, float, int]
"""Whether a trial breaks a constraint, its score, its number: less is better."""


@dataclass(eq=False)
class _Rung:
    """A length, and the trials that came as far.

    Attributes:
        until: The length, in steps.
        further: The next one; None: the end.
        ranked: All trials that came as far and have not failed, the best first.
        waiting: Those of them that have not gone on and may.
    """

    until: int
    further: int | None
    ranked: list[Rank] = field(default_factory=list)
    waiting: list[Rank] = field(default_factory=list)

    def put(self, entry: _Entry) -> None:
        insort(self.ranked, entry.rank)
        if entry.waits:
            insort(self.waiting, entry.rank)

    def drop(self, entry: _Entry) -> None:
        del self.ranked[bisect_left(self.ranked, entry.rank)]
        if entry.waits:
            del self.waiting[bisect_left(self.waiting, entry.rank)]

    def promotable(self, reduction: int) -> int | None:
        """The best trial that has not gone on, if it is one of the best n / reduction of n."""
        if not self.waiting:
            return None
        best = self.waiting[0]
        return best[2] if bisect_left(self.ranked, best) < len(self.ranked) // reduction else None


@dataclass(frozen=True)
class _Entry:
    """A trial at a rung."""

    rung: int
    rank: Rank
    waits: bool


class _Turns:
    """Deals trials to brackets as evenly as their shares allow: next is always the one that is furthest behind its share."""

    def __init__(self, shares: Sequence[int]) -> None:
        self._shares = tuple(shares)
        self._total = sum(shares)
        self._given = [0] * len(shares)
        self._brackets: list[int] = []

    def of(self, number: int) -> int:
        """The bracket of a trial."""
        while len(self._brackets) <= number:
            turn = len(self._brackets) + 1
            behind = [
                share * turn - given * self._total
                for share, given in zip(self._shares, self._given, strict=True)
            ]
            bracket = behind.index(max(behind))
            self._given[bracket] += 1
            self._brackets.append(bracket)
        return self._brackets[number]


class Halving:
    """Promotes the best trials of each rung.

    Of two that may go on the better one goes first, and of equals the lower number: one that comes later may push the other out.
    As trials come, the best n / reduction of n change, so that more than so many may have gone on; to count those against the
    places costs less, and loses the best trials of a search that learns, which come last.

    Args:
        brackets: The lengths of each bracket, the last of which is the whole training.
        shares: Of how many trials each bracket gets how many.
        reduction: One of how many goes on.
    """

    def __init__(self, brackets: Sequence[Sequence[int]], shares: Sequence[int], reduction: int) -> None:
        self._lengths = [tuple(lengths) for lengths in brackets]
        self._turns = _Turns(shares)
        self._reduction = reduction
        self._rungs = [
            [_Rung(until, lease(lengths, place + 1)) for place, until in enumerate(lengths[:-1])]
            for lengths in self._lengths
        ]
        # The highest first, and of equals that of the first bracket.
        self._order = sorted(
            (rung for rungs in self._rungs for rung in rungs), key=lambda rung: rung.until, reverse=True
        )
        self._entries: dict[int, tuple[_Entry, ...]] = {}
        self._goals: dict[int, int | None] = {}
        self._under_way = Queue()
        self._follower = Follower()

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """See `raygen.sweeps.scheduling.protocol.Scheduler`."""
        for trial in self._follower.changed(history):
            self._place(history, trial)
        number = self._under_way.first(self._goals.__contains__)
        if number is not None:
            return Train(number, self._goals[number])
        for rung in self._order:
            number = rung.promotable(self._reduction)
            if number is not None:
                return Train(number, rung.further)
        if not may_begin:
            return None
        return Train(None, lease(self._lengths[self._turns.of(len(history.trials))], 0))

    def _place(self, history: History, trial: Trial) -> None:
        """Puts a trial where it belongs now."""
        number = trial.number
        bracket = self._turns.of(number)
        lengths, rungs = self._lengths[bracket], self._rungs[bracket]
        for entry in self._entries.pop(number, ()):
            rungs[entry.rung].drop(entry)
        self._goals.pop(number, None)
        if trial.state == "Failed":
            return
        reached = list(_ranks(history, trial, lengths))
        entries: list[_Entry] = []
        at_rest = False
        for place, (rank, rung) in enumerate(zip(reached, rungs, strict=False)):
            gone_on = _is_beyond(trial, rung.until)
            if gone_on or trial.state != "Running":
                at_rest = not gone_on
                entries.append(_Entry(place, rank, at_rest and trial.state == "Waiting"))
        for entry in entries:
            rungs[entry.rung].put(entry)
        self._entries[number] = tuple(entries)
        if trial.state == "Waiting" and not at_rest:
            self._goals[number] = next_lease(lengths, len(reached), trial.step)
            self._under_way.add(number)


def asha(lengths: Sequence[int], reduction: int) -> Halving:
    """One bracket of all these lengths."""
    return Halving([lengths], [1], reduction)


def hyperband(lengths: Sequence[int], reduction: int) -> Halving:
    """A bracket for each length to begin with, the whole training included.

    Bracket s, which has s rungs before the end, gets the share ceil((S + 1) reduction^s / (s + 1)) of trials, where S is the largest s
    (Li et al. 2018, algorithm 1), so that brackets cost about the same.
    """
    most = len(lengths) - 1
    shares = [ceil((most + 1) * reduction**s / (s + 1)) for s in range(most, -1, -1)]
    return Halving([lengths[place:] for place in range(len(lengths))], shares, reduction)


def _is_beyond(trial: Trial, length: int) -> bool:
    """Whether a trial has been trained further than a length, or is about to be."""
    if trial.step > length or next(reversed(trial.reports), 0) > length:
        return True
    return trial.state == "Running" and (trial.until is None or trial.until > length)


def _ranks(history: History, trial: Trial, lengths: Sequence[int]) -> Iterator[Rank]:
    """The trial's rank at each length that it has come to: by its report there, or, of another spec's lengths, by the next one."""
    steps = sorted(trial.reports)
    for length in lengths:
        for step in steps[bisect_left(steps, length) :]:
            score = history.score(trial, step)
            if score is not None:
                yield (not history.is_feasible(trial, step), score[0], trial.number)
                break
        else:
            return
