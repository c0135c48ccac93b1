"""What worker pods a sweep has use for, in virtual time."""

from __future__ import annotations

from typing import Any

from raygen.sweeps.trials.pods import PodDemand
from tests.sweeps import a_sweep


class Cluster:
    """Trials and machines, as a test has them."""

    def __init__(self, **changes: Any) -> None:
        self.now, self.busy = 0.0, 0
        self.machines: dict[str, bool] = {}
        self.rested: list[float] = []
        spec = a_sweep(**{"concurrency": 4, "autoscaling": {"idleSeconds": 60}, **changes}).spec
        self.demand = PodDemand(self, spec, lambda: self.machines, lambda: self.now)

    def rest(self, seconds: float) -> None:
        self.rested.append(seconds)

    def after(self, seconds: float) -> tuple[int, list[str]]:
        """`wanted` and `idle`, so many seconds later, in looks of 5 s."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 5, end)
            said = self.demand()
        return said["wanted"], said["idle"]


def test_trials_that_wait_for_room_are_wanted_at_once() -> None:
    seen = Cluster()
    seen.busy, seen.machines = 4, {"a": True}
    assert seen.after(5) == (4, [])
    assert set(seen.rested) == {60}


def test_a_machine_goes_once_it_has_been_idle_for_long_enough() -> None:
    seen = Cluster()
    seen.busy, seen.machines = 4, dict.fromkeys("abcd", True)
    seen.after(5)
    seen.busy, seen.machines = 1, {"a": True, "b": False, "c": False, "d": True}
    assert seen.after(55) == (4, []), "others may follow"
    assert seen.after(20) == (2, ["b", "c"])
    seen.machines["d"] = False
    assert seen.after(30) == (2, ["b", "c"])
    assert seen.after(40) == (1, ["b", "c", "d"])
    seen.machines["b"] = True
    seen.busy = 2
    assert seen.after(5) == (2, ["c", "d"])


def test_the_least_stays_and_no_more_than_all_trials_need_is_wanted() -> None:
    seen = Cluster(autoscaling={"minWorkers": 2, "idleSeconds": 0})
    seen.machines = dict.fromkeys("abc", False)
    assert seen.after(5) == (2, ["a"])
    seen.busy = 9
    assert seen.after(5) == (4, [])


def test_trials_share_pods_and_have_several() -> None:
    shared = Cluster(trialsPerWorker=2)
    shared.busy = 3
    assert shared.after(5)[0] == 2
    wide = Cluster(template__spec__scale={"workers": 3})
    wide.busy = 2
    assert wide.after(5)[0] == 6
