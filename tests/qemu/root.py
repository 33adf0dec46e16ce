"""The emulated machine's disk: a small Debian 12 with its kernel and our libraries, built once and kept."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "curl",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "nftables",
    "openresolv",
    "procps",
    "python3",
    "python3-venv",
    "wireguard-go",
    "wireguard-tools",
)
NEEDED = ("debootstrap", "chroot", "mke2fs", "qemu-system-x86_64")
NOT_INSIDE = {"mypy", "mypy-extensions", "playwright", "greenlet", "librt", "ruff", "ast-serialize", "zxing-cpp"}
"""Test libraries that nothing inside uses, and that are half of what there is to download."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
IMAGE_MB = 1_600
START = "/start"
_START = "#!/bin/sh\nmount -o ro /dev/vdb /project && exec /project/init\n"
"""The first process is on the other disk, so that a change of it builds no new root."""


@dataclass(frozen=True)
class Root:
    """What QEMU boots: a disk image that is never written, the kernel and its initial ramdisk."""

    image: Path
    kernel: Path
    ramdisk: Path


def why_not(*, is_root: bool) -> str:
    """Why no root can be built or booted here; empty when it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the stage runs on x86-64 Linux"
    if not is_root:
        return "the stage runs as root: debootstrap and chroot need it"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"install {', '.join(missing)} (Debian: debootstrap, coreutils, e2fsprogs, qemu-system-x86)"
    return ""


def ensure_root(cache: Path, mirror: str = "") -> Root:
    """The built root for today's packages and locked libraries; built now where the cache has none."""
    requirements = _requirements()
    key = hashlib.sha256((Path(__file__).read_text() + requirements).encode()).hexdigest()[:16]
    kept = cache / key
    root = Root(kept / "root.ext4", kept / "vmlinuz", kept / "initrd.img")
    if not kept.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as folder:
            _build(Path(folder), requirements, mirror)
            (Path(folder) / "kept").rename(kept)
        for old in cache.iterdir():  # a run that has one of these open keeps it until it ends
            if old.is_dir() and old != kept and not old.name.startswith("building-"):
                shutil.rmtree(old)
    return root


def make_image(image: Path, tree: Path, size_mb: int) -> None:
    """An ext4 image with the files of `tree`, without mounting anything."""
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), f"{size_mb}M")


def _build(folder: Path, requirements: str, mirror: str) -> None:
    """Make `folder`/kept."""
    tree, kept = folder / "tree", folder / "kept"
    kept.mkdir()
    _run(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        "bookworm",
        str(tree),
        *filter(None, [mirror]),
    )
    _install_libraries(tree, requirements)
    for name in ("vmlinuz", "initrd.img"):
        found = sorted((tree / "boot").glob(f"{name}-*"))[-1]
        shutil.move(found, kept / name)
    for spare in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man", "wheels"):
        shutil.rmtree(tree / spare, ignore_errors=True)
    (tree / "project").mkdir()
    start = tree / START.lstrip("/")
    start.write_text(_START)
    start.chmod(0o755)
    make_image(kept / "root.ext4", tree, IMAGE_MB)


def _install_libraries(tree: Path, requirements: str) -> None:
    """The locked libraries, as wheels for the Python of Debian 12, into `tree`/venv."""
    wheels = tree / "wheels"
    wheels.mkdir()
    listing = wheels / "requirements.txt"
    listing.write_text(requirements)
    kinds = [f"--platform={name}" for name in PLATFORMS] + ["--implementation=cp", "--python-version=3.11"]
    kinds += ["--abi=cp311", "--abi=abi3", "--abi=none", "--only-binary=:all:"]
    _run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), *kinds, "-r", str(listing))
    _run("chroot", str(tree), "python3", "-m", "venv", "/venv")
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--find-links=/wheels", "-r")
    _run("chroot", str(tree), "/venv/bin/python", *install, "/wheels/requirements.txt")


def _requirements() -> str:
    """The lock file of the tests, without what nothing inside uses."""
    text = (REPOSITORY / "requirements" / "test.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return "".join(entry for entry in entries[1:] if entry.partition("==")[0] not in NOT_INSIDE)


def _run(*command: str) -> None:
    """A command that must succeed; its output only when it doesn't."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
