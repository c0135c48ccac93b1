"""AI-assisted metrics: a judge model behind an endpoint scores answers from 1 to 5, or compares two of them."""

from raygen.evaluation.judge.calls import Retries
from raygen.evaluation.judge.costs import Prices, Usage
from raygen.evaluation.judge.endpoint import Endpoint, Sampling
from raygen.evaluation.judge.judge import Judge
from raygen.evaluation.judge.pacing import Clock, Limits
from raygen.evaluation.judge.results import Pair, Preference, Preferences, Score, Scores, Summary
from raygen.evaluation.judge.rubrics import RUBRICS, Case, MetricName, Rubric
from raygen.evaluation.ratings.agreement import Agreement, agreement
from raygen.evaluation.ratings.intervals import Estimate

__all__ = [
    "RUBRICS",
    "Agreement",
    "Case",
    "Clock",
    "Endpoint",
    "Estimate",
    "Judge",
    "Limits",
    "MetricName",
    "Pair",
    "Preference",
    "Preferences",
    "Prices",
    "Retries",
    "Rubric",
    "Sampling",
    "Score",
    "Scores",
    "Summary",
    "Usage",
    "agreement",
]
