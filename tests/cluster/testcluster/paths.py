"""Where things lie: what is built outlives the checkout, what runs is one folder."""

from __future__ import annotations

import os
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
IMAGES = Path(__file__).parent.parent / "images"
MANIFESTS = Path(__file__).parent.parent / "manifests"
CHECKOUT = Path(__file__).parents[3]

CACHE = Path(
    os.environ.get("RAYGEN_CLUSTER_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "raygen-cluster")
)
"""Binaries, image layers and the running cluster's state."""

BINARIES = CACHE / "bin"
LAYOUT = CACHE / "images"
"""All images as one OCI layout."""
STAMPS = CACHE / "stamps"
"""What each of the cluster's own images was built from."""
SCRATCH = CACHE / "scratch"
"""What goes into the image that is being built."""
STORE = CACHE / "store"
"""The layers, unpacked; every node has them from here."""
STATE = CACHE / "state"
"""The running cluster; gone after `down`."""

KUBECONFIG = STATE / "kubeconfig"
