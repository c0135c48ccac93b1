"""What the five metrics mean: which texts a judge gets, and what each score stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from raygen.errors import InputError

MetricName = Literal["Groundedness", "Relevance", "Coherence", "Fluency", "Similarity"]
Field = Literal["question", "context", "ground_truth", "answer"]

LOWEST, HIGHEST = 1, 5
"""The range of every score."""


@dataclass(frozen=True)
class Case:
    """An answer to be judged, and the texts that it is judged by.

    Attributes:
        question: What was asked, or the prompt of the model.
        answer: What the model has answered.
        context: What the answer should rest on; Groundedness needs it.
        ground_truth: The right answer; Similarity needs it.
        id: A name for results. Without one a case is named by its place among the others, from 0.
    """

    question: str
    answer: str
    context: str | None = None
    ground_truth: str | None = None
    id: str | None = None

    def text(self, field: Field) -> str | None:
        """One of its texts."""
        value: str | None = getattr(self, field)
        return value


@dataclass(frozen=True)
class Rubric:
    """One metric, as the judge is told of it.

    Attributes:
        name: The metric.
        fields: Texts that the judge gets, in this order.
        aim: What is judged, and what is left out of consideration.
        levels: What each score stands for.
    """

    name: MetricName
    fields: tuple[Field, ...]
    aim: str
    levels: Mapping[int, str]


RUBRICS: dict[MetricName, Rubric] = {
    rubric.name: rubric
    for rubric in (
        Rubric(
            "Groundedness",
            ("question", "context", "answer"),
            "How far the context supports what the answer claims. Judge claims by the context alone, even where you know"
            " better. Do not judge style, length or how much of the context is used. An answer which says truthfully that"
            " the context does not tell is fully supported.",
            {
                5: "The context states every claim of the answer, or each claim follows from it directly.",
                4: "The context supports all important claims; a minor detail is missing from it, and contradicts nothing.",
                3: "Some important claims are supported, while others have no support in the context.",
                2: "Most claims have no support in the context, or an important one contradicts it.",
                1: "Nothing that matters in the answer is supported, or the answer says the opposite of the context.",
            },
        ),
        Rubric(
            "Relevance",
            ("question", "answer"),
            "How well the answer responds to what the question asks: all of its parts, and nothing beside the point. Do not"
            " judge style, and do not check facts.",
            {
                5: "It answers every part of the question directly, and all that it says serves the answer.",
                4: "It answers the question; a small part is missing, or a little of it is beside the point.",
                3: "It answers one important part and leaves another out, or much of it is beside the point.",
                2: "It is about the same subject, but does not answer what was asked.",
                1: "It has nothing to do with the question, or is not an answer at all.",
            },
        ),
        Rubric(
            "Coherence",
            ("question", "answer"),
            "How well the answer holds together as a whole: order of thoughts, links between sentences, no contradictions."
            " Do not judge grammar, and do not check facts. A short answer that needs no structure can be fully coherent.",
            {
                5: "Every sentence follows from what stands before it; the whole is easy to follow and contradicts itself nowhere.",
                4: "It is easy to follow; one transition or the order of a part could be better.",
                3: "The main line can be seen, but sentences stand unconnected, repeat each other or leave a gap.",
                2: "It can be followed only with effort: thoughts jump about, or parts contradict each other.",
                1: "It is a string of sentences or words without a line of thought.",
            },
        ),
        Rubric(
            "Fluency",
            ("question", "answer"),
            "How well the answer is written as language: grammar, spelling, choice of words, natural sentences, in the"
            " language that it is in. The question is there to show which language and register are expected. Do not judge"
            " whether the answer is right or fits the question.",
            {
                5: "It reads as a careful native writer's text, without mistakes.",
                4: "It reads well; a rare mistake or a stiff phrase does not disturb.",
                3: "Mistakes or unnatural phrases come often enough to be noticed, but all of it can be understood.",
                2: "Mistakes are so many that parts can be understood only by reading them again.",
                1: "It is hardly language: most of it cannot be understood.",
            },
        ),
        Rubric(
            "Similarity",
            ("question", "ground_truth", "answer"),
            "How far the answer says the same as the ground truth, as an answer to the question. Judge meaning; other words"
            " or another order for the same content cost nothing. Take the ground truth to be right.",
            {
                5: "Both say the same: nothing that matters is missing, added or different.",
                4: "The main content is the same; a minor point is missing, added or less exact.",
                3: "They share some important content, and differ in other important content.",
                2: "They share the subject and little content, or the answer gets the main point wrong.",
                1: "They share nothing that matters, or the answer says the opposite.",
            },
        ),
    )
}
"""The metrics by name."""


def check_metrics(metrics: Iterable[str]) -> None:
    """Returns if a judge has all of these metrics.

    Raises:
        InputError: it has not.
    """
    for metric in metrics:
        if metric not in RUBRICS:
            raise InputError(
                f"there is no metric {metric!r} of a judge",
                where="metrics",
                remedy=f"Choose from {', '.join(RUBRICS)}.",
            )
