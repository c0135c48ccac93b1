"""Who goes on with whose training, in a population whose members train side by side (Jaderberg et al. 2017, PBT; the same for PB2).

Members decide one by one, when they come to a step at which decisions fall ("ready" in algorithm 1 of Jaderberg et al.), by truncation selection
(section 4.1.1): one of the worst ends, and a new trial takes its place, which goes on with the training of one that is
drawn from the best. How the values of that one are explored is the affair of `raygen.sweeps.search.exploring`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from raygen.sweeps.history import History, Trial
from raygen.sweeps.scheduling.following import Follower
from raygen.sweeps.scheduling.lengths import lease, next_lease
from raygen.sweeps.scheduling.protocol import Decision, End, Fork, Train
from raygen.sweeps.search.seeds import Use, generator

EXPLOITED = "Exploited"
"""Reason of a trial whose place another one has taken; written to the log, read back from it."""


@dataclass(frozen=True, order=True)
class _Standing:
    """What a place in the population has come to, of which less is better.

    Attributes:
        broken: Whether it breaks a constraint.
        score: The objective.
        trial: Number of the trial that came to it.
        at: Place of the step among the lengths.
    """

    broken: bool
    score: float
    trial: int
    at: int

    @property
    def value(self) -> tuple[bool, float]:
        """What it is judged by."""
        return (self.broken, self.score)


class Population:
    """Trains a population, and has its worst members replaced by those who go on with the training of its best.

    A place in the population is held by a trial, then by the one that replaced it, and so on. A member is compared with what every
    place had come to by its step: after as many steps where somebody there came as far, else after the newest decision before, with what
    the member had come to then itself. Who is trained next is who has done the fewest steps, so with fewer workers than members nearly all have come as far when one
    decides; with as many workers members decide at once, as in the paper. The place of a trial that has failed is taken too.

    Args:
        lengths: Steps at which trials come back; the last is the whole training.
        size: Members.
        quantile: Share of them that counts as the best, and as the worst.
        seed: Of which of the best is drawn.
    """

    def __init__(self, lengths: Sequence[int], size: int, quantile: float, seed: int) -> None:
        self._lengths = tuple(lengths)
        self._size, self._quantile, self._seed = size, quantile, seed
        # By place, which is the number of its first trial: those that have held it.
        self._places: dict[int, list[int]] = {}
        self._place_of: dict[int, int] = {}
        # By trial: the lengths that it has come to by itself, with what it had then.
        self._standings: dict[int, dict[int, _Standing]] = {}
        self._follower = Follower()

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """See `raygen.sweeps.scheduling.protocol.Scheduler`."""
        for trial in self._follower.changed(history):
            self._take(history, trial)
        holders = (history.trials[held[-1]] for held in self._places.values())
        waiting = sorted(
            (one for one in holders if one.state == "Waiting"), key=lambda one: (one.step, one.number)
        )
        under_way = next((one for one in waiting if not self._is_ready(one)), None)
        if under_way is not None:
            return Train(under_way.number, self._next(under_way))
        if may_begin:
            fork = self._successor(history)
            if fork is not None or len(self._places) < self._size:
                return fork or Train(None, lease(self._lengths, 0))
        if not waiting:
            return None
        member = waiting[0]
        ending = self._ending(history, member) if may_begin else None
        return ending or Train(member.number, self._next(member))

    def _take(self, history: History, trial: Trial) -> None:
        """Brings what is known of a trial up to date."""
        if trial.number not in self._place_of:
            before = self._place_of.get(trial.replaces, None) if trial.replaces is not None else None
            place = trial.number if before is None else before
            self._place_of[trial.number] = place
            self._places.setdefault(place, []).append(trial.number)
        standings: dict[int, _Standing] = {}
        if trial.state != "Failed":
            for at, step in enumerate(self._lengths):
                score = history.score(trial, step) if step in trial.reports else None
                if score is not None and step > trial.parent_step:
                    broken = not history.is_feasible(trial, step)
                    standings[at] = _Standing(broken, score[0], trial.number, at)
        self._standings[trial.number] = standings

    def _is_ready(self, trial: Trial) -> bool:
        """Whether a trial waits at a step at which it decides."""
        reached = max(self._standings[trial.number], default=None)
        return reached is not None and trial.step <= self._lengths[reached] < self._lengths[-1]

    def _next(self, trial: Trial) -> int | None:
        born = bisect_right(self._lengths, trial.parent_step) if trial.parent is not None else 0
        reached = max(self._standings[trial.number], default=-1) + 1
        return next_lease(self._lengths, max(born, reached), trial.step)

    def _standing(self, place: int, at: int) -> _Standing | None:
        """What a place had come to by one of the lengths: the newest that any who held it has there, else before."""
        for earlier in range(at, -1, -1):
            for trial in reversed(self._places[place]):
                found = self._standings[trial].get(earlier)
                if found is not None:
                    return found
        return None

    def _ranked(self, at: int) -> list[_Standing]:
        """The population by one of the lengths, the best first."""
        found = (self._standing(place, at) for place in self._places)
        return sorted(one for one in found if one is not None)

    def _share(self, known: int) -> int:
        """How many of so many count as the best."""
        share = floor(self._quantile * known + 1e-9)
        return max(share, 1) if known >= self._size else share

    def _chosen(self, history: History, member: Trial, at: int) -> _Standing | None:
        """Whose training goes on in place of a member's; None where it is none of the worst, or as good as the one that was drawn."""
        ranked = self._ranked(at)
        own = self._place_of[member.number]
        others = [one for one in ranked if self._place_of[one.trial] != own]
        worse = sum(self._is_worse(history, one, member) for one in others)
        if worse >= self._share(len(ranked)):
            return None
        drawn = self._drawn(ranked, member, at)
        return drawn if drawn.value < self._standings[member.number][at].value else None

    def _is_worse(self, history: History, other: _Standing, member: Trial) -> bool:
        """Whether a place stands worse than a member, or those that it descends from, did after as many steps."""
        then = history.owner(member, self._lengths[other.at])
        standing = self._standings[then.number].get(other.at)
        return standing is not None and standing.value < other.value

    def _drawn(self, ranked: Sequence[_Standing], member: Trial, at: int) -> _Standing:
        """One of the best, for the place of this member, which decides at this length."""
        share = max(self._share(len(ranked)), 1)
        return ranked[int(generator(self._seed, Use.EXPLOIT, member.number, at).integers(share))]

    def _ending(self, history: History, member: Trial) -> End | None:
        """Why a member that is ready makes room for another one; None where it goes on."""
        at = max(self._standings[member.number])
        better = self._chosen(history, member, at)
        if better is None:
            return None
        objective = history.objectives[0]
        own = self._standings[member.number][at]
        said = (
            f"at step {self._lengths[at]} its {objective.name} is {objective.sign * own.score:.6g}, among the worst"
            f" {self._quantile:.3g} of the population; trial {better.trial}, whose training goes on in its place from step"
            f" {self._lengths[better.at]}, had {objective.sign * better.score:.6g}"
        )
        return End(member.number, EXPLOITED, said)

    def _successor(self, history: History) -> Fork | None:
        """Who takes a place that is free: that of a trial that made room, or that has failed; the lowest number first."""
        for number in sorted(held[-1] for held in self._places.values()):
            last = history.trials[number]
            made_room = last.state == "Stopped" and last.reason == EXPLOITED
            if made_room or last.state == "Failed":
                # One that has failed has come to nothing itself; the others go on from their newest decision.
                at = max(self._standings[number], default=0) if made_room else len(self._lengths) - 2
                ranked = self._ranked(at)
                if ranked:
                    return self._fork(self._drawn(ranked, last, at), last)
        return None

    def _fork(self, parent: _Standing, replaced: Trial) -> Fork:
        return Fork(
            parent.trial, self._lengths[parent.at], replaced.number, lease(self._lengths, parent.at + 1)
        )
