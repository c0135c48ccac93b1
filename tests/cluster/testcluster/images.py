"""Images: built with buildah into one OCI layout, unpacked once, and shared by the nodes.

A node's containerd has databases of its own and links to the layers of the store, so that a node with 6 GB of
images is there in milliseconds. To a running node travels only what it lacks.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testcluster import node as nodes
from testcluster.console import ClusterError, step, wait_until
from testcluster.machine import Machine, Service, find, inside, run, stop
from testcluster.network import NODES
from testcluster.paths import BINARIES, CACHE, CHECKOUT, IMAGES, LAYOUT, SCRATCH, STAMPS, STATE, STORE
from testcluster.tools import binary

PAUSE, KUBERAY = nodes.PAUSE, "raygen.test/kuberay:1"
BASE, TRAIN, OPERATOR = "raygen.test/base:bookworm", "raygen.test/train:dev", "raygen.test/operator:dev"
PROJECT = (TRAIN, OPERATOR)
LOADED = STATE / "images.json"
"""What the running nodes were given."""
DEBIAN = "bookworm"
NAMESPACE = "k8s.io"
"""Where Kubernetes looks for images in containerd."""
_SNAPSHOTS = Path("io.containerd.snapshotter.v1.overlayfs")
_BLOBS = Path("io.containerd.content.v1.content/blobs/sha256")
_DATABASES = (Path("io.containerd.metadata.v1.bolt/meta.db"), _SNAPSHOTS / "metadata.db")


def ensure_built() -> None:
    """Builds the images that the cluster itself needs, unless they are there."""
    use_own_storage()
    # Of a build that was killed.
    shutil.rmtree(SCRATCH, ignore_errors=True)
    ensure(PAUSE, "pause", IMAGES / "pause" / "pause.c")
    ensure(KUBERAY, "kuberay", binary("ray-operator"))


@contextmanager
def _scratch() -> Iterator[Path]:
    """An empty folder for what goes into an image."""
    SCRATCH.mkdir(parents=True)
    try:
        yield SCRATCH
    finally:
        shutil.rmtree(SCRATCH)


def use_own_storage() -> None:
    """Has buildah and skopeo keep their images in the cache, apart from those that the user has."""
    settings = CACHE / "storage.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{CACHE / "buildah"}"\nrunroot = "{CACHE / "buildah-run"}"\n'
    )
    os.environ["CONTAINERS_STORAGE_CONF"] = str(settings)


def ensure(name: str, folder: str, source: Path) -> None:
    """Builds an image of a folder of images/ and a program, or C of one, unless it was built from this very source."""
    # The folder of a binary is named by a key of all that went into it.
    key = source.parent.name if BINARIES in source.parents else source.read_text()
    stamp = STAMPS / folder
    if name in named() and stamp.exists() and stamp.read_text() == key:
        return
    with step(f"build image {name}"), _scratch() as context:
        if folder == "pause":
            run("cc", "-O2", "-static", "-o", str(context / "pause"), str(source))
        else:
            shutil.copy(source, context)
        build(name, IMAGES / folder / "Dockerfile", context)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


def ensure_project() -> None:
    """Builds the project's own images from the checkout, unless this very state of it was built."""
    stamp, key = STAMPS / "project", _project_key()
    if set(PROJECT) <= set(named()) and stamp.exists() and stamp.read_text() == key:
        return
    if not _run_apart("buildah", "images", "--quiet", BASE, quiet=True).strip():
        # Containers of a build that was killed.
        _run_apart("buildah", "rm", "--all")
        with step(f"build image {BASE}", "downloads Debian"), _scratch() as folder:
            _run_apart(
                "debootstrap",
                "--variant=minbase",
                "--include=python3,python3-venv,ca-certificates",
                DEBIAN,
                str(folder),
            )
            container = _run_apart("buildah", "from", "scratch").strip()
            _run_apart("buildah", "copy", "--quiet", container, str(folder), "/")
            _run_apart("buildah", "commit", "--quiet", "--rm", container, BASE)
    for name in PROJECT:
        target = name.rpartition("/")[2].partition(":")[0]
        prefix, _, tag = name.partition(f"{target}:")
        options = [f"--target={target}", f"--prefix={prefix}", f"--tag={tag}", f"--base={BASE}"]
        with step(f"build image {name}", "downloads its packages where the cache lacks them"):
            _run_apart(sys.executable, str(CHECKOUT / "tools" / "images.py"), *options)
        with step(f"publish {name}"):
            publish(name)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


def _project_key() -> str:
    """A digest of every file that goes into the images."""
    named = [
        CHECKOUT / name
        for name in (
            "Dockerfile",
            "constraints.txt",
            "pyproject.toml",
            "README.md",
            "CHANGELOG.md",
            "LICENSE",
        )
    ]
    code = sorted(
        path for path in (CHECKOUT / "raygen").rglob("*") if path.is_file() and path.suffix != ".pyc"
    )
    digest = hashlib.sha256()
    for path in [*named, CHECKOUT / "tools" / "requirements.py", *code]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(CHECKOUT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def build(name: str, dockerfile: Path, context: Path, *options: str) -> None:
    """Builds an image with buildah and puts it into the layout."""
    arguments = ["--isolation=chroot", "--layers", f"--file={dockerfile}", f"--tag={name}", *options]
    _run_apart("buildah", "build", *arguments, str(context))
    publish(name)


def publish(name: str) -> None:
    """Puts an image of buildah's into the layout; layers that are there stay as they are."""
    LAYOUT.mkdir(parents=True, exist_ok=True)
    # Not compressed: 6 GB that stay on this machine; and so that layers which are there are known by their digests.
    options = ["--quiet", "--dest-oci-accept-uncompressed-layers"]
    _run_apart("skopeo", "copy", *options, f"containers-storage:{name}", f"oci:{LAYOUT}:{name}")
    # What was replaced: images of 6 GB each.
    _run_apart("buildah", "rmi", "--prune", "--force")
    wanted = {digest for entry in named().values() for digest in _blobs(entry["digest"])}
    for path in (LAYOUT / "blobs" / "sha256").iterdir():
        if f"sha256:{path.name}" not in wanted:
            path.unlink()


def _run_apart(*command: str, quiet: bool = False) -> str:
    """Runs a command whose mounts end with it, even if it is killed."""
    return run("unshare", "--mount", *command, quiet=quiet)


def named() -> dict[str, dict[str, Any]]:
    """Descriptors of the layout's images by name."""
    index = LAYOUT / "index.json"
    if not index.exists():
        return {}
    found = json.loads(index.read_text())["manifests"]
    return {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry
        for entry in found
        if "annotations" in entry
    }


def fill_store() -> None:
    """Unpacks what the store lacks of the layout's images."""
    marker = STORE / "loaded.json"
    wanted = digests()
    known = json.loads(marker.read_text()) if marker.exists() else {}
    lacking = [name for name, digest in wanted.items() if known.get(name) != digest]
    if not lacking:
        return
    with step(f"unpack {', '.join(name.split('/')[-1] for name in lacking)}"):
        STORE.mkdir(parents=True, exist_ok=True)
        (STORE / "containerd.toml").write_text(nodes.containerd_config(STORE / "containerd"))
        command = [str(binary("containerd")), f"--config={STORE / 'containerd.toml'}"]
        Machine("store", [Service("containerd", command)], mounts=[["-t", "tmpfs", "tmpfs", "/run"]]).start(
            []
        )
        try:
            load("store", lacking)
            _forget_replaced("store")
        finally:
            stop("store")
        _share_blobs()
        marker.write_text(json.dumps(wanted))


def _share_blobs() -> None:
    """Keeps what both the layout and the store have once."""
    for path in (STORE / "containerd" / _BLOBS).iterdir():
        twin = LAYOUT / "blobs" / "sha256" / path.name
        if twin.exists() and not twin.samefile(path):
            link = path.with_name(f"{path.name}.link")
            link.unlink(missing_ok=True)
            link.hardlink_to(twin)
            link.replace(path)


def give(node: str) -> None:
    """Gives a new node everything that the store has."""
    root, store = nodes.folder(node) / "containerd", STORE / "containerd"
    for database in _DATABASES:
        (root / database).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store / database, root / database)
    for folder in (_SNAPSHOTS / "snapshots", _BLOBS):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (store / folder).iterdir():
            (root / folder / path.name).symlink_to(path)


def digests() -> dict[str, str]:
    """The images of the layout, each with its digest."""
    return {name: entry["digest"] for name, entry in named().items()}


def update_nodes() -> None:
    """Brings the running nodes the images of which they have none or older ones."""
    known = json.loads(LOADED.read_text()) if LOADED.exists() else {}
    wanted = digests()
    lacking = [name for name in (PAUSE, KUBERAY, *PROJECT) if known.get(name) != wanted[name]]
    if lacking:
        load_into_nodes(lacking)
        LOADED.write_text(json.dumps(known | {name: wanted[name] for name in lacking}))


def load_into_nodes(images: Iterable[str]) -> None:
    """Brings images to the nodes that run; only layers they lack travel."""
    images = list(images)
    for node in NODES:
        if find(node):
            with step(f"{node}: load {', '.join(name.split('/')[-1] for name in images)}"):
                load(node, images)


def load(machine: str, images: Iterable[str]) -> None:
    """Imports images of the layout into a machine's containerd."""
    wait_until(
        lambda: run(*_ctr(machine, "version"), quiet=True).count("Version") > 1,
        f"containerd of {machine}",
        20,
    )
    there = set(run(*_ctr(machine, "content", "ls", "--quiet")).split())
    with (STATE / "logs" / f"import-{machine}.log").open("w") as log:
        process = subprocess.Popen(
            _ctr(machine, "images", "import", "--snapshotter=overlayfs", "-"),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        assert process.stdin is not None
        try:
            with tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.GNU_FORMAT) as archive:
                _archive(archive, images, there)
            process.stdin.close()
        except BrokenPipeError:
            pass
        if process.wait():
            raise ClusterError(f"{machine} could not import its images: see {log.name}")
    # Runtimes name images by digest.
    for name in images:
        run(*_ctr(machine, "images", "tag", "--force", name, by_digest(name)), quiet=True)


def by_digest(name: str) -> str:
    """An image's name with its digest in place of its tag."""
    return f"{name.rpartition(':')[0]}@{digests()[name]}"


def _forget_replaced(machine: str) -> None:
    """Deletes images that were replaced, and their layers; Kubernetes' part of containerd names each by its digest too."""
    wanted = {json.loads(_blob(digest).read_text())["config"]["digest"] for digest in digests().values()}
    there = run(*_ctr(machine, "images", "ls", "--quiet")).split()
    names = {by_digest(name) for name in digests()}
    replaced = [
        name
        for name in there
        if (name.startswith("sha256:") and name not in wanted) or ("@sha256:" in name and name not in names)
    ]
    if replaced:
        run(*_ctr(machine, "images", "rm", "--sync", *replaced))


def _archive(archive: tarfile.TarFile, images: Iterable[str], there: set[str]) -> None:
    """Writes an OCI archive of `images` without the layers that are `there`."""
    known = named()
    entries = [
        {key: value for key, value in known[name].items() if key != "annotations"}
        | {"annotations": {"io.containerd.image.name": name}}
        for name in images
    ]
    for path, content in {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"schemaVersion": 2, "manifests": entries},
    }.items():
        encoded = json.dumps(content).encode()
        member = tarfile.TarInfo(path)
        member.size = len(encoded)
        archive.addfile(member, io.BytesIO(encoded))
    written = set()
    for entry in entries:
        for digest in _blobs(entry["digest"]):
            if digest not in written and (digest not in there or digest == entry["digest"]):
                written.add(digest)
                archive.add(_blob(digest), f"blobs/sha256/{digest.removeprefix('sha256:')}")


def _blobs(manifest: str) -> Iterator[str]:
    content = json.loads(_blob(manifest).read_text())
    yield manifest
    yield content["config"]["digest"]
    for layer in content["layers"]:
        yield layer["digest"]


def _blob(digest: str) -> Path:
    return LAYOUT / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _ctr(machine: str, *command: str) -> list[str]:
    return inside(
        machine,
        str(binary("ctr")),
        f"--address={nodes.CONTAINERD_SOCKET}",
        f"--namespace={NAMESPACE}",
        *command,
    )
