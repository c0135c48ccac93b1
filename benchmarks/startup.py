"""Time of `raygen --help` and `raygen validate` from start to exit, beside an empty Python.

python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from harness import ROOT, executable, spread, write_result

LIMITS = {"raygen --help": 0.25, "raygen validate": 0.6}
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "raygen --help": [executable("raygen"), "--help"],
    "raygen validate": [executable("raygen"), "validate", "examples/01-gpt-tiny.yaml"],
}
LOADED = (
    "import sys; from raygen.cli.main import main\n"
    "try: main(sys.argv[1:])\n"
    "finally: print('torch' in sys.modules, file=sys.stderr)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            seconds[name].append(measure(command))
    result = {name: spread(values) for name, values in seconds.items()}
    torch = {name: loads_torch(COMMANDS[name][1:]) for name in LIMITS}
    write_result("startup", {"unit": "seconds", "limits": LIMITS, "seconds": result, "imports_torch": torch})
    for name, limit in LIMITS.items():
        print(f"{name}: {statistics.median(seconds[name]):.3f} s, limit {limit} s")


def measure(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def loads_torch(arguments: list[str]) -> bool:
    """Whether the command imports torch."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()[-1] == "True"


if __name__ == "__main__":
    main()
