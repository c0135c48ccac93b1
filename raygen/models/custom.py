"""A model family of the user's own, held to the protocol: what breaks it is said at once, with the clause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from raygen.errors import ExportError, InputError, ModelError, RaygenError
from raygen.models.blame import blamed
from raygen.models.draws import Draws
from raygen.models.protocol import (
    Batch,
    Domain,
    Family,
    HuggingFaceModel,
    MicroBatch,
    ParameterGroups,
    Sample,
    SampleRequest,
    Update,
    Workers,
    sort_parameters,
)
from raygen.spec import Custom, ResolvedJob

T = TypeVar("T")

WHERE = "spec.model.custom.entrypoint"
SUMS = ("loss", "count")
METRIC_SUMS = {"BitsPerByte": "bytes", "BitsPerDim": "dimensions"}
"""What `evaluate` must give for a type of metric besides `SUMS`."""
PNG = b"\x89PNG\r\n\x1a\n"
"""How every PNG file begins."""
REQUIRED = ("step", "evaluate", "sample")
"""Methods that a custom class must have; `generate`, `parameter_groups` and `huggingface` have defaults."""


class Watched:
    """An update that remembers whether it was applied.

    Attributes:
        applied: Whether gradients were added and then applied.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._has_gradients = False
        self.applied = False

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds gradients."""
        self._has_gradients = True
        self._update.backward(loss, last=last)

    def step(self) -> Tensor:
        """Applies them."""
        self.applied = self.applied or self._has_gradients
        self._has_gradients = False
        return self._update.step()


class CustomFamily:
    """A user's family, its answers checked.

    Attributes:
        networks: The user's.
    """

    def __init__(self, inner: Any, entrypoint: str, sums: Sequence[str] = SUMS) -> None:
        self._inner: Family = inner
        self._entrypoint = entrypoint
        self._sums = sums
        self._shapes: dict[str, dict[str, torch.Size]] = {}
        self.networks: Mapping[str, nn.Module] = dict(inner.networks)
        self._parameters = _parameters(inner.networks)

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """The user's step.

        Raises:
            ModelError: it raised an error, or gave something else than scalars with a loss among them.
        """
        watched = {name: Watched(update) for name, update in updates.items()}
        scalars = self._call(lambda: self._inner.step(micro_batches, watched, workers), "step")
        if not any(one.applied for one in watched.values()):
            raise self._broken(
                "step has trained nothing: it called `backward` and then `step` of none of its updates",
                'Call updates["name"].backward(loss) for each micro-batch, then updates["name"].step().',
            )
        if _parameters(self._inner.networks) != self._parameters:
            raise self._broken(
                "step has replaced networks or parameters, which the optimizers do not know",
                "Make all networks and parameters when the class is made, and change their values alone.",
            )
        self._check_tensors(scalars, "step", "loss")
        wrong = [name for name, value in scalars.items() if value.numel() != 1]
        if wrong:
            raise self._broken(
                f"step gives {wrong[0]!r} with {scalars[wrong[0]].numel()} values", "Give scalars."
            )
        return {name: value.detach().reshape(()) for name, value in scalars.items()}

    def change(self, job: ResolvedJob) -> None:
        """Nothing: of a job with a model of the user's own the numbers of optimizers alone may change."""

    def compile(self, options: Mapping[str, Any]) -> None:
        """Compiles every network, wherever the user's code calls it."""
        for network in self.networks.values():
            network.compile(**options)

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:
        """The user's sums; a method that takes no weights is enough where no sample has one.

        Raises:
            ModelError: it raised an error, takes no weights where there are some, or gave something else than tensors with
                loss and count among them.
        """
        if weights is not None and not _takes(self._inner.evaluate, batch, draws, weights):
            raise self._broken(
                "evaluate takes no weights, which samples of the validation split have",
                "Write evaluate(self, batch, draws, weights=None), and multiply what each sample adds by its weight.",
            )
        given = () if weights is None else (weights,)
        sums = self._call(lambda: self._inner.evaluate(batch, draws, *given), "evaluate")
        self._check_tensors(sums, "evaluate", *self._sums)
        wrong = [name for name in self._sums if sums[name].numel() != 1]
        if wrong:
            raise self._broken(
                f"evaluate gives {wrong[0]!r} with {sums[wrong[0]].numel()} values",
                "Add them up over the batch.",
            )
        return sums

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        """What the user's family generates; nothing without such a method.

        Raises:
            ModelError: it raised an error, or gave something else than tensors with a row for each sample.
        """
        own = getattr(self._inner, "generate", None)
        if own is None:
            return {}
        made: Batch = self._call(lambda: own(request, samples), "generate")
        if not isinstance(made, dict) or not all(
            isinstance(name, str) and isinstance(value, Tensor) and value.shape[:1] == (len(samples),)
            for name, value in made.items()
        ):
            raise self._broken(
                f"generate gives no dict of tensors with {len(samples)} rows, one for each sample",
                "Return {'images': tensor} or {'tokens': tensor}.",
            )
        return made

    def sample(self, request: SampleRequest) -> list[Sample]:
        """The user's samples.

        Raises:
            ModelError: it raised an error, or gave something else than a list of `Sample`.
        """
        samples = self._call(lambda: self._inner.sample(request), "sample")
        if not isinstance(samples, list) or not all(isinstance(one, Sample) for one in samples):
            raise self._broken(
                "sample does not return a list of Sample", "Return raygen.models.protocol.Sample objects."
            )
        for one in samples:
            if not (
                isinstance(one.prompt, str)
                and isinstance(one.text, str | None)
                and isinstance(one.png, bytes | None)
                and isinstance(one.finished, str | None)
            ):
                raise self._broken(
                    "a Sample has fields of other types",
                    "Give prompt, text and finished as str, and png as bytes.",
                )
            if one.png is not None and not one.png.startswith(PNG):
                raise self._broken(
                    "a Sample's png is not a PNG file", "Make it with raygen.models.pictures.grid."
                )
        return samples

    def parameter_groups(self, network: str) -> ParameterGroups:
        """The user's sorting, or the usual one."""
        own = getattr(self._inner, "parameter_groups", None)
        if own is None:
            return sort_parameters(self.networks[network])
        groups = self._call(lambda: own(network), "parameter_groups")
        if isinstance(groups, ParameterGroups):
            placed = [id(p) for part in vars(groups).values() for p in part.values()]
            parameters = list(self.networks[network].parameters())
            trained = {id(p) for p in parameters if p.requires_grad}
            if trained <= set(placed) <= {id(p) for p in parameters} and len(set(placed)) == len(placed):
                return groups
        raise self._broken(
            f"parameter_groups({network!r}) does not sort all parameters into one group each",
            "Return ParameterGroups with every parameter once, or leave the method out.",
        )

    def huggingface(self) -> HuggingFaceModel:
        """The user's export.

        Raises:
            ExportError: there is none.
            ModelError: it raised an error.
        """
        own = getattr(self._inner, "huggingface", None)
        if own is None:
            raise ExportError(
                f"{self._entrypoint}: it has no method huggingface",
                where=WHERE,
                remedy="Add one, or use `raygen sample`.",
            )
        model: HuggingFaceModel = self._call(own, "huggingface")
        return model

    def _call(self, act: Callable[[], T], what: str) -> T:
        with explained(self._entrypoint, what):
            return act()

    def _check_tensors(self, found: Any, method: str, *needed: str) -> None:
        if not isinstance(found, dict) or not all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
        ):
            raise self._broken(f"{method} gives no dict of tensors by name", "Return {'loss': tensor, ...}.")
        absent = [name for name in needed if name not in found]
        if absent:
            raise self._broken(f"{method} gives no {absent[0]!r}", f"Add {absent[0]!r} to what it returns.")
        unreal = [name for name, value in found.items() if value.is_complex()]
        if unreal:
            raise self._broken(f"{method} gives {unreal[0]!r} as complex numbers", "Give real ones.")
        shapes = {name: value.shape for name, value in found.items()}
        first = self._shapes.setdefault(method, shapes)
        if shapes != first:
            raise self._broken(
                f"{method} gives {_described(shapes)}, and gave {_described(first)} before",
                "Return the same names with the same shapes every time; a sum has no dimension of samples.",
            )

    def _broken(self, what: str, remedy: str) -> ModelError:
        return ModelError(f"{self._entrypoint}: {what}", where=WHERE, remedy=remedy)


def _takes(method: Callable[..., object], *given: object) -> bool:
    """Whether a method can be called with these arguments."""
    try:
        signature(method).bind(*given)
    except TypeError:
        return False
    return True


def _parameters(networks: Mapping[str, nn.Module]) -> dict[str, list[int]]:
    """The identities of all parameters, by network."""
    return {name: [id(p) for p in network.parameters()] for name, network in networks.items()}


def _described(shapes: Mapping[str, torch.Size]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


@contextmanager
def explained(entrypoint: str, what: str) -> Iterator[None]:
    """Errors of the user's code become a ModelError that names its line."""
    try:
        yield
    except (RaygenError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{entrypoint}: {what} raised {type(error).__name__}: {error}",
            where=blamed(error, {_package(entrypoint)}),
            remedy="Correct the model's code; the run goes on from its newest checkpoint.",
        ) from error


def build(job: ResolvedJob, domain: Domain, device: torch.device) -> CustomFamily:
    """Makes the user's family: Class(job, domain, device), its weights drawn from the job's seed.

    Raises:
        InputError: there is no such class, it lacks a part of the protocol, or making it raised an error.
    """
    custom = job.spec.model.block
    if not isinstance(custom, Custom):
        raise TypeError("the job's model is not a custom one")
    factory = _class(custom.entrypoint)
    with _unfit_if_it_fails(), explained(custom.entrypoint, "making it"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.spec.training.seed)
        inner = factory(job, domain, device)
    networks = getattr(inner, "networks", None)
    if (
        not isinstance(networks, Mapping)
        or not networks
        or not all(
            isinstance(name, str) and isinstance(network, nn.Module) for name, network in networks.items()
        )
    ):
        raise _unfit(
            custom.entrypoint, "its attribute `networks` is not a mapping from names to torch modules"
        )
    for name, network in networks.items():
        if not any(p.requires_grad for p in network.parameters()):
            raise _unfit(custom.entrypoint, f"its network {name!r} has nothing to train")
    for method in REQUIRED:
        if not callable(getattr(inner, method, None)):
            raise _unfit(custom.entrypoint, f"it has no method `{method}`")
    asked = [METRIC_SUMS[m.type] for m in job.spec.evaluation.metrics if m.type in METRIC_SUMS]
    family = CustomFamily(inner, custom.entrypoint, [*SUMS, *asked])
    with _unfit_if_it_fails():
        for name in networks:
            family.parameter_groups(name)
    return family


@contextmanager
def _unfit_if_it_fails() -> Iterator[None]:
    """What fails before the first step is wrong input, not a failed run."""
    try:
        yield
    except ModelError as error:
        remedy = "Correct the model's code, or spec.model.custom.parameters."
        raise InputError(error.what, where=error.where, remedy=remedy) from error


def _class(entrypoint: str) -> Any:
    module_name, _, name = entrypoint.partition(":")
    try:
        with explained(entrypoint, f"importing {module_name}"):
            module = import_module(module_name)
    except ModelError as error:
        cause = error.__cause__
        if not isinstance(cause, ModuleNotFoundError) or not cause.name:
            raise
        if f"{module_name}.".startswith(f"{cause.name}."):
            raise InputError(
                f"there is no module {module_name!r}",
                where=WHERE,
                remedy="Put it beside the job file, or give its package.",
            ) from error
        raise InputError(
            f"{entrypoint}: {module_name} imports {cause.name!r}, and there is no such module",
            where=error.where,
            remedy="Install it wherever the job runs, or put it beside the job file.",
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise InputError(
            f"the module {module_name!r} has no class {name!r}",
            where=WHERE,
            remedy="Name the class as module:Class.",
        )
    return found


def _package(entrypoint: str) -> str:
    """The top-level name of the module that holds the class."""
    return entrypoint.partition(":")[0].partition(".")[0]


def _unfit(entrypoint: str, why: str) -> InputError:
    return InputError(
        f"{entrypoint} is not a model family: {why}",
        where=WHERE,
        remedy="Follow raygen.models.protocol.Family; examples/04-custom-model.yaml has one to copy.",
    )
