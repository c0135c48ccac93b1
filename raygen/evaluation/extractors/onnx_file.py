"""Extractors in ONNX files, computed by ONNX Runtime on the processor."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from raygen.errors import DamagedError, InputError, MissingExtraError
from raygen.evaluation.extractors.extractor import ImageExtractor, checked_name, probabilities_of
from raygen.evaluation.extractors.inputs import Inputs
from raygen.evaluation.extractors.kinds import FORMAT, Onnx

ERRORS_ONLY = 3
"""ONNX Runtime's level of what it prints by itself."""
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
"""ONNX Runtime's setting for where the weights of a model are that are not in its file."""


class _Meta(Protocol):
    custom_metadata_map: dict[str, str]


class _Slot(Protocol):
    name: str
    shape: Sequence[int | str | None]
    type: str


class _Session(Protocol):
    def get_inputs(self) -> list[_Slot]: ...
    def get_outputs(self) -> list[_Slot]: ...
    def get_modelmeta(self) -> _Meta: ...
    def run(self, names: list[str], given: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]: ...


def open_onnx(content: bytes, sha256: str, where: str, stem: str, given: Onnx) -> ImageExtractor:
    """The extractor in a file.

    Args:
        content: Of the file.
        sha256: Of it.
        where: For messages.
        stem: Its name, where neither `given` nor its metadata has one.
        given: What wins over its metadata.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        InputError: what it takes is said nowhere, or it does not fit to that.
        DamagedError: the file is damaged, or has its weights in other files, which its hash does not cover.
    """
    session = _session(content, where)
    said = _said(session, given, where)
    outputs = {slot.name: slot for slot in session.get_outputs()}
    features = said.features or next(iter(outputs))
    of_classes = said.probabilities or said.logits
    wanted = [features] if of_classes is None else [features, of_classes]
    strange = [name for name in wanted if name not in outputs]
    if strange:
        raise InputError(
            f"the model has no output {strange[0]!r}; it has {', '.join(outputs)}",
            where=where,
            remedy="Name its outputs as they are.",
        )
    if said.inputs is None:
        raise InputError(
            "neither the file nor the call says what images the model takes",
            where=where,
            remedy=f"Give Onnx(inputs=Inputs(...)), or write it into the file's metadata as {FORMAT}.",
        )
    copies = _check_input(session, said.inputs, where)
    (slot,) = session.get_inputs()

    def model(image: Tensor) -> tuple[Tensor, Tensor | None]:
        # A batch of a fixed size is filled with the same image, so that no other one is in it.
        filled = image.expand(copies, -1, -1, -1).contiguous()
        found = session.run(wanted, {slot.name: filled.numpy()})
        first, *others = (torch.from_numpy(values[0].reshape(-1).astype(np.float32)) for values in found)
        if not others:
            return first, None
        return first, others[0] if said.probabilities else probabilities_of(others[0])

    name = checked_name(said.name or stem, sha256, where)
    try:
        return ImageExtractor(name, sha256, said.classes, said.inputs, model, where)
    except (DamagedError, InputError):
        raise
    except Exception as error:  # ONNX Runtime's errors have no class in common.
        raise DamagedError(f"ONNX Runtime cannot run the model: {_line(error)}", where=where) from error


def _session(content: bytes, where: str) -> _Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = ERRORS_ONLY
    # Weights beside the file would be looked for in the working directory, and are not in the hash: in an empty folder are none.
    with tempfile.TemporaryDirectory(prefix="raygen-") as nothing:
        options.add_session_config_entry(WEIGHTS_FOLDER, nothing)
        try:
            session: _Session = onnxruntime.InferenceSession(
                content, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no class in common.
            raise DamagedError(
                f"ONNX Runtime cannot open the file: {_line(error)}",
                where=where,
                remedy="Take the file again from where it was made; all of its weights have to be in it.",
            ) from error
    return session


def _said(session: _Session, given: Onnx, where: str) -> Onnx:
    text = session.get_modelmeta().custom_metadata_map.get(FORMAT, "{}")
    try:
        own = Onnx.model_validate_json(text)
    except ValidationError as error:
        raise DamagedError(f"the file's metadata say of it what cannot be: {error}", where=where) from error
    return own.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


def _check_input(session: _Session, inputs: Inputs, where: str) -> int:
    """How many images the model takes at once, where it takes such images."""
    slots = session.get_inputs()
    sizes = (inputs.channels, inputs.height, inputs.width)
    if len(slots) == 1 and slots[0].type == "tensor(float)" and len(slots[0].shape) == 4:
        batch, *fixed = slots[0].shape
        if all(not isinstance(one, int) or one == size for one, size in zip(fixed, sizes, strict=True)):
            return batch if isinstance(batch, int) else 1
    has = "; ".join(f"{slot.name}: {slot.type} {tuple(slot.shape)}" for slot in slots)
    raise InputError(
        f"the model takes {has}, and not one float32 tensor of (samples, {', '.join(map(str, sizes))})",
        where=where,
        remedy="Say what it takes, or export it again with one input (samples, channels, rows, columns).",
    )


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
