"""What is asked of a model that generates, and what it gives; needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One generated thing: a text, which may be music in words, or an image as PNG (which may be a grid of many).

    Attributes:
        prompt: What was given; of an image, what it shows.
        text: What was generated after it, where it is text.
        png: What was generated, where it is an image.
        midi: Prompt and text as a MIDI file, where they are the words of music.
        finished: Why a text ends where it does: `EndOfText`, the model wrote its end; `MaxTokens`, it was cut off.
            None for images, and where a model does not say.
    """

    prompt: str = ""
    text: str | None = None
    png: bytes | None = None
    midi: bytes | None = None
    finished: str | None = None


@dataclass(frozen=True)
class SampleRequest:
    """How to generate.

    Attributes:
        count: Samples.
        seed: Sample i depends on the seed and on i, not on count.
        prompts: Beginnings, taken in turn; none means an empty one.
        max_tokens: Tokens after the prompt, at most; a text ends before with the token that ends texts.
        temperature: Divides the logits; 0 takes the most likely token.
        top_k: Only the k most likely tokens.
        top_p: Only the most likely tokens that together have this probability.
        min_p: Only tokens with this share of the most likely one's probability.
        repetition_penalty: Factor against tokens that are already in the text; 1 does nothing.
        ignore_end_of_text: Go on after the token that ends texts, as if another text began.
        labels: Classes of images, taken in turn; none means all of them. For models that are told the class.
    """

    count: int = 1
    seed: int = 0
    prompts: tuple[str, ...] = ()
    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    ignore_end_of_text: bool = False
    labels: tuple[int, ...] = ()
