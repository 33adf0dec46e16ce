"""A Debian in systemd-nspawn, booted from an overlay over a root that debootstrap made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PACKAGES = (
    "systemd,systemd-sysv,dbus,iproute2,wireguard-tools,wireguard-go,nftables,udev,kmod,procps,debconf,ca-certificates,"
    "sudo"
)
UNBOOTED_PACKAGES = "wireguard-go"
"""What the program uses of a Debian of another architecture, which is never booted: all else is slow to emulate."""
BOOT_LIMIT_S = 180.0
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
COMMAND_LIMIT_S = 600.0
_LOOK_S = 0.2
_WANTS_REBOOT = 133
"""What systemd-nspawn exits with under --keep-unit, so that whoever started it starts it again."""


class Machine:
    """One machine in a network namespace; its files are below `root`. Needs root's rights."""

    def __init__(self, cache: Path, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self.root = debian(cache, folder)
        self._console = (folder / "console").open("wb")
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def boot(self) -> float:
        """Start it, and wait until systemd is up; the seconds that took."""
        began_s = time.monotonic()
        command = ["systemd-nspawn", "-b", "-D", str(self.root), "--register=no", "--keep-unit", "--quiet"]
        command += [f"--network-namespace-path=/run/netns/{self._namespace}", f"--machine=px-boot-{os.getpid()}"]
        command += ["--capability=CAP_NET_ADMIN", "--bind=/dev/net/tun", "--resolv-conf=off", "--timezone=off"]
        self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._console, stderr=self._console)
        self._wait_up()
        return time.monotonic() - began_s

    def reboot(self) -> float:
        """As `systemctl reboot` inside; the seconds until it is up again."""
        assert self._nspawn is not None
        began_s = time.monotonic()
        self.run("systemctl", "reboot", "--no-block", code=None)
        assert self._nspawn.wait(BOOT_LIMIT_S) == _WANTS_REBOOT
        self.boot()
        return time.monotonic() - began_s

    def run(self, *command: str, code: int | None = 0, text: str | None = None) -> str:
        """Output of a command inside; fails unless it exits with `code` (None: however)."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", *command]
        done = subprocess.run(
            inside,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        assert code is None or done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").strip()

    def close(self) -> None:
        """Switch it off, and take its files away."""
        if self._nspawn is not None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self._console.close()
        subprocess.run(["umount", "-R", str(self.root)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_up(self) -> None:
        end_s = time.monotonic() + BOOT_LIMIT_S
        while True:
            assert time.monotonic() < end_s, (self._folder / "console").read_text(errors="replace")[-3_000:]
            self.pid = self._init_pid()
            if self.pid:
                state = self.run("systemctl", "is-system-running", code=None).strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(_LOOK_S)

    def _init_pid(self) -> int:
        """systemd's process, the child of nspawn's that has its own namespace of processes."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, (self._folder / "console").read_text(errors="replace")[-3_000:]
        for process in _children(self._nspawn.pid):
            try:
                if Path(f"/proc/{process}/comm").read_text().strip() == "systemd":
                    return process
            except OSError:
                continue
        return 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found


def debian(cache: Path, folder: Path, architecture: str = "") -> Path:
    """A Debian 12 without Python in `folder`, an overlay over the one in `cache`; whoever asked unmounts it.

    `architecture` is another machine's, by Debian's name, whose programs binfmt_misc can start; empty: this one's.
    """
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    lower = base(cache, UNBOOTED_PACKAGES, architecture) if architecture else base(cache)
    layers = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "root")], check=True)
    return folder / "root"


def base(cache: Path, packages: str = PACKAGES, architecture: str = "") -> Path:
    """A root of Debian 12 with these packages, made once for each list of them. It is never written to."""
    kind = f"{architecture}-" if architecture else ""
    made = cache / f"base-{kind}{hashlib.sha256(packages.encode()).hexdigest()[:8]}"
    if not made.is_dir():
        building = made.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={packages}"]
        command += [f"--arch={architecture}"] if architecture else []
        subprocess.run([*command, "bookworm", str(building)], check=True, stdout=subprocess.DEVNULL)
        building.rename(made)
    return made
