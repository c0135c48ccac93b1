"""What every benchmark shares: the machine, the record of a result, and how numbers are put together."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygen import Result

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
RESULTS = FOLDER / "results"
JOBS = FOLDER / "jobs"
TEXT = ROOT / "examples" / "data" / "tinyshakespeare.txt"
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
PACKAGES = ("raygen", "torch", "numpy", "safetensors", "tokenizers", "pydantic")


AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
"""Holds PyTorch and its libraries to AVX2; how far that goes stands in processors.py."""


def write_result(name: str, document: Mapping[str, Any], out: Path | None = None) -> Path:
    """Writes `document` and what it was measured with to results/NAME.json, or to `out`."""
    path = out or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**conditions(), **document}, indent=2) + "\n")
    print(f"wrote {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}", flush=True)
    return path


def read_result(name: str) -> dict[str, Any]:
    """What `write_result` wrote, or an empty document."""
    path = RESULTS / f"{name}.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return document


def conditions() -> dict[str, Any]:
    """Command, date, commit, machine and versions; no name of a host, user or folder outside the repository."""
    script = Path(sys.argv[0]).resolve()
    shown = script.relative_to(ROOT) if script.is_relative_to(ROOT) else Path(script.name)
    return {
        "command": shlex.join(["python", str(shown), *map(_without_folder, sys.argv[1:])]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """The processor, its cores, its memory, and what it can do in BFloat16."""
    lines = _read(Path("/proc/cpuinfo")).splitlines()
    first = dict(line.replace("\t", "").split(":", 1) for line in lines[: _first_empty(lines)] if ":" in line)
    flags = first.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": first.get("model name", platform.processor()).strip(),
        "family": first.get("cpu family", "").strip(),
        "model": first.get("model", "").strip(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "bfloat16": [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags],
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        **({"gpu": found} if (found := gpu()) else {}),
    }


def gpu() -> dict[str, str]:
    """The first GPU's name, its memory, and the versions of driver and CUDA; empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return {}
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    if not lines:
        return {}
    import torch  # late, since few benchmarks need it

    facts = dict(zip(("name", "memory", "driver"), map(str.strip, lines[0].split(",")), strict=True))
    return facts | {"cuda": torch.version.cuda or "none"}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that matter here."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit that was measured; `+` if the package or the benchmarks differ from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "raygen", "benchmarks/*.py")
    return head + ("+" if changed else "")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes, and the values themselves, in the order in which they were measured."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "values": [float(f"{value:.5g}") for value in values],
    }


def completed(result: Result) -> Result:
    """The result of a run; ends the program if a signal stopped the run, which raygen takes as a wish."""
    if result.state != "Succeeded":
        sys.exit(f"stopped at step {result.step} of {result.steps}: {result.reason}")
    return result


def environment() -> dict[str, str]:
    """The environment of a measured process: as many threads as this one uses."""
    return {**os.environ, "OMP_NUM_THREADS": str(THREADS)}


def executable(name: str) -> str:
    """A command that is installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def _without_folder(argument: str) -> str:
    return Path(argument).name if argument.startswith("/") else argument


def _first_empty(lines: Sequence[str]) -> int:
    return next((index for index, line in enumerate(lines) if not line.strip()), len(lines))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("unknown" if done.returncode else "")
