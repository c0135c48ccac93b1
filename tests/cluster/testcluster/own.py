"""A contributor's own cluster, which KUBECONFIG names: it gets the project's images and KubeRay, and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from testcluster import images, kuberay, tools
from testcluster.console import ClusterError, step
from testcluster.machine import run
from testcluster.paths import CHECKOUT, KUBECONFIG

KIND = "kind-"
"""How the names of kind's contexts begin."""


def configured() -> bool:
    """Whether KUBECONFIG names another cluster than the one that is made here."""
    named = os.environ.get("KUBECONFIG")
    return bool(named) and Path(str(named)).resolve() != KUBECONFIG.resolve()


def up() -> None:
    """Ensures the images and KubeRay.

    Raises:
        ClusterError: A program is missing, or this kind of cluster takes images from a registry only.
    """
    engine = shutil.which("buildah") or shutil.which("docker")
    missing = [name for name in ("kubectl",) if shutil.which(name) is None]
    if missing or engine is None:
        wanted = [*missing, *([] if engine else ["docker or buildah"])]
        raise ClusterError(f"missing: {', '.join(wanted)}\nInstall what is missing, then run this again.")
    context = _kubectl("config", "current-context").strip()
    if not context.startswith(KIND):
        raise ClusterError(
            f"images cannot be brought to {context}, which is no cluster of kind's\n"
            "Push what `make images` builds to a registry that it can reach, and install KubeRay by its chart; or "
            "unset KUBECONFIG, and this makes a cluster."
        )
    if shutil.which("kind") is None:
        raise ClusterError(f"missing: kind, whose cluster {context} is\nInstall it, or unset KUBECONFIG.")
    cluster = context.removeprefix(KIND)
    has_kuberay = bool(_kubectl("get", "crd", "rayjobs.ray.io", "--ignore-not-found").strip())
    _build_project()
    for name in images.PROJECT:
        _load(engine, name, cluster)
    if has_kuberay:
        print("KubeRay is there, and stays as it is", file=sys.stderr)
        return
    _build_kuberay(engine)
    _load(engine, images.KUBERAY, cluster)
    with step("install KubeRay"):
        kuberay.install(_kubectl)
        kuberay.wait(_kubectl)


def _kubectl(*arguments: str) -> str:
    return run("kubectl", *arguments)


def _build_project() -> None:
    prefix, _, tag = images.TRAIN.partition("train:")
    base = os.environ.get("BASE")
    options = [f"--prefix={prefix}", f"--tag={tag}", *([f"--base={base}"] if base else [])]
    with step(f"build images {' and '.join(images.PROJECT)}"):
        run(sys.executable, str(CHECKOUT / "tools" / "images.py"), *options)


def _build_kuberay(engine: str) -> None:
    program = tools.binary("ray-operator")
    with step(f"build image {images.KUBERAY}"), tempfile.TemporaryDirectory() as context:
        shutil.copy(program, context)
        file = images.IMAGES / "kuberay" / "Dockerfile"
        run(engine, "build", f"--file={file}", f"--tag={images.KUBERAY}", context)


def _load(engine: str, name: str, cluster: str) -> None:
    with step(f"load {name} into {cluster}"):
        if Path(engine).name == "docker":
            run("kind", "load", "docker-image", name, f"--name={cluster}")
            return
        with tempfile.TemporaryDirectory() as folder:
            archive = f"{folder}/image.tar"
            run(engine, "push", "--quiet", name, f"docker-archive:{archive}:{name}")
            run("kind", "load", "image-archive", archive, f"--name={cluster}")
