"""How PyTorch's threads wait for each other. libgomp reads it once, when torch is loaded: `import raygen` comes before.

PyTorch shares an operation among OpenMP threads, which then wait for the next one. GNU's OpenMP (libgomp, in torch's
wheels for Linux) lets them spin for 300,000 rounds, some 10 ms, before they sleep. Where anything else wants the
cores, a thread spins on the core that the one it waits for should run on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

SPINS = "GOMP_SPINCOUNT"
ROUNDS = 2_000
"""Less than a tenth of a millisecond: longer than most pauses between two operations of a training step."""
OWN = (SPINS, "OMP_WAIT_POLICY")
"""Who has set one of these has decided."""


def set_waiting(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets it for this process, unless torch is loaded already, and for those that it starts."""
    if not any(name in environment for name in OWN):
        environment[SPINS] = str(ROUNDS)


def waiting(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that say how this process's threads wait, for processes that do not inherit them."""
    return {name: environment[name] for name in OWN if name in environment}
