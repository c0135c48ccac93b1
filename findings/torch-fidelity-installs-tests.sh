#!/usr/bin/env bash
# A metric's wheel installs its own tests as the top-level package `tests`.
#
# A project whose tests are a package of that name, and start processes that import from it, finds torch-fidelity's instead:
# site-packages comes before the folder of a namespace or of a program that is given with -c from elsewhere.
# Versions: torch-fidelity 0.4.0.
# Source: not documented; the RECORD of the wheel.
# raygen: installs it into a folder of its own for the tests that compare with it (tests/integration/test_feature_peers.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch-fidelity==0.4.0
look <<'PY'
from importlib.metadata import files

from verdict import verdict

top = sorted({str(path).partition("/")[0] for path in files("torch-fidelity") if str(path).endswith(".py")})
verdict(expected="torch_fidelity", seen=", ".join(top), holds="tests" in top)
PY
