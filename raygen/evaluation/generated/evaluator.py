"""Measures what a model makes at each evaluation of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raygen.data.protocol import Dataset
from raygen.data.sources.files import local_path
from raygen.errors import InputError
from raygen.evaluation.extractors import Embedded, Extractor, Kind, Network, Onnx, Timm, open_extractor
from raygen.evaluation.generated.making import Team, embedded, generated_images, generated_texts
from raygen.evaluation.generated.values import NEIGHBOURS, image_values, part_of, text_values
from raygen.evaluation.intervals import GROUPS, Interval, intervals
from raygen.models.protocol import Family, SampleRequest
from raygen.spec import Metric, ResolvedJob
from raygen.spec.families.metrics import GENERATED, NEIGHBOURHOOD, OF_IMAGES
from raygen.spec.job import evaluation as spec_of
from raygen.spec.job.evaluation import Generation

Document = dict[str, Any]


@dataclass(frozen=True)
class GeneratedValues:
    """What an evaluation of generated samples gave.

    Attributes:
        values: Metric name -> value, and <name>_standard_error where there is one.
        intervals: How far values depend on the choice of samples; empty unless asked for.
        document: All that is needed to compute the same values again, as JSON values.
    """

    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    document: Document


class Evaluator:
    """Measures what a model makes, as its job asks.

    Args:
        job: A job with `evaluation.generation`.
        base: Folder that relative paths start from.
        data: The job's data, for real images. They are read when this is made, before training reads beside it.
        team: All workers that evaluate together. Where one gives up meanwhile, real images are read by the first `measure` that goes on.

    Raises:
        InputError: the extractor is missing, another one, or does not suit the metrics or the images; or there are too few real images.
    """

    def __init__(self, job: ResolvedJob, base: Path, data: Dataset, team: Team) -> None:
        generation = job.spec.evaluation.generation
        if generation is None:
            raise ValueError("the job has no evaluation.generation")
        self.metrics = tuple(metric for metric in job.spec.evaluation.metrics if metric.type in GENERATED)
        self._request = request_of(generation, job.spec.training.seed)
        self._extractor: Extractor | None = None
        self._real: Embedded | None = None
        self._read: Callable[[Team], Embedded | None] | None = None
        self._document: Document = {"request": asdict(self._request)}
        if any(metric.type in OF_IMAGES for metric in self.metrics):
            self._look_at_real(generation, base, data, team)

    def measure(self, family: Family, team: Team, *, with_intervals: bool = False) -> GeneratedValues | None:
        """Generates and measures; all workers call it together.

        Args:
            family: The model.
            team: All workers.
            with_intervals: Whether to say how far values depend on the choice of samples, which takes ten times as long.

        Returns:
            None if a worker gave up.

        Raises:
            ModelError: the model has nothing to generate from.
            InputError: there are too few samples for a metric.
        """
        if self._extractor is not None and self._read is not None:
            self._real = real = self._read(team) if self._real is None else self._real
            if real is None:
                return None
            images_of = generated_images(family, self._request)
            made = embedded(images_of, self._request.count, self._extractor, team)
            if made is None:
                return None

            def of_some(chosen: Tensor) -> dict[str, float]:
                return _told(self.metrics, real, part_of(made, chosen))

        else:
            texts = generated_texts(family, self._request, team)
            if texts is None:
                return None

            def of_some(chosen: Tensor) -> dict[str, float]:
                return text_values(self.metrics, [texts[number] for number in chosen.tolist()])

        numbers = torch.arange(self._request.count)
        values = of_some(numbers)
        found: Mapping[str, Interval] = {}
        if with_intervals and len(numbers) >= 2 * GROUPS:
            found = intervals(values, lambda group: _or_none(of_some, numbers[numbers % GROUPS != group]))
        return GeneratedValues(values, found, self._document)

    def _look_at_real(self, generation: Generation, base: Path, data: Dataset, team: Team) -> None:
        spec = generation.extractor
        if spec is None:
            raise ValueError("the job has no evaluation.generation.extractor")
        extractor = open_extractor(placed(spec.uri, base), kind_of(spec), sha256=spec.sha256)
        _suits(self.metrics, extractor)
        images = _TrainImages(data) if generation.reference == "Train" else _ValidationImages(data)
        count = min(generation.samples, images.count)
        _are_enough(self.metrics, count)
        self._read = lambda readers: embedded(images.of, count, extractor, readers)
        self._extractor, self._real = extractor, self._read(team)
        self._document |= {
            "extractor": {"type": spec.type, "name": extractor.name, "sha256": extractor.sha256},
            "reference": {"split": generation.reference, "images": count, "data": data.fingerprint},
        }


def request_of(generation: Generation, seed: int) -> SampleRequest:
    """What is generated for metrics; the same at every step."""
    return SampleRequest(
        count=generation.samples,
        seed=seed if generation.seed is None else generation.seed,
        prompts=generation.prompts,
        max_tokens=generation.max_tokens,
        temperature=generation.temperature,
        top_k=generation.top_k,
        top_p=generation.top_p,
        min_p=generation.min_p,
        repetition_penalty=generation.repetition_penalty,
    )


def kind_of(extractor: spec_of.Extractor) -> Kind:
    """What a job says that the file of an extractor is."""
    if extractor.type == "Timm":
        return Timm(extractor.model or "")
    return Onnx() if extractor.type == "ONNX" else Network()


def placed(uri: str, base: Path) -> str:
    """A URI of a job file, from anywhere: relative paths start from its folder."""
    return uri if "://" in uri and not uri.startswith("file://") else str(local_path(uri, base))


class _TrainImages:
    """Images of the training split, in the order of the first epoch."""

    def __init__(self, data: Dataset) -> None:
        self._data, self.count = data, data.samples_per_epoch

    def of(self, numbers: range) -> Tensor:
        return torch.from_numpy(self._data.train_batch(numbers).arrays["images"])


class _ValidationImages:
    """Images of the validation split, in its order; kept, since it is read as a whole."""

    def __init__(self, data: Dataset) -> None:
        parts = [torch.from_numpy(batch.arrays["images"]) for batch in data.validation_batches(256)]
        self._images = torch.cat(parts)
        self.count = len(self._images)

    def of(self, numbers: range) -> Tensor:
        return self._images[numbers.start : numbers.stop]


def _suits(metrics: Sequence[Metric], extractor: Extractor) -> None:
    scored = [metric.name for metric in metrics if metric.type == "ClassifierScore"]
    if scored and not extractor.classes:
        raise InputError(
            f"the extractor {extractor.name} is not a classifier, and {scored[0]} is made of probabilities of classes",
            where="spec.evaluation.generation.extractor",
            remedy="Name an extractor with classes, or remove the metric.",
        )


def _are_enough(metrics: Sequence[Metric], count: int) -> None:
    """Says at once what would otherwise end a run at its first evaluation, which may be its last step.

    Args:
        metrics: What is measured.
        count: Real images; at least as many are generated.
    """
    for metric in metrics:
        least = 1 + ((metric.neighbours or NEIGHBOURS) if metric.type in NEIGHBOURHOOD else 1)
        if count < least:
            raise InputError(
                f"{metric.name} needs at least {least} real images and as many generated ones, and is given {count}",
                where="spec.evaluation.metrics",
                remedy="Raise spec.evaluation.generation.samples, give more images, or remove the metric.",
            )


def _or_none(compute: Callable[[Tensor], dict[str, float]], chosen: Tensor) -> dict[str, float]:
    """Values of a part of the samples; none where these are too few, as all of them are not."""
    try:
        return compute(chosen)
    except InputError:
        return {}


def _told(metrics: Sequence[Metric], real: Embedded, made: Embedded) -> dict[str, float]:
    try:
        return image_values(metrics, real, made)
    except ValueError as error:
        raise InputError(
            str(error),
            where="spec.evaluation.metrics",
            remedy="Raise spec.evaluation.generation.samples, or remove the metric; where features are not finite, use another extractor.",
        ) from error
