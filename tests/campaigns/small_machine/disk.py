"""The small machine's disk: a Debian with the package, and photos that the packaged program has indexed; made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import harness
from tests.campaigns.boot.machine import ENVIRONMENT, PACKAGES, base
from tests.qemu.root import Root, make_image

PHOTOS = "srv/photos"
DISK_MB = 4_096
INDEXING_LIMIT_S = 3_600.0
ADDRESS, GATEWAY = "10.0.2.15", "10.0.2.2"
_PACKAGES = f"{PACKAGES},linux-image-cloud-amd64,initramfs-tools"
_SETTINGS = 'photos = ["/srv/photos"]\n\n[index]\nworker_seconds = 3600\n'
"""An emulated processor is some twenty times slower than the one that the limit for a worker is made for."""
_PATIENCE = "[Service]\nTimeoutStartSec=1800\nWatchdogSec=1800\n"
_NETWORK = f"[Match]\nName=eth0\n[Network]\nAddress={ADDRESS}/24\nGateway={GATEWAY}\n"
_SHELL = """[Unit]
Description=The shell of whoever measures
[Service]
ExecStart=/bin/sh -c 'stty raw -echo; exec /bin/sh'
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
[Install]
WantedBy=multi-user.target
"""


def ensure_disk(cache: Path, package: Path, photos: int) -> Root:
    """The disk with this package and so many indexed photos; made now where the cache has none."""
    parts = [package.read_bytes(), Path(__file__).read_bytes(), Path(__file__).with_name("measure.sh").read_bytes()]
    key = hashlib.sha256(b"\0".join([*parts, str(photos).encode()])).hexdigest()[:16]
    kept = cache / f"small-{key}"
    if not kept.is_dir():
        below = base(cache, _PACKAGES)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as folder:
            _build(Path(folder), below, package, photos)
            (Path(folder) / "kept").rename(kept)
    return Root(kept / "root.ext4", kept / "vmlinuz", kept / "initrd.img")


def _build(folder: Path, below: Path, package: Path, photos: int) -> None:
    """Make `folder`/kept."""
    tree, kept = folder / "tree", folder / "kept"
    kept.mkdir()
    subprocess.run(["cp", "-a", str(below), str(tree)], check=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.move(sorted((tree / "boot").glob(f"{name}-*"))[-1], kept / name)
    with _devices(tree):
        shutil.copy(package, tree / "opt/pixlsrve.deb")
        _inside(tree, "dpkg", "--install", "/opt/pixlsrve.deb")
        (tree / "opt/pixlsrve.deb").unlink()
        _configure(tree)
        harness.make_tiny_tree(tree / PHOTOS, photos)
        _round_times(tree / PHOTOS)
        _index(tree, folder / "log", photos)
    shutil.rmtree(tree / "var/cache/apt", ignore_errors=True)
    make_image(kept / "root.ext4", tree, DISK_MB)


def _configure(tree: Path) -> None:
    """The service's settings, patience with the emulation, a network, and a shell at the second serial port."""
    files = {
        "etc/pixlsrve/pixlsrve.toml": _SETTINGS,
        "etc/systemd/system/pixlsrve.service.d/slow.conf": _PATIENCE,
        "etc/systemd/system/pixlsrve-tunnel.service.d/slow.conf": "[Service]\nTimeoutStartSec=1800\n",
        "etc/systemd/network/lan.network": _NETWORK,
        "etc/systemd/system/measuring.service": _SHELL,
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    shutil.copy(Path(__file__).with_name("measure.sh"), tree / "usr/local/bin/measure")
    (tree / "usr/local/bin/measure").chmod(0o755)
    _inside(tree, "systemctl", "enable", "measuring.service", "systemd-networkd.service")


def _round_times(photos: Path) -> None:
    """Whole seconds, which is all that the image keeps: a scan in the machine must find the files unchanged."""
    for folder, _, names in os.walk(photos):
        for name in names:
            path = Path(folder, name)
            second = int(path.stat().st_mtime)
            os.utime(path, (second, second))


def _index(tree: Path, log: Path, photos: int) -> None:
    """The packaged program as the service's user, until everything has its thumbnail."""
    user = ("setpriv", "--reuid=pixlsrve", "--regid=pixlsrve", "--init-groups")
    serve = ("/usr/bin/pixlsrve", "serve", "--port", "0", "--host", "127.0.0.1", "--no-mdns", "--no-vpn")
    environment = {
        **ENVIRONMENT,
        "STATE_DIRECTORY": "/var/lib/pixlsrve",
        "CONFIGURATION_DIRECTORY": "/etc/pixlsrve",
        "PIXLSRVE_COMPAT__WEBSOCKET_PORT": "0",
    }
    _inside(tree, "install", "-d", "-o", "pixlsrve", "-g", "pixlsrve", "-m", "700", "/var/lib/pixlsrve")
    with log.open("w") as written:
        daemon = subprocess.Popen(
            ["chroot", str(tree), *user, *serve], env=environment, stdout=subprocess.PIPE, stderr=written, text=True
        )
        try:
            assert daemon.stdout is not None
            assert daemon.stdout.readline().startswith("listening on"), log.read_text()[-3_000:]
            out = _inside(tree, "pixlsrve", "scan", "--wait", limit_s=INDEXING_LIMIT_S)
            assert out.startswith(f"{photos:,} "), (out, log.read_text()[-3_000:])
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=120)


@contextmanager
def _devices(tree: Path) -> Iterator[None]:
    """/proc and /dev of this machine in the tree, for the length of the block."""
    subprocess.run(["mount", "-t", "proc", "proc", str(tree / "proc")], check=True)
    subprocess.run(["mount", "--rbind", "--make-rslave", "/dev", str(tree / "dev")], check=True)
    try:
        yield
    finally:
        for name in ("dev", "proc"):
            subprocess.run(["umount", "-R", "-l", str(tree / name)], check=True)


def _inside(tree: Path, *command: str, limit_s: float = 600.0) -> str:
    """Output of a command in the tree, which must succeed."""
    done = subprocess.run(
        ["chroot", str(tree), *command],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
    return done.stdout
