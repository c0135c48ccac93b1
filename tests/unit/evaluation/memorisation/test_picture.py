"""The picture of what was found."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from raygen.evaluation.memorisation import CopyFinder, picture


def test_the_most_suspicious_come_first_beside_what_they_are_copies_of(
    finder: CopyFinder, fresh: Tensor, training: Tensor
) -> None:
    generated = torch.cat([fresh[:6], training[7:8]])
    drawn = np.asarray(Image.open(io.BytesIO(picture(finder.find(generated), generated, training, count=6))))
    assert drawn.shape == (2 * 30 + 2, 10 * 30 + 2)
    assert np.array_equal(drawn[2:30, 2:30], training[7, 0].numpy())
    assert np.array_equal(drawn[2:30, 32:60], training[7, 0].numpy())


def test_pictures_of_other_images_are_refused(finder: CopyFinder, fresh: Tensor, training: Tensor) -> None:
    found = finder.find(fresh[:6])
    with pytest.raises(ValueError, match="other images"):
        picture(found, fresh[:5], training)
    with pytest.raises(ValueError, match="0 pairs"):
        picture(found, fresh[:6], training, count=0)
