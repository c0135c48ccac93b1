"""The data card says what is in the shards, and what became of all else; whoever makes it makes the same."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raygen.data.order_hash import record_order
from raygen.data.shards.dataset import PreparedData
from raygen.preparation import plan as planning
from raygen.preparation.card.contents import Card
from raygen.preparation.card.samples import smaller
from raygen.spec import ResolvedJob
from tests.prepared import Shuffled, digests, documents, image_job, prepared, text_job, write_lines
from tests.jobs import write_images
