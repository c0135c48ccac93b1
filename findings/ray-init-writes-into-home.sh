#!/usr/bin/env bash
# ray.init() of a private cluster writes a file into the home folder and changes the process's environment.
#
# Since 2.59 a bare start makes a token, keeps it in ~/.ray/auth_token for all later clusters of the user, and
# sets RAY_AUTH_MODE for all that the process starts. Where the home folder cannot be written, as in many
# containers, it does not start; and a file that a laptop left there changes how `ray start` behaves.
# Versions: ray 2.60.0.
# Source: Ray's page on token authentication.
# raygen: gives a mode and a token of each run's own in the environment before it starts Ray
# (raygen/training/ray/launch.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[default]==2.60.0'
look <<'PY'
import os
from pathlib import Path

import ray
from local_ray import start
from verdict import verdict

before = set(os.environ)
start(1)
ray.shutdown()
written = sorted(str(path.relative_to(Path.home())) for path in Path.home().rglob("*") if path.is_file())
added = sorted(name for name in set(os.environ) - before if name.startswith("RAY_"))
verdict(
    expected="nothing outside Ray's temporary folder, and the environment as it was",
    seen=f"in the home folder: {', '.join(written) or 'nothing'}; in the environment: {', '.join(added) or 'nothing'}",
    holds=".ray/auth_token" in written and "RAY_AUTH_MODE" in added,
)
PY
