"""Builds the container images `train` and `operator` with buildah or docker, whichever is there.

python tools/images.py [--target train] [--prefix registry.example/raygen-] [--tag 0.1.0] [--base IMAGE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("train", "operator")
CERTIFICATES = Path("/etc/ssl/certs")
"""Of this machine, where they lie as in Debian: a proxy's own may be among them."""


def main() -> int:
    arguments = _parse()
    engine = shutil.which("buildah") or shutil.which("docker")
    if engine is None:
        print("neither buildah nor docker is installed; on Debian: apt-get install buildah", file=sys.stderr)
        return 2
    for target in arguments.target or TARGETS:
        name = f"{arguments.prefix}{target}:{arguments.tag}"
        done = subprocess.run(_command(engine, target, name, arguments.base), cwd=ROOT, check=False)  # noqa: S603
        if done.returncode:
            return 1
        print(name)
    return 0


def _command(engine: str, target: str, name: str, base: str | None) -> list[str]:
    values = {"VERSION": _version(), "REVISION": _revision()} | ({"BASE": base} if base else {})
    command = [engine, "build", "--target", target, "--tag", name]
    for key, value in values.items():
        command += ["--build-arg", f"{key}={value}"]
    if Path(engine).name == "buildah":
        # Without user namespaces of its own, as in many containers, buildah can isolate by chroot alone.
        command += ["--layers", "--isolation", os.environ.get("BUILDAH_ISOLATION", "chroot")]
        if (CERTIFICATES / "ca-certificates.crt").exists():
            command += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    return [*command, str(ROOT)]


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def _revision() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or "unknown"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--prefix", default="raygen-", help="begins the images' names; default: raygen-")
    parser.add_argument("--tag", default=_version(), help="default: the version")
    parser.add_argument("--base", help="a Debian with python3, its venv module and ca-certificates")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
