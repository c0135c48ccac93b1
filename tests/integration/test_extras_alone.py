"""The wheel with each extra alone: what works, what is refused, and what is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections import deque
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "01-gpt-tiny.yaml"
TRAINING = ("torch", "tokenizers", "safetensors", "ray", "kubernetes")

HIDE = """
import sys
from importlib.machinery import PathFinder


class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)


sys.meta_path[:] = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""
"""A sitecustomize.py that makes top-level packages as good as not installed."""

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]


def run(*command: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    # Not in the checkout, where Python would import the package from the working directory.
    done = subprocess.run([*map(str, command)], cwd="/", capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def uv() -> Path:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("needs uv")
    return Path(found)


@pytest.fixture(scope="module")
def wheel(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


class Environment:
    """A virtual environment of its own."""

    def __init__(self, uv: Path, folder: Path) -> None:
        self._uv = uv
        self.folder = folder
        run(uv, "venv", "--quiet", "--python", sys.executable, folder)

    def install(self, *arguments: str | Path) -> None:
        options: list[str | Path] = ["--quiet", "--python", self.folder / "bin" / "python"]
        run(self._uv, "pip", "install", *options, "--constraint", ROOT / "constraints.txt", *arguments)

    def python(self, program: str, *arguments: str | Path) -> str:
        return run(self.folder / "bin" / "python", "-c", program, *arguments).stdout

    def raygen(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run(self.folder / "bin" / "raygen", *arguments, code=code)
        assert "Traceback" not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module", params=["", "s3", "wandb", "mlflow"], ids=["base", "s3", "wandb", "mlflow"])
def without_training(
    request: pytest.FixtureRequest, uv: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """An environment with the wheel and one extra that is not `train`."""
    environment = Environment(uv, tmp_path_factory.mktemp(request.param or "base") / "venv")
    environment.install(f"{wheel}[{request.param}]" if request.param else wheel)
    return environment


def test_the_wheel_holds_the_licence_and_nothing_but_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"raygen"}


def test_jobs_are_checked_without_the_training_packages(without_training: Environment) -> None:
    program = (
        "import sys; from importlib.util import find_spec; from raygen.cli.main import main;"
        f" there = [name for name in {TRAINING} if find_spec(name)];"
        f" code = main(['validate', sys.argv[1]]);"
        f" print(code, there, sorted(set(sys.modules) & {{*{TRAINING}, 'numpy'}}))"
    )
    lines = without_training.python(program, EXAMPLE).splitlines()
    assert lines[-1] == "0 [] []"


def test_help_version_and_validate_run(without_training: Environment) -> None:
    assert "validate" in without_training.raygen("--help").stdout
    versions = json.loads(without_training.raygen("version", "--json").stdout)
    assert versions["raygen"]
    assert versions["torch"] == "not installed"
    assert "gpt-tiny" in without_training.raygen("validate", EXAMPLE).stdout


def test_the_operator_needs_the_extra_operator(uv: Path, wheel: Path, tmp_path: Path) -> None:
    environment = Environment(uv, tmp_path / "venv")
    environment.install(f"{wheel}[operator]")
    nowhere = ["--kubeconfig", tmp_path / "none"]
    done = environment.raygen("operator", *nowhere, code=1)
    assert "there is no cluster to talk to" in done.stderr
    assert "Set KUBECONFIG" in done.stderr
    program = (
        "import sys; from importlib.util import find_spec; import raygen.operator.kinds, raygen.operator.process;"
        f" print([name for name in {TRAINING} if find_spec(name)], 'numpy' in sys.modules)"
    )
    assert environment.python(program).splitlines()[-1] == "['kubernetes'] False"


def test_without_the_extra_operator_it_says_what_to_install(without_training: Environment) -> None:
    assert "pip install 'raygen[operator]'" in without_training.raygen("operator", code=2).stderr


@pytest.mark.parametrize("verb", ["train", "plan"])
def test_what_needs_training_says_what_to_install(
    without_training: Environment, verb: str, tmp_path: Path
) -> None:
    output: list[str | Path] = ["--output", tmp_path] if verb == "train" else []
    done = without_training.raygen(verb, EXAMPLE, *output, code=2)
    assert "pip install 'raygen[train]'" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_training_needs_the_extra_train_and_nothing_else(uv: Path, wheel: Path, tmp_path: Path) -> None:
    """The wheel beside this environment's packages, those outside the extra's reach hidden.

    Installing PyTorch once more would prove the same for some gigabytes.
    """
    environment = Environment(uv, tmp_path / "venv")
    environment.install("--no-deps", wheel)
    packages = Path(environment.python("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    hidden = outside("train")
    assert {"pytest", "transformers", "tensorboard"} <= hidden
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(f"HIDDEN = {sorted(hidden)!r}\n{HIDE}")

    changes = ["training.duration.steps=2", "evaluation.samples.maxTokens=4", "evaluation.everySteps=2"]
    options = [part for change in changes for part in ("--set", change)]
    done = environment.raygen("train", EXAMPLE, "--output", tmp_path / "runs", "--json", *options)
    assert json.loads(done.stdout)["state"] == "Succeeded"
    assert (tmp_path / "runs" / "gpt-tiny" / "report.html").stat().st_size > 0
    refused = environment.raygen("train", EXAMPLE, "--output", "s3://bucket/runs", code=2)
    assert "pip install 'raygen[s3]'" in refused.stderr
    used = environment.python("import raygen; print(raygen.__file__)").strip()
    assert Path(used).is_relative_to(environment.folder)


def outside(extra: str) -> set[str]:
    """Importable names here that `raygen[extra]` does not bring along."""
    inside = reach(extra)
    return {
        name
        for name, owners in packages_distributions().items()
        if name.isidentifier() and not inside & {canonicalize_name(owner) for owner in owners}
    }


def reach(extra: str) -> set[str]:
    """Distributions that `raygen[extra]` brings along, itself included."""
    found: set[tuple[str, str]] = set()
    waiting = deque([("raygen", extra), ("raygen", "")])
    while waiting:
        distribution, chosen = waiting.popleft()
        if (distribution, chosen) in found:
            continue
        found.add((distribution, chosen))
        for line in requires(distribution) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": chosen}):
                name = canonicalize_name(requirement.name)
                waiting.extend((name, wanted) for wanted in ("", *requirement.extras))
    return {distribution for distribution, _ in found}
