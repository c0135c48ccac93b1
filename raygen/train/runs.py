"""A run that exists: its job, its checkpoints, and what can be made from them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from raygen.checkpoint import Loaded, best_step, latest, load, survey
from raygen.data.readers import open_data, open_domain
from raygen.errors import DataError, InputError, OutputError, RunError
from raygen.evaluation.metrics import metric_direction
from raygen.models.protocol import (
    SHOWN,
    Alone,
    Domain,
    Family,
    HuggingFaceModel,
    Sample,
    SampleRequest,
)
from raygen.models.registry import build_family
from raygen.spec import TrainingJob, parse
from raygen.storage import open_storage
from raygen.train.code import install_code
from raygen.train.device import available_cores, choose_device, limited_threads
from raygen.train.loop import validation_batches
from raygen.train.rundir import RunDirectory
from raygen.train.state import restore_weights


class Run:
    """A run directory with a job in it.

    Attributes:
        directory: The run directory.
        document: job.json.
        job: The resolved job.
    """

    def __init__(self, directory: RunDirectory, document: dict[str, Any]) -> None:
        self.directory = directory
        self.document = document
        self.job: TrainingJob = parse(document["job"])

    @classmethod
    def open(cls, uri: str | Path) -> Self:
        """Opens a run directory.

        Raises:
            InputError: there is no run.
        """
        return cls.at(run_directory(uri))

    @classmethod
    def at(cls, directory: RunDirectory) -> Self:
        """Opens a run directory; see `open`."""
        document = directory.read_job()
        if document is None:
            raise InputError(
                "there is no run: job.json is missing",
                where=directory.uri,
                remedy="Give the folder that `raygen train` named, for example runs/gpt-tiny.",
            )
        return cls(directory, document)

    @property
    def base(self) -> Path:
        """Folder of the job file, in which a custom model's code and relative sources are.

        Where it is gone, and the run was moved too, as a project that holds both is, it is the folder that lies to the run
        as the old one did.
        """
        base, before = Path(self.document["base"]), self.document.get("uri")
        if base.is_dir() or before is None or "://" in before or "://" in self.directory.uri:
            return base
        moved = Path(self.directory.uri, os.path.relpath(base, before)).resolve()
        return moved if moved.is_dir() else base

    def identity(self, step: int) -> dict[str, Any]:
        """What a child run remembers of this one, whose checkpoint of this step it starts from."""
        return {"uri": self.directory.uri, "step": step}

    def data_files(self) -> dict[str, bytes]:
        """What the data set kept with the run, the tokenizer for text."""
        return self.directory.read_data_files()

    def domain(self) -> Domain:
        """What the model knows of its data: the run's tokenizer, or the size and classes of its images."""
        return cast("Domain", open_domain(self.job.spec.data, self.data_files()))

    def checkpoint(self, step: int | None = None) -> Loaded:
        """A verified checkpoint.

        Args:
            step: Which. Default: the best one if the job keeps it, else the newest that verifies.

        Raises:
            CheckpointError: the one asked for is damaged.
            InputError: there is none of that step.
            RunError: there is none.
        """
        storage = self.directory.checkpoints
        if step is not None:
            there = [folder.step for folder in survey(storage) if folder.complete]
            if step not in there:
                raise InputError(
                    f"there is no checkpoint of step {step}",
                    where=self.directory.uri,
                    remedy=f"There are those of {', '.join(map(str, sorted(there))) or 'no step yet'}.",
                )
            return load(storage, step)
        keep = self.job.spec.checkpoint.keep_best
        best = best_step(storage, metric_direction(self.job, keep.metric)) if keep is not None else None
        if best is not None:
            return load(storage, best)
        found = latest(storage)
        if found is None:
            raise RunError(
                "the run has no complete checkpoint yet",
                where=self.directory.uri,
                remedy="Let it train until its first checkpoint.",
            )
        return found

    def family(self, step: int | None = None, device: str = "auto") -> Family:
        """The model with the weights of a checkpoint, averaged ones where the run has them.

        Raises:
            InputError: the code of a custom model is missing or wrong.
        """
        with self._code_explained():
            install_code(self.job, self.base)
            family = build_family(self.job, self.domain(), choose_device(device))
        restore_weights(family, self.checkpoint(step))
        for network in family.networks.values():
            network.eval()
        return family

    def sample(
        self, request: SampleRequest, *, step: int | None = None, device: str = "auto"
    ) -> list[Sample]:
        """Generates from a checkpoint.

        Raises:
            InputError: the model has nothing to generate from.
        """
        family = self.family(step, device)
        # Reconstructions are of images of the validation split, which the model has not seen yet.
        if getattr(family, "shown", family) is None:
            self._show_validation(family, device)
        with limited_threads(available_cores()):
            samples = family.sample(request)
        if not samples:
            raise InputError(
                "this model shows reconstructions alone, and there are no validation images to reconstruct",
                where=self.directory.uri,
                remedy="Restore the job's data, or train with spec.data.validation.",
            )
        return samples

    def _show_validation(self, family: Family, device: str) -> None:
        if self.job.spec.data.validation is None:
            return
        # A model outlives its data; what does not need them is generated all the same.
        with suppress(DataError):
            data = open_data(self.job, self.base, self.data_files())
            for batch, draws in validation_batches(self.job, data, choose_device(device), Alone()):
                family.evaluate(batch, draws)
                if draws.samples.stop >= SHOWN:
                    break

    @contextmanager
    def _code_explained(self) -> Iterator[None]:
        """Says where a custom model's code was looked for, if the job file's folder is gone."""
        try:
            yield
        except InputError as error:
            if self.job.spec.model.custom is None or self.base.is_dir():
                raise
            raise InputError(
                f"{error.what}; the folder of the job file is gone",
                where=str(self.base),
                remedy="Move it back, or run `raygen train` with the job file where it is now, which notes the place.",
            ) from error

    def export_huggingface(self, target: Path, *, step: int | None = None) -> list[Path]:
        """Writes config.json, model.safetensors and the tokenizer's files, which `transformers` loads.

        Raises:
            ExportError: no Hugging Face architecture computes the same.
            OutputError: the folder is not empty or cannot be written.
        """
        model = self.family(step, "cpu").huggingface()
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(
                "the target is not an empty folder", where=str(target), remedy="Name a new folder."
            )
        storage = open_storage(str(target))
        files = _huggingface_files(model, self.data_files())
        for name, content in files.items():
            storage.write(name, content)
        return [target / name for name in files]


def run_directory(uri: str | Path) -> RunDirectory:
    """The run directory at a URI, whether there is a run in it or not.

    A local folder may be named in any way: `.`, through links, relative, with slashes at its end.

    Raises:
        InputError: it is not a folder in a storage: a whole bucket, or the root of the file system.
    """
    whole = open_storage(str(uri)).uri
    scheme, _, path = whole.rpartition("://")
    parent, _, name = path.rpartition("/")
    if not name or (scheme and not parent):
        what = "a whole bucket" if scheme else "the root of the file system"
        raise InputError(
            f"this is {what}, and a run is a folder in it",
            where=str(uri),
            remedy="Give the folder that `raygen train` named, for example runs/gpt-tiny or s3://bucket/runs/gpt-tiny.",
        )
    return RunDirectory(open_storage(whole.removesuffix(f"/{name}") or "/"), name)


def _huggingface_files(model: HuggingFaceModel, data_files: dict[str, bytes]) -> dict[str, bytes]:
    from safetensors.torch import save

    files = {
        "config.json": _json(model.config),
        "generation_config.json": _json(
            {k: v for k, v in model.config.items() if k in ("bos_token_id", "eos_token_id")}
        ),
        "model.safetensors": save(model.tensors, metadata={"format": "pt"}),
    }
    if "tokenizer.json" in data_files:
        files["tokenizer.json"] = data_files["tokenizer.json"]
        end = "<|endoftext|>" if model.config["eos_token_id"] is not None else None
        files["tokenizer_config.json"] = _json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": model.config["max_position_embeddings"],
                "clean_up_tokenization_spaces": False,
                "eos_token": end,
                "bos_token": end,
            }
        )
    return files


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def write_samples(directory: RunDirectory, step: int, samples: list[Sample]) -> None:
    """Keeps the samples of a step: texts as JSON lines, images as PNG files."""
    texts = [s for s in samples if s.text is not None]
    if texts:
        records = ({"prompt": s.prompt, "text": s.text, "finished": s.finished} for s in texts)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        directory.write_sample(step, "texts.jsonl", lines.encode())
    for number, sample in enumerate(s for s in samples if s.png is not None):
        directory.write_sample(step, f"image-{number:03}.png", sample.png or b"")
