"""Opens what a run trains on, its data and its model, in the process that trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from raygen.checkpoint import Loaded
from raygen.compute.arithmetic import memory_explained
from raygen.compute.device import device_name
from raygen.data.order_hash import RUN_POSITIONS, record_order
from raygen.data.protocol import Dataset
from raygen.data.readers import open_data
from raygen.errors import CheckpointError, InputError
from raygen.inference.code import install_code
from raygen.inference.weights import restore_weights
from raygen.models.protocol import Family, count_parameters
from raygen.models.registry import build_family
from raygen.spec import ResolvedJob
from raygen.training.environment import describe_environment
from raygen.training.facts import Facts, encoded

if TYPE_CHECKING:
    from raygen.data.shards.pieces import OpenPieces


def facts_of(job: ResolvedJob, data: Dataset, family: Family, device: torch.device) -> Facts:
    """Those of an open run.

    Args:
        job: Its job.
        data: Its data.
        family: Its model.
        device: Where the model is.
    """
    return Facts(
        data.fingerprint,
        data.samples_per_epoch,
        asdict(record_order(job, data, RUN_POSITIONS)),
        data.units_per_sample,
        [asdict(remark) for remark in data.remarks],
        [str(remark) for remark in data.remarks],
        count_parameters(family),
        encoded(data.files()),
        describe_environment(device_name(device), torch.get_num_threads()),
    )


def open_dataset(
    job: ResolvedJob,
    base: Path,
    files: Mapping[str, bytes],
    notice: Callable[[str], None] | None,
    scratch: Path | None = None,
    open_pieces: OpenPieces | None = None,
    first: int | None = None,
) -> Dataset:
    """The data of a job, after its own code, if it has any, can be imported.

    Args:
        job: A resolved job.
        base: Folder of the job file.
        files: What the data set gave to keep when the run began; empty for a new run.
        notice: Takes a sentence now and then, where reading takes long.
        scratch: Folder for a copy of the code, which somebody else deletes. Default: one that goes with the process.
        open_pieces: What reads data that is prepared. Default: threads of this process.
        first: The position at which training most likely begins, so that what is prepared is read from now on.

    Raises:
        InputError: data or code cannot be used; says where and why.
    """
    install_code(job, base, scratch)
    return open_data(job, base, files, notice, open_pieces, first)


def open_model(job: ResolvedJob, data: Dataset, device: torch.device) -> Family:
    """The model of a job, with initial weights, on a device.

    Raises:
        InputError: the model does not fit the data.
        OutOfMemoryError: the model does not fit the device.
    """
    with memory_explained(device):
        return build_family(job, data.domain, device)


def start_from(family: Family, loaded: Loaded, uri: str) -> None:
    """Gives a model the weights of another run's checkpoint.

    Raises:
        InputError: they are those of another model.
    """
    try:
        restore_weights(family, loaded)
    except CheckpointError as error:
        raise InputError(
            f"the weights do not fit this job's model: {error.what}",
            where=f"--from {uri}, step {loaded.step}",
            remedy="Give spec.model as in that run, or leave out --from.",
        ) from error
