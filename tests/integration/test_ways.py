"""A run of the first example, traced: it walks each arrow of its way in docs/architecture.md."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys, threading
from pathlib import Path
import raygen
from raygen.cli.main import main

package, walked = Path(raygen.__file__).parent, {}

def module(frame):
    path = Path(frame.f_code.co_filename)
    if path.is_relative_to(package) and not frame.f_code.co_name.startswith("<"):
        return ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")

def trace(frame, event, argument):
    here = module(frame) if event == "call" else None
    if here is None:
        return
    back = frame.f_back
    while back is not None and module(back) is None:
        back = back.f_back
    if back is not None:
        walked.setdefault((module(back), here))

threading.setprofile(trace)
sys.setprofile(trace)
try:
    main()
finally:
    sys.setprofile(None)
    print(json.dumps(list(walked)))
"""
"""Prints which module of raygen has called which."""


def test_a_run_walks_each_arrow_of_the_page(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    ways = re.findall(r"^```way\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (way,) = [way for way in ways if "cli.local.train" in way]
    command = [
        "train",
        "examples/01-gpt-tiny.yaml",
        "--device",
        "cpu",
        "--cores",
        "1",
        "--output",
        str(tmp_path),
    ]
    # Each call is looked at, so as few as walk the way.
    few = ("training.duration.steps=2", "evaluation.samples.maxTokens=2", "data.validation.fraction=0.01")
    settings = [word for setting in few for word in ("--set", setting)]
    program = [sys.executable, "-c", PROGRAM, *command, *settings]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    walked = [tuple(arrow) for arrow in json.loads(done.stdout.splitlines()[-1])]

    def is_walked(here: str, there: str) -> bool:
        return any(f"{a}.".startswith(f"{here}.") and f"{b}.".startswith(f"{there}.") for a, b in walked)

    arrows = [pair for line in way.splitlines() for pair in itertools.pairwise(line.split(" > "))]
    assert len(arrows) > 10
    assert not [arrow for arrow in arrows if not is_walked(*arrow)]
