"""Guards watch the numbers and texts of a run, and say when something goes wrong.

A guard is a function of what it has observed, so that all workers, which observe the same, decide the same.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raygen.errors import GuardError, RollBackError
from raygen.spec.families.table import FAMILIES
from raygen.spec.job.guards import ResolvedGuard
from raygen.spec.job.training import ResolvedTraining

_OTHERS = tuple(dict.fromkeys(name for family in FAMILIES.values() for name in family.networks[1:]))
FINITE = (
    "loss",
    *(f"{network}_loss" for network in _OTHERS),
    "gradient_norm",
    *(f"{network}_gradient_norm" for network in _OTHERS),
)
"""What NonFiniteLoss looks at, of all networks: gradients too, since with them the weights are lost while the loss may
still be finite."""
DEVIATION = 1.4826
"""Median absolute deviations in a standard deviation of normal numbers, inverted."""
GRAM = 4

_RATE = "Lower the learning rate, add warm-up, or set gradientClipNorm: 1.0"
REMEDIES = {
    "NonFiniteLoss": f"{_RATE} (spec.training.optimizer.learningRate).",
    "LossSpike": f"{_RATE}.",
    "TextRepetition": "Train longer or on more varied text, or sample with a higher temperature or a"
    " repetitionPenalty.",
    "ModeCollapse": "Lower the generator's learningRate, regularise the discriminator (r1), or choose another loss.",
    "PosteriorCollapse": "Lower beta, set klWarmupSteps or freeBits, or choose a weaker decoder.",
    "DiscriminatorOverpowering": "Lower the discriminator's learningRate, regularise it (r1, spectralNorm), or set"
    " augmentation.",
}


@dataclass(frozen=True)
class Finding:
    """What a guard found.

    Attributes:
        type: The guard.
        action: What it does about it.
        step: Where the trouble was noticed.
        since: First step of the trouble.
        value: What was observed.
        threshold: Its limit, 0 where there is none.
        message: What happened, as a sentence without a full stop.
        remedy: What to do about it.
    """

    type: str
    action: str
    step: int
    since: int
    value: float
    threshold: float
    message: str
    remedy: str

    def record(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return asdict(self) if math.isfinite(self.value) else asdict(self) | {"value": None}

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {key: value for key, value in self.record().items() if key != "since"}


class Watch:
    """One guard with its memory.

    Args:
        guard: Its settings.
    """

    def __init__(self, guard: ResolvedGuard) -> None:
        self.guard = guard
        # A loss that is not finite is wrong without a limit, at once and always.
        self._limit, self._patience, self._after = (
            (0.0, 1, 0)
            if guard.type == "NonFiniteLoss"
            else (guard.threshold, guard.patience, guard.after_steps)
        )
        self._recent: deque[float] = deque(maxlen=guard.window if guard.type == "LossSpike" else 1)
        self._row = 0
        self._since = 0
        self._told = False

    def step(self, step: int, values: Mapping[str, float]) -> Finding | None:
        """Looks at the numbers of a step; steps come in order."""
        looked = _LOOKS[self.guard.type](self, values)
        return None if looked is None else self._judge(step, *looked)

    def texts(self, step: int, texts: Sequence[str]) -> Finding | None:
        """Looks at the texts that were made after a step."""
        if self.guard.type != "TextRepetition" or not texts:
            return None
        share = statistics.mean(repetition(text) for text in texts)
        return self._judge(
            step, share > self._limit, share, f"{share:.0%} of the 4-grams in the samples are repeats"
        )

    def _judge(self, step: int, wrong: bool, value: float, message: str) -> Finding | None:
        if not wrong or step <= self._after:
            self._row, self._told = 0, False
            return None
        self._row += 1
        if self._row == 1:
            self._since = step
        if self._row < self._patience or self._told:
            return None
        self._told = True
        kind = self.guard.type
        where = f"{message} at step {step}"
        return Finding(kind, self.guard.action, step, self._since, value, self._limit, where, REMEDIES[kind])

    def _finite(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:
        for name in FINITE:
            if name in values and not math.isfinite(values[name]):
                return True, values[name], f"the {name.replace('_', ' ')} became {values[name]}"
        return False, 0.0, ""

    def _spike(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:
        loss = values["loss"]
        if not math.isfinite(loss):
            return None
        if len(self._recent) < (self._recent.maxlen or 0) // 2:
            self._recent.append(loss)
            return None
        middle = statistics.median(self._recent)
        spread = DEVIATION * statistics.median(abs(one - middle) for one in self._recent)
        distance = (loss - middle) / max(spread, 1e-3 * abs(middle), 1e-12)
        wrong = distance > self._limit
        if not wrong:
            # A spike must not become what later ones are measured against.
            self._recent.append(loss)
        return wrong, distance, f"the loss rose to {loss:.4g}, {distance:.1f} deviations above {middle:.4g},"

    def _diversity(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:
        share = values.get("diversity")
        if share is None:
            return None
        return share < self._limit, share, f"generated images vary {share:.1%} as much as real ones"

    def _active(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:
        active = values.get("active_units")
        if active is None:
            return None
        return active < self._limit, active, f"{active:.0f} latent variables are active"

    def _overpowering(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:
        share = values.get("discriminator_accuracy")
        if share is None:
            return None
        return share > self._limit, share, f"the discriminator is right on {share:.1%} of the images"

    def _nothing(self, values: Mapping[str, float]) -> tuple[bool, float, str] | None:  # noqa: ARG002
        return None


_LOOKS: dict[str, Callable[[Watch, Mapping[str, float]], tuple[bool, float, str] | None]] = {
    "NonFiniteLoss": Watch._finite,
    "LossSpike": Watch._spike,
    "TextRepetition": Watch._nothing,
    "ModeCollapse": Watch._diversity,
    "PosteriorCollapse": Watch._active,
    "DiscriminatorOverpowering": Watch._overpowering,
}


def repetition(text: str) -> float:
    """Share of word 4-grams that are repeats of earlier ones (Welleck et al. 2020, section 6, seq-rep-4).

    A text of fewer than 8 words counts by its characters.
    """
    words: Sequence[str] = text.split()
    if len(words) < 2 * GRAM:
        words = text
    grams = [tuple(words[start : start + GRAM]) for start in range(len(words) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


class Guards:
    """All guards of a run.

    Args:
        training: The job's settings.
        rolled_back: How often the run went back already.
        notice: Takes what a person should know.
        found: Takes each finding, before anything follows from it.

    Attributes:
        findings: What was found in this attempt.
    """

    def __init__(
        self,
        training: ResolvedTraining,
        rolled_back: int,
        notice: Callable[[str], None],
        found: Callable[[Finding], None] = lambda _: None,
    ) -> None:
        self.findings: list[Finding] = []
        self._watches = [Watch(guard) for guard in training.guards]
        self._settings = training.roll_back
        self._rolled_back = rolled_back
        self._notice, self._found = notice, found

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Looks at the numbers of a step.

        Raises:
            GuardError: a guard stops the run.
            RollBackError: a guard sends it back.
        """
        for watch in self._watches:
            self._act(watch.step(step, values))

    def texts(self, step: int, texts: Sequence[str]) -> None:
        """Looks at the texts that were made after a step; raises as `step` does."""
        for watch in self._watches:
            self._act(watch.texts(step, texts))

    def _act(self, finding: Finding | None) -> None:
        if finding is None:
            return
        self.findings.append(finding)
        self._found(finding)
        if finding.action == "Warn":
            self._notice(f"{finding.type}: {finding.message}. {finding.remedy}")
            return
        message, remedy = finding.message, finding.remedy
        if finding.action == "RollBack":
            if self._rolled_back < self._settings.limit:
                raise RollBackError(
                    message,
                    kind=finding.type,
                    where=f"step {finding.step}",
                    remedy=remedy,
                )
            message += f", after the run had gone back {self._rolled_back} times"
        raise GuardError(
            message,
            kind=finding.type,
            where=f"step {finding.step}",
            remedy=f"{remedy} Then start a run with a new name.",
        )
