"""The space that a sweep searches: its domains, checked against the template, and the job that values make."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic.alias_generators import to_camel

from raygen.errors import ValidationError
from raygen.spec.job.training_job import KIND, TrainingJob, parse
from raygen.spec.names import API_VERSION
from raygen.spec.schema.faults import Fault, Location, bare_fault, fault, shown, spelled
from raygen.spec.schema.fields import Shape
from raygen.spec.schema.paths import WrongPathError, assign
from raygen.spec.sweep.domains import Domain, Real, Values, domain_of, is_number, same
from raygen.spec.sweep.parameters import Condition, Parameter
from raygen.spec.sweep.population import population_faults
from raygen.spec.sweep.search import POPULATION
from raygen.spec.sweep.sweep import Sweep
from raygen.spec.sweep.template import OF_THE_SWEEP

MAX_GRID = 100_000
"""Points of a grid; as many as a budget may have trials."""
_TRIED = 64
"""Points that are drawn and looked at before anything runs; if none makes a job, nothing in the space does, most likely."""
_ALL_OF = 1000
"""Points of a space of which all are looked at."""
_JUDGES = ("evaluation.metrics",)
_LENGTHS = ("evaluation.everySteps", "training.duration.steps")
_STOPPING = "training.earlyStopping"
_ELSEWHERE = ("output", "scale", *map(to_camel, OF_THE_SWEEP))
"""Where a job runs."""
_WRITES_BLOCKS = ("object", "list", "map")


class Space:
    """What a sweep varies.

    Args:
        sweep: The sweep.
        where: Its file, for messages.
        tries: Whether to look for a point that makes a valid job: for those who wait for the answer, and not for who looks after the
            sweeps of others, of which some may take long.

    Attributes:
        domains: The values of each parameter that does not follow another one, in the file's order.

    Raises:
        ValidationError: parameters do not fit the template or each other; holds every fault.
    """

    def __init__(self, sweep: Sweep, where: str = "", *, tries: bool = True) -> None:
        spec = sweep.spec
        self._name = sweep.metadata.name
        self._template = spec.template.spec.model_dump(mode="json", exclude_unset=True)
        self._parameters = {one.path: one for one in spec.parameters}
        self._scheduler = spec.scheduler
        self._taken: dict[str, Location] = {}
        self._linked = tuple(one for one in spec.parameters if one.type == "Linked")
        faults = list(self._faults())
        self.domains: tuple[Domain, ...] = ()
        if not faults:
            self.domains = tuple(domain_of(one) for one in spec.parameters if one.type != "Linked")
            self._order = self._by_condition()
            faults = list(self._wrong_points(spec.starting_points))
            faults += self._no_job(spec.starting_points, spec.seed) if tries else ()
            if spec.search.type == "Grid" and self.size > MAX_GRID:
                faults.append(self._too_large())
            faults += self._too_few(spec.search.type)
        if faults:
            raise ValidationError(faults, where=where, noun=sweep.noun)

    @property
    def size(self) -> int:
        """Points of its grid; conditions make some of them the same."""
        return math.prod(one.points if isinstance(one, Real) else len(one.listed) for one in self.domains)

    @property
    def is_listed(self) -> bool:
        """Whether a grid has all of its points."""
        return not any(isinstance(one, Real) for one in self.domains)

    @property
    def ordered(self) -> tuple[Domain, ...]:
        """The domains, each behind that which it depends on."""
        return self._order

    def takes_part(self, domain: Domain, values: Values) -> bool:
        """Whether a parameter takes part, given the values of those that it depends on."""
        return domain.when is None or _holds(domain.when, values)

    def at(self, units: Mapping[str, float]) -> dict[str, Any]:
        """The values at places from 0 to 1, by path; of those that take part alone."""
        values: dict[str, Any] = {}
        for domain in self._order:
            if self.takes_part(domain, values):
                values[domain.path] = domain.at(units[domain.path])
        return {one.path: values[one.path] for one in self.domains if one.path in values}

    def completed(self, given: Values) -> dict[str, Any]:
        """Values of a starting point: what it leaves out is the template's, if that lies in the space, else the middle."""
        values: dict[str, Any] = {}
        for domain in self._order:
            if not self.takes_part(domain, values):
                continue
            value = given.get(domain.path, self._in_template(domain.path))
            values[domain.path] = value if value in domain else domain.at(0.5)
        return {one.path: values[one.path] for one in self.domains if one.path in values}

    def job(self, values: Values, name: str) -> TrainingJob:
        """The job that these values make of the template.

        Args:
            values: As `at` gives them.
            name: Of the job and its run.

        Raises:
            ValidationError: together they make no valid job.
        """
        return parse(self.document(values, name))

    def document(self, values: Values, name: str) -> dict[str, Any]:
        """The same as JSON values, unchecked."""
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "spec": copy.deepcopy(self._template),
        }
        for domain in self.domains:
            assign(document, domain.path, copy.deepcopy(values.get(domain.path)), TrainingJob)
        for one in self._linked:
            value = values.get(str(one.of)) if one.when is None or _holds(one.when, values) else None
            _, shape = assign(document, one.path, value, TrainingJob)
            if value is not None and one.factor is not None:
                scaled = value * one.factor
                assign(document, one.path, round(scaled) if shape.kind == "whole" else scaled, TrainingJob)
        return document

    def written(self, values: Values) -> dict[str, Any]:
        """The value of each field that these values decide, by its path below the spec; Linked ones too."""
        document = self.document(values, self._name)
        return {spelled(place[1:]): _at(document, place) for place in self._taken.values()}

    def _in_template(self, path: str) -> Any:
        place = {"spec": copy.deepcopy(self._template)}
        location, _ = assign(place, path, None, TrainingJob)
        return _at({"spec": self._template}, location)

    def _by_condition(self) -> tuple[Domain, ...]:
        """The domains, each behind that which it depends on; conditions have no rings."""
        ordered: list[Domain] = []
        left = list(self.domains)
        while left:
            known = {one.path for one in ordered}
            ready = [one for one in left if one.when is None or one.when.path in known]
            ordered += ready
            left = [one for one in left if one not in ready]
        return tuple(ordered)

    def _faults(self) -> Iterator[Fault]:
        for number, one in enumerate(self._parameters.values()):
            place: Location = ("spec", "parameters", number)
            try:
                location, shape = assign({"spec": copy.deepcopy(self._template)}, one.path, None, TrainingJob)
            except WrongPathError as wrong:
                rule = f"leads nowhere in the template: {wrong.fault.rule}"
                yield fault((*place, "path"), one.path, rule, wrong.fault.remedy)
                continue
            yield from self._conflicts(location, one, place)
            if location[1] in _ELSEWHERE:
                rule = "is where a job runs, not what it trains"
                yield fault(
                    (*place, "path"), one.path, rule, "Remove the parameter; give the template the value."
                )
            yield from self._unlike(one, shape, place)
            yield from self._conditions(one, place)
            if self._scheduler.has_population:
                yield from population_faults(one, spelled(location[1:]), place)

    def _conflicts(self, location: Location, one: Parameter, place: Location) -> Iterator[Fault]:
        """Faults of a field that another parameter sets as well, or that the sweep itself relies on."""
        for other, taken in self._taken.items():
            if taken[: len(location)] == location or location[: len(taken)] == taken:
                rule = f"is a field, or a part of one, that the parameter {other} sets as well"
                yield fault((*place, "path"), one.path, rule, "Remove one of the two.")
        self._taken[one.path] = location
        path = ".".join(str(part) for part in location[1:])
        fixed = list(_JUDGES) if self._scheduler.type == "Full" else [*_JUDGES, *_LENGTHS]
        names_metric = path.startswith("evaluation.metrics.") and path.endswith(".name")
        if (
            names_metric
            or any(f"{known}.".startswith(f"{path}.") for known in fixed)
            or path.startswith(_STOPPING)
        ):
            rule = "is what trials are compared by, and must be the same for all"
            yield fault(
                (*place, "path"), one.path, rule, "Remove the parameter; give the template the value."
            )

    def _unlike(self, one: Parameter, shape: Shape, place: Location) -> Iterator[Fault]:
        """Faults of values that the field cannot have."""
        if one.type == "Choice" and one.values is not None:
            for number, value in enumerate(one.values):
                at = (*place, "values", number)
                if not _fits(shape, value):
                    yield fault(at, value, f"must be {shape.words}, as {one.path} is", "Change or remove it.")
                elif any(same(value, before) for before in one.values[:number]):
                    yield fault(at, value, "is there already", "Remove one of the two.")
        elif one.type in ("Real", "Integer"):
            allowed = ("number",) if one.type == "Real" else ("number", "whole")
            if shape.kind not in allowed:
                rule = f"belongs to fields that hold a number; {one.path} must be {shape.words}"
                remedy = "Use type: Integer." if shape.kind == "whole" else "Use type: Choice."
                yield fault((*place, "type"), one.type, rule, remedy)
                return
            for name, bound in (("low", one.low), ("high", one.high)):
                value = int(bound) if bound is not None and shape.kind == "whole" else bound
                if value is not None and not _fits(shape, value):
                    rule = f"must be {shape.words}, as {one.path} is"
                    yield fault((*place, name), value, rule, "Choose a value in this range.")

    def _conditions(self, one: Parameter, place: Location) -> Iterator[Fault]:
        """Faults of what refers to other parameters."""
        if one.type == "Linked":
            followed = self._parameters.get(str(one.of))
            if followed is None or followed.type == "Linked":
                rule = "must be the path of a parameter that is not Linked itself"
                yield fault((*place, "of"), one.of, rule, "Name one of spec.parameters.")
            elif one.factor is not None and followed.type == "Choice" and not _all_numbers(followed):
                rule = f"belongs to numbers, and {one.of} has other values"
                yield fault((*place, "factor"), one.factor, rule, "Remove it.")
        if one.when is None:
            return
        decides = self._parameters.get(one.when.path)
        at = (*place, "when", "path")
        if decides is None or decides.type != "Choice" or decides.values is None:
            rule = "must be the path of a parameter of type Choice"
            yield fault(at, one.when.path, rule, "Name one of spec.parameters.")
            return
        if one.path in self._chain(one):
            rule = "must not depend, over other conditions, on itself"
            yield fault(at, one.when.path, rule, "Remove one of the conditions.")
        for number, value in enumerate(one.when.values):
            if not any(same(value, known) for known in decides.values):
                listed = ", ".join(shown(known) for known in decides.values[:8])
                rule = f"is not a value that {decides.path} takes: {listed}"
                yield fault((*place, "when", "values", number), value, rule, "Choose one of them.")

    def _chain(self, one: Parameter) -> list[str]:
        """What it depends on, over all conditions."""
        chain: list[str] = []
        while one.when is not None and one.when.path in self._parameters and one.when.path not in chain:
            chain.append(one.when.path)
            one = self._parameters[one.when.path]
        return chain

    def _wrong_points(self, points: Any) -> Iterator[Fault]:
        """Faults of starting points."""
        known = {one.path: one for one in self.domains}
        for number, point in enumerate(points):
            place = ("spec", "startingPoints", number, "values")
            for path, value in point.values.items():
                if path not in known:
                    remedy = f"Name one of {', '.join(known)}."
                    yield bare_fault((*place, path), "is under a name that is not a parameter", remedy)
                elif value not in known[path]:
                    yield fault((*place, path), value, "lies outside of the parameter's values", "Change it.")
            for path in known.keys() - point.values.keys():
                value = self._in_template(path)
                if value is not None and value not in known[path] and path in self.completed(point.values):
                    rule = f"leaves {path} to the template, whose value {shown(value)} the parameter does not have"
                    yield bare_fault(
                        place, rule, "Give the point a value of its own, or the parameter that one."
                    )

    def _no_job(self, points: Any, seed: int) -> Iterator[Fault]:
        """The fault of a space in which no point makes a job."""
        first: ValidationError | None = None
        for values in self._looked_at(points, seed):
            try:
                self.job(values, self._name)
            except ValidationError as error:
                first = first or error
            else:
                return
        if first is not None:
            one = first.faults[0]
            rule = f"make no valid job in any of the places looked at; in the first, {one.path} {one.rule}"
            yield bare_fault(("spec", "parameters"), rule, one.remedy)

    def _looked_at(self, points: Any, seed: int) -> Iterator[dict[str, Any]]:
        """Points that show whether a space has a valid one: the template's, those to start with, drawn ones; of a small space all."""
        yield self.completed({})
        yield from (self.completed(point.values) for point in points)
        draw = random.Random(seed)
        for _ in range(_TRIED):
            yield self.at({one.path: draw.random() for one in self.domains})
        if self.is_listed and self.size <= _ALL_OF:
            for chosen in product(*(one.listed for one in self.domains)):
                values = dict(zip((one.path for one in self.domains), chosen, strict=True))
                yield {one.path: values[one.path] for one in self.domains if self.takes_part(one, values)}

    def _too_few(self, search: str) -> Iterator[Fault]:
        """Faults of a space without a point for each member of a population."""
        members = self._scheduler.population or POPULATION
        if self._scheduler.has_population and (self.is_listed or search == "Grid") and self.size < members:
            rule = f"must be at most the number of points in the space, {self.size}"
            yield fault(("spec", "scheduler", "population"), members, rule, "Lower it, or add values.")

    def _too_large(self) -> Fault:
        rule = f"has {self.size:,} points, more than {MAX_GRID:,}"
        remedy = "Give fewer points or values, or a larger step; or choose another search, such as TPE."
        return Fault(spelled(("spec", "search")), '"Grid"', rule, remedy)


def _at(document: Any, location: Location) -> Any:
    """What a document has at a location; None where it has nothing."""
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _holds(condition: Condition, values: Values) -> bool:
    return condition.path in values and any(same(values[condition.path], one) for one in condition.values)


def _all_numbers(parameter: Parameter) -> bool:
    return all(is_number(one) for one in parameter.values or ())


def _fits(shape: Shape, value: Any) -> bool:
    """Whether a field may hold a value by itself, whatever the others are; blocks are checked with their job."""
    if value is None:
        return shape.nullable
    if shape.kind in _WRITES_BLOCKS:
        return isinstance(value, list) == (shape.kind == "list") and isinstance(value, list | dict)
    if shape.kind == "truth":
        return isinstance(value, bool)
    if shape.kind == "choice":
        return value in shape.choices
    if shape.kind == "text":
        return isinstance(value, str)
    if not is_number(value):
        return False
    if shape.kind == "whole" and not float(value).is_integer():
        return False
    bounds = shape.bounds
    return bool(
        value >= bounds.get("ge", -math.inf)
        and value > bounds.get("gt", -math.inf)
        and value <= bounds.get("le", math.inf)
        and value < bounds.get("lt", math.inf)
    )
