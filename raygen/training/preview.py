"""What augmentation makes of a job's first training samples, to look at."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from raygen.compute.device import choose_device
from raygen.data.protocol import Dataset
from raygen.parallel.lanes import parts_of
from raygen.spec import ResolvedJob, TrainingJob, resolve
from raygen.spec.contents import Vocabulary
from raygen.training.opening import open_dataset

COLUMNS = 8
"""Images in a row of the picture."""
LEAST_SIDE = 128
"""Smaller images are shown as whole multiples of their size, at least so many pixels high or nearly so."""
GAP, MARGIN = 4, 56
"""Between images, and for the words at their left, in pixels."""
OPENS, CLOSES = "[[", "]]"
"""Around what was replaced."""


@dataclass(frozen=True)
class Window:
    """A window of text, before and after, with marks around what was replaced.

    Attributes:
        before: As it is read.
        after: As it is trained on.
        replaced: How many of its tokens are others.
        tokens: How many it has.
    """

    before: str
    after: str
    replaced: int
    tokens: int


@dataclass(frozen=True)
class Preview:
    """Samples before and after.

    Attributes:
        count: How many.
        picture: Of images, PNG, each row of them above what becomes of it; None for text.
        windows: Of text; empty for images.
    """

    count: int
    picture: bytes | None = None
    windows: Sequence[Window] = ()


def preview(
    job: TrainingJob,
    base: Path,
    count: int,
    device: str = "auto",
    notice: Callable[[str], None] | None = None,
) -> Preview:
    """The first samples of a job as its training will have them, from step 1 on.

    Args:
        job: The job.
        base: Folder that relative source paths start from.
        count: How many samples.
        device: As in `train`; noise and tokens are drawn there.
        notice: Takes a sentence now and then, where reading the data takes long.

    Raises:
        InputError: the job's data cannot be used.
    """
    resolved, chosen = resolve(job), choose_device(device)
    with closing(open_dataset(resolved, base, {}, notice)) as data:
        before = _first(_plain(resolved), data, chosen, count)
        after = _first(resolved, data, chosen, count)
        if isinstance(data.domain, Vocabulary):
            return Preview(count, windows=_windows(data.domain, before, after))
        return Preview(count, picture=_picture(before, after))


def _plain(job: ResolvedJob) -> ResolvedJob:
    data = job.spec.data.model_copy(update={"augmentation": None})
    return job.model_copy(update={"spec": job.spec.model_copy(update={"data": data})})


def _first(job: ResolvedJob, data: Dataset, device: torch.device, count: int) -> Tensor:
    """The inputs of the first `count` samples, on the CPU."""
    found: list[Tensor] = []
    step = 0
    while sum(map(len, found)) < count:
        step += 1
        batches = [part.batch for part in parts_of(job, data, device, step, 0, 1)]
        found += [batch["inputs" if "inputs" in batch else "images"].cpu() for batch in batches]
    return torch.cat(found)[:count]


def _windows(vocabulary: Vocabulary, before: Tensor, after: Tensor) -> list[Window]:
    return [
        Window(
            vocabulary.decode(old.tolist()),
            _marked(vocabulary, old, new),
            int((old != new).sum()),
            len(old),
        )
        for old, new in zip(before, after, strict=True)
    ]


def _marked(vocabulary: Vocabulary, before: Tensor, after: Tensor) -> str:
    """A window's text, run by run."""
    is_other = (before != after).tolist()
    borders = [place for place in range(1, len(after)) if is_other[place] != is_other[place - 1]]
    text = ""
    for start, stop in zip([0, *borders], [*borders, len(after)], strict=True):
        run = vocabulary.decode(after[start:stop].tolist())
        text += f"{OPENS}{run}{CLOSES}" if is_other[start] else run
    return text


def _picture(before: Tensor, after: Tensor) -> bytes:
    """Rows of images, uint8 (count, C, H, W), each above what becomes of it, as PNG."""
    height, width = before.shape[2:]
    zoom = max(LEAST_SIDE // max(height, width), 1)
    down, right = height * zoom + GAP, width * zoom + GAP
    columns = min(COLUMNS, len(before))
    starts = range(0, len(before), columns)
    size = (MARGIN + columns * right + GAP, len(starts) * (2 * down + 2 * GAP) + GAP)
    canvas = Image.new("RGB", size, "white")
    words = ImageDraw.Draw(canvas)
    for row, start in enumerate(starts):
        for kind, (name, images) in enumerate((("before", before), ("after", after))):
            top = GAP + row * (2 * down + 2 * GAP) + kind * down
            words.text((GAP, top + (down - GAP) // 2 - 6), name, fill="black")
            for column, image in enumerate(images[start : start + columns]):
                pixels = image.expand(3, -1, -1).permute(1, 2, 0).numpy()
                shown = Image.fromarray(np.ascontiguousarray(pixels))
                shown = shown.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
                canvas.paste(shown, (MARGIN + column * right, top))
    buffer = io.BytesIO()
    canvas.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
