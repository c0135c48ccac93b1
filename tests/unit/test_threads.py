"""What PyTorch's threads do while they wait, as libgomp itself says."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from raygen.threads import set_waiting, waiting

PROGRAM = "import sys, ctypes, {module}; assert 'torch' not in sys.modules; ctypes.CDLL(sys.argv[1])"


def libgomp() -> str:
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    (library,) = (Path(spec.origin).parent / "lib").glob("libgomp*.so*")
    return str(library)


def settings(module: str, **own: str) -> dict[str, str]:
    """What libgomp has read when it is loaded after a module, as torch loads it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module), libgomp()],
        env={**inherited, "OMP_DISPLAY_ENV": "verbose", **own},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.partition("=") for line in done.stderr.splitlines() if "=" in line)
    return {name.split()[-1]: value.strip(" '") for name, _, value in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="torch has libgomp on Linux alone")
@pytest.mark.parametrize("module", ["raygen", "raygen.cli.main"])
def test_threads_soon_sleep(module: str) -> None:
    assert settings(module)["GOMP_SPINCOUNT"] == "2000"


@pytest.mark.skipif(sys.platform != "linux", reason="torch has libgomp on Linux alone")
@pytest.mark.parametrize(
    ("own", "spins"),
    [({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_the_users_own_setting_stays(own: dict[str, str], spins: str) -> None:
    assert settings("raygen", **own)["GOMP_SPINCOUNT"] == spins


def test_workers_elsewhere_get_what_the_driver_has() -> None:
    environment = {"PATH": "bin"}
    set_waiting(environment)
    assert waiting(environment) == {"GOMP_SPINCOUNT": "2000"}
    own = {"PATH": "bin", "OMP_WAIT_POLICY": "ACTIVE"}
    set_waiting(own)
    assert waiting(own) == {"OMP_WAIT_POLICY": "ACTIVE"}
