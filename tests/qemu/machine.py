"""One run of the emulated machine: a disk with the project beside the kept root, and what it prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.qemu.root import REPOSITORY, START, Root, make_image

PARTS = ("pixlsrve", "tests", "benchmarks", "pyproject.toml")
PROJECT_MB = 96
MEMORY_MB = 1_024
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*_cache")
_END = re.compile(r"stage ended with (\d+)")


def run(root: Root, places: Path, command: str, limit_s: float) -> int:
    """Boot, run the shell command in the project's folder, show what it prints; its exit code, 1 when none came."""
    with tempfile.TemporaryDirectory(prefix="pixlsrve-stage-") as name:
        folder = Path(name)
        project = _project(folder, places, command)
        console = folder / "console"
        code = _boot(_qemu(root, project, console), limit_s)
        if code is None:
            print(f"the machine did not come to an end within {limit_s:.0f} s; its console:", file=sys.stderr)
            print(console.read_text(errors="replace")[-4000:] if console.exists() else "", file=sys.stderr)
        return 1 if code is None else code


def _project(folder: Path, places: Path, command: str) -> Path:
    """The image with the project, the built file of place names, and the command."""
    tree = folder / "project"
    tree.mkdir()
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=LEFT_OUT)
        else:
            shutil.copy(source, tree / part)
    (tree / "places").mkdir()
    shutil.copy(places, tree / "places")
    (tree / "command").write_text(command + "\n")
    shutil.copy(Path(__file__).with_name("init.sh"), tree / "init")
    (tree / "init").chmod(0o755)
    image = folder / "project.ext4"
    make_image(image, tree, PROJECT_MB)
    return image


def emulator(root: Root, console: Path, *, memory_mb: int, word: str) -> list[str]:
    """QEMU without hardware help, so that it runs anywhere; the root's image stays as it is, the kernel gets `word`."""
    words = f"root=/dev/vda rw console=ttyS0 quiet panic=-1 net.ifnames=0 {word}"
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mb),
        "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", str(root.kernel), "-initrd", str(root.ramdisk), "-append", words,
        "-drive", f"file={root.image},if=virtio,format=raw,snapshot=on,cache=unsafe",
        "-serial", f"file:{console}", "-device", "virtio-rng-pci",
    ]  # fmt: skip


def _qemu(root: Root, project: Path, console: Path) -> list[str]:
    drive = ["-drive", f"file={project},if=virtio,format=raw,cache=unsafe"]
    return [*emulator(root, console, memory_mb=MEMORY_MB, word=f"init={START}"), *drive, "-serial", "stdio"]


def _boot(command: list[str], limit_s: float) -> int | None:
    """The inner command's exit code, None when the machine ended without one or had to be ended."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    watchdog = threading.Timer(limit_s, process.kill)
    watchdog.start()
    code = None
    try:
        assert process.stdout is not None
        for line in process.stdout:
            ended = _END.match(line)
            if ended:
                code = int(ended[1])
            else:
                print(line.rstrip("\r\n"), flush=True)
        process.wait()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    return code
