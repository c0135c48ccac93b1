"""A run whose model is used: loaded, sampled, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from raygen.compute.device import choose_device, limited_threads
from raygen.compute.scale import available_cores
from raygen.data.readers import open_data
from raygen.errors import DataError, InputError, OutputError
from raygen.inference.code import install_code
from raygen.inference.weights import restore_weights
from raygen.models.protocol import SHOWN, Family, HuggingFaceModel, Sample, SampleRequest
from raygen.models.registry import build_family
from raygen.parallel.lanes import validation_batches
from raygen.parallel.whole import SingleWorker
from raygen.run.record import RunRecord
from raygen.run.samples import played
from raygen.spec import ResolvedJob
from raygen.storage import open_storage


class Run(RunRecord):
    """A run with what can be made from its checkpoints.

    Attributes:
        directory: The run directory.
        document: job.json.
        job: The resolved job.
    """

    def family(self, step: int | None = None, device: str = "auto", job: ResolvedJob | None = None) -> Family:
        """The model with the weights of a checkpoint, averaged ones where the run has them.

        Args:
            step: Which checkpoint. Default: the best one if the job keeps it, else the newest.
            device: Where it is to be.
            job: The run's job with another evaluation. Default: as it is.

        Raises:
            InputError: the code of a custom model is missing or wrong.
        """
        with self._code_explained():
            install_code(self.job, self.base)
            family = build_family(job or self.job, self.domain(), choose_device(device))
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
        # The model that was just made has not seen them yet.
        if self.job.spec.model.family.shows_validation:
            self._show_validation(family, device)
        with limited_threads(available_cores()):
            samples = played(family.sample(request), self.domain())
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
        with suppress(DataError), closing(open_data(self.job, self.base, self.data_files())) as data:
            for batch, draws, weights in validation_batches(
                self.job, data, choose_device(device), SingleWorker()
            ):
                family.evaluate(batch, draws, weights)
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
