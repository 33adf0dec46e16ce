"""The emulated machine while it runs: QEMU, a shell at its second serial port, and the service's pages."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemon import free_port
from tests.qemu.machine import emulator
from tests.qemu.root import Root

COMMAND_LIMIT_S = 600.0
ANSWER_LIMIT_S = 900.0
"""The first count of a large library is read from a cold disk by an emulated processor."""
_LOOK_S = 2.0
_END = "== end of the answer =="


class Guest:
    """Boots at once; the disks stay as they are. The files of a run are in `folder`; end it with `close`."""

    def __init__(self, root: Root, media: Path, folder: Path, *, memory_mb: int) -> None:
        self.port = free_port()
        self.token = ""
        self._console = folder / "console"
        inner, outer = socket.socketpair()
        self._shell = outer
        command = _qemu(root, media, self._console, inner.fileno(), self.port, memory_mb)
        with (folder / "qemu").open("wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=[inner.fileno()]
            )
        inner.close()
        self._started_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since it was switched on."""
        return time.monotonic() - self._started_s

    def close(self) -> None:
        """Switch it off."""
        self._process.kill()
        self._process.wait()
        self._shell.close()

    def wait_shell(self, limit_s: float) -> None:
        """Until the shell answers; what was typed too early is lost."""
        end_s = time.monotonic() + limit_s
        while True:
            try:
                self.run("true", limit_s=5.0)
            except TimeoutError:
                assert self._process.poll() is None, "the machine has ended"
                assert time.monotonic() < end_s, self.console()
            else:
                return

    def run(self, command: str, limit_s: float = COMMAND_LIMIT_S) -> str:
        """Output of a line of shell, which must succeed. Raises TimeoutError."""
        mark = os.urandom(6).hex()
        self._shell.sendall(f'{{ {command}; }} 2>&1\necho "{_END}{mark}" $?\n'.encode())
        end_s, got = time.monotonic() + limit_s, b""
        while not (ended := re.search(rf"^{_END}{mark} (\d+)\n".encode(), got, re.MULTILINE)):
            self._shell.settimeout(max(0.01, end_s - time.monotonic()))
            piece = self._shell.recv(65_536)
            assert piece, self.console()
            got += piece.replace(b"\r", b"")
        out = got[: ended.start()].decode(errors="replace")
        assert ended[1] == b"0", f"{command}: {ended[1].decode()}\n{out}"
        return out

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer of the service to this computer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")  # http to ourselves
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S) as answer:  # noqa: S310  # http to ourselves
            return json.loads(answer.read())

    def is_serving(self) -> bool:
        """Whether its pages come."""
        try:
            self.ask("/healthz")
        except (OSError, ValueError):
            return False
        return True

    def until(self, wanted: Callable[[], bool], what: str, limit_s: float) -> None:
        """Wait until `wanted` says yes; fails when it does not in time, or the machine ends."""
        end_s = time.monotonic() + limit_s
        while not wanted():
            assert self._process.poll() is None, f"the machine ended before {what}:\n{self.console()}"
            assert time.monotonic() < end_s, f"{what} did not come:\n{self.console()}"
            time.sleep(_LOOK_S)

    def console(self) -> str:
        """The last that the kernel and systemd said."""
        return self._console.read_text(errors="replace")[-4_000:] if self._console.exists() else ""


def _qemu(root: Root, media: Path, console: Path, shell: int, port: int, memory_mb: int) -> list[str]:
    """With the media's disk, whose changes are thrown away, a shell on the second serial line, and HTTP at a port."""
    return [
        *emulator(root, console, memory_mb=memory_mb, word="psi=1"),
        "-drive", f"file={media},if=virtio,format=raw,snapshot=on",
        "-netdev", f"user,id=lan,hostfwd=tcp:127.0.0.1:{port}-:8080", "-device", "virtio-net-pci,netdev=lan,romfile=",
        "-chardev", f"socket,id=shell,fd={shell}", "-serial", "chardev:shell",
    ]  # fmt: skip
