"""What learning curves will come to: a Bayesian model of all curves of a sweep.

A curve is y(t) = f + b phi(t) + noise, where t is the share of the training that is done and phi falls from 1 at the first decision to 0
at the end as a power of t. Power laws are what Kadra et al. 2023 ("Scaling Laws for Hyperparameter Optimization") extrapolate by; here
exponents come from a table and are averaged over by their evidence, as Domhan et al. 2015 average over families of curves, so that
everything has a closed form. What curves have in common (the mean and covariance of f and b, the weights of exponents, the noise) is
learned from all of them by expectation maximisation, as for random effects (Laird and Ware 1982): a curve of one point is extrapolated
as the longer ones were. As in Swersky et al. 2014 ("Freeze-Thaw Bayesian Optimization") a curve tells of others by its end f.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXPONENTS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Of 1 / t. -1 is a straight line, 0 the logarithm; curves that fall late have those below 0."""
ITERATIONS = 12
BELIEF = 3.0
"""Curves that what is believed beforehand counts for."""
LARGEST, SMALLEST = 1e100, 1e-12
OUTLIER = 100.0
"""What scores are cut to, in distances of curves from their middle."""
WIDER = 2.0
"""What standard deviations are multiplied by: curves follow no power of t exactly, and on simulated ones of three kinds errors
were that much larger."""
FAR = 5.0
"""How far above the middle a curve may be, in distances of the best from it, to tell anything of others."""


@dataclass(frozen=True)
class Forecast:
    """What curves will come to.

    Attributes:
        weights: Of each exponent, by curve.
        means: Expected end with each exponent, by curve.
        deviations: Standard deviation of the end with each exponent, by curve.
        mean: Expected end of a new curve.
        deviation: Standard deviation of the end of a new curve.
    """

    weights: Floats
    means: Floats
    deviations: Floats
    mean: float
    deviation: float

    def ends(self) -> Floats:
        """The expected end of each curve."""
        ends: Floats = (self.weights * self.means).sum(axis=1)
        return ends

    def gains(self, best: float) -> Floats:
        """Expected improvement over a score, by curve (Mockus 1978)."""
        gains: Floats = (self.weights * _improvement(best, self.means, self.deviations)).sum(axis=1)
        return gains

    def gain(self, best: float) -> float:
        """Expected improvement over a score by a new curve."""
        return float(_improvement(best, np.array([self.mean]), np.array([self.deviation]))[0])


def forecast(curves: Sequence[tuple[Floats, Floats]], first: float) -> Forecast:
    """Extrapolates all curves of a sweep.

    Args:
        curves: Of each the shares of the training that were done, above 0, and the scores then; one or more.
        first: The share at the first decision.
    """
    # N curves, P points of the longest, G exponents.
    longest = max(len(shares) for shares, _ in curves)
    mask = np.zeros((len(curves), longest))
    t = np.ones((len(curves), longest))
    y = np.zeros((len(curves), longest))
    for row, (shares, scores) in enumerate(curves):
        mask[row, : len(shares)], t[row, : len(shares)], y[row, : len(shares)] = 1.0, shares, scores
    newest = np.clip([scores[-1] for _, scores in curves], -LARGEST, LARGEST)
    middle = float(np.median(newest))
    apart = np.abs(newest - middle)
    scale = max(float(np.median(apart)) or float(apart.max()), SMALLEST * max(abs(middle), 1.0))
    y = np.clip((np.clip(y, -LARGEST, LARGEST) - middle) / scale, -OUTLIER, OUTLIER) * mask
    telling = ((newest - middle) <= FAR * max(middle - newest.min(), scale)).astype(np.float64)
    model = _Model(t, y, mask, telling, first)
    for _ in range(ITERATIONS):
        model.iterate()
    weights, means, deviations = model.posterior()
    return Forecast(
        weights,
        middle + scale * means,
        scale * WIDER * deviations,
        middle + scale * float(model.mean[0]),
        scale * math.sqrt(model.covariance[0, 0]),
    )


class _Model:
    """Expectation maximisation, in units in which scores are about 1 apart.

    Args:
        t: Shares of the training, N x P.
        y: Scores, 0 where there are none.
        mask: Where there are some.
        telling: Which curves tell of others.
        first: The share at the first decision.
    """

    def __init__(self, t: Floats, y: Floats, mask: Floats, telling: Floats, first: float) -> None:
        phi = np.stack([_basis(t, exponent, first) for exponent in EXPONENTS], axis=1) * mask[:, None, :]
        self._count = mask.sum(axis=1)[:, None]
        self._phi, self._phi_phi = phi.sum(axis=2), (phi * phi).sum(axis=2)
        self._y, self._y_y = y.sum(axis=1)[:, None], (y * y).sum(axis=1)[:, None]
        self._phi_y = (phi * y[:, None, :]).sum(axis=2)
        self._telling = telling[:, None]
        self.weights = np.full(len(EXPONENTS), 1 / len(EXPONENTS))
        # Beforehand a curve is expected to fall by about as much as curves differ.
        self._believed = np.array([-1.0, 1.0])
        self.mean = self._believed
        self.covariance = np.diag([1.0, 1.0])
        self.noise = 0.01

    def posterior(self) -> tuple[Floats, Floats, Floats]:
        """Weights of exponents, expected ends and their standard deviations, N x G each."""
        weights, f, _, ff, _, _ = self._expect()
        return weights, f, np.sqrt(ff)

    def iterate(self) -> None:
        """One step of the expectation and one of the maximisation, under what is believed beforehand."""
        weights, f, b, ff, fb, bb = self._expect()
        weights = weights * self._telling
        curves = float(weights.sum())
        mean = np.array([(weights * f).sum(), (weights * b).sum()]) + self._believed
        mean /= curves + 1
        df, db = f - mean[0], b - mean[1]
        off = (weights * (fb + df * db)).sum()
        spread = np.array([[(weights * (ff + df * df)).sum(), off], [off, (weights * (bb + db * db)).sum()]])
        drift = mean - self._believed
        residual = (
            self._y_y
            - 2 * (f * self._y + b * self._phi_y)
            + self._count * (f * f + ff)
            + 2 * self._phi * (f * b + fb)
            + self._phi_phi * (b * b + bb)
        )
        points = float((self._count * self._telling).sum())
        self.mean = mean
        self.covariance = (spread + drift[:, None] * drift + BELIEF * np.eye(2)) / (curves + 1 + BELIEF)
        self.noise = float(((weights * residual).sum() + BELIEF * 0.01) / (points + BELIEF))
        self.weights = (weights.sum(axis=0) + BELIEF / len(EXPONENTS)) / (curves + BELIEF)

    def _expect(self) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Weights of exponents, means of f and b, their variances and covariance: f, b, ff, fb, bb."""
        (v_ff, v_fb), (_, v_bb) = self.covariance
        size = v_ff * v_bb - v_fb * v_fb
        p_ff, p_fb, p_bb = v_bb / size, -v_fb / size, v_ff / size
        q_f, q_b = p_ff * self.mean[0] + p_fb * self.mean[1], p_fb * self.mean[0] + p_bb * self.mean[1]
        a_ff, a_fb, a_bb = (
            p_ff + self._count / self.noise,
            p_fb + self._phi / self.noise,
            p_bb + self._phi_phi / self.noise,
        )
        r_f, r_b = q_f + self._y / self.noise, q_b + self._phi_y / self.noise
        determinant = a_ff * a_bb - a_fb * a_fb
        f, b = (a_bb * r_f - a_fb * r_b) / determinant, (a_ff * r_b - a_fb * r_f) / determinant
        evidence = np.log(self.weights) - np.log(determinant) / 2 + (f * r_f + b * r_b) / 2
        weights = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return weights, f, b, a_bb / determinant, -a_fb / determinant, a_ff / determinant


def _basis(t: Floats, exponent: float, first: float) -> Floats:
    """A power of 1 / t that is 1 at the first decision and 0 at the end."""
    if exponent == 0:
        return np.log(t) / math.log(first)
    basis: Floats = (t**-exponent - 1) / (first**-exponent - 1)
    return basis


def _improvement(best: float, mean: Floats, deviation: Floats) -> Floats:
    z = (min(max(best, -LARGEST), LARGEST) - mean) / deviation
    gains: Floats = deviation * (z * _cumulative(z) + np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    return gains


def _cumulative(z: Floats) -> Floats:
    """The normal distribution function, from math.erfc, since numpy has none."""
    return np.array([math.erfc(-one / math.sqrt(2)) / 2 for one in z.ravel()]).reshape(z.shape)
