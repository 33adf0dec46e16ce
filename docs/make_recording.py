"""Records a terminal session of the first run as an asciicast: `python docs/make_recording.py docs/first-run.cast`.

All of it happens: `pixlsrve setup` in a real terminal, typed into at a person's pace, up to the phone that joins by an
ordinary HTTP request. The file is asciicast v2 (docs.asciinema.org), one JSON array a line: seconds, "o", text.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image

COLUMNS, ROWS = 90, 56
KEY_S, PAUSE_S, LIMIT_S = 0.09, 1.5, 60.0
PICTURES = 12
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Recording:
    """What a command writes, with its times; `until` waits for words and `type` presses keys."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path) -> None:
        self.events: list[tuple[float, str, str]] = []
        self._keyboard, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._began_s = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  # a shell of ours
            command, stdin=inner, stdout=inner, stderr=inner, env=env, cwd=cwd, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(inner)

    @property
    def text(self) -> str:
        """All that was written, without colours."""
        return _ESCAPES.sub("", "".join(text for _, _, text in self.events)).replace("\r", "")

    def until(self, is_there: Callable[[str], bool]) -> str:
        """The text, once it is as wished. Raises TimeoutError."""
        end_s = time.monotonic() + LIMIT_S
        while not is_there(self.text):
            if time.monotonic() > end_s:
                raise TimeoutError(self.text)
            self._read(0.2)
        return self.text

    def pause(self, seconds: float = PAUSE_S) -> None:
        """Go on reading for a while."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._read(end_s - time.monotonic())

    def type(self, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            os.write(self._keyboard, key.encode())
            self.pause(KEY_S)

    def end(self) -> None:
        """Control-D, and wait."""
        self.type("exit\r")
        self.process.wait(LIMIT_S)
        os.close(self._keyboard)

    def write(self, file: Path, hidden: dict[str, str]) -> None:
        """The cast; `hidden` words are replaced, such as the folder of this run."""
        header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "pixlsrve: the first run"}
        lines = [json.dumps(header), *(json.dumps(event) for event in self.events)]
        content = "\n".join(lines) + "\n"
        for word, instead in hidden.items():
            content = content.replace(word, instead)
        file.write_text(content, "utf-8")

    def _read(self, limit_s: float) -> None:
        if not select.select([self._keyboard], [], [], max(0.0, limit_s))[0]:
            return
        try:
            written = os.read(self._keyboard, 65_536).decode("utf-8", "replace")
        except OSError:  # the command has ended
            time.sleep(max(0.0, min(limit_s, 0.05)))
            return
        self.events.append((round(time.monotonic() - self._began_s, 3), "o", written))


def record(file: Path, folder: Path) -> None:
    """The first run, in a home with some pictures."""
    port = _free_port()
    env = _prepare(folder, port)
    session = Recording(["sh"], env, folder)
    session.until(lambda text: text.endswith("$ "))
    session.pause()
    session.type(f"pixlsrve setup --config {folder}/pixlsrve.toml\r" if os.geteuid() == 0 else "pixlsrve setup\r")
    session.until(lambda text: "[1]" in text)
    session.pause()
    session.type("\r")
    session.until(lambda text: "[Y/n]" in text)
    session.pause()
    session.type("\r")
    shown = session.until(lambda text: re.search(r"type \w{4}-\w{4}", text) is not None)
    session.pause(2 * PAUSE_S)
    _join(re.findall(r"type (\w{4}-\w{4})", shown)[0], port)
    session.until(lambda text: "serves until Ctrl-C" in text)
    session.pause(2 * PAUSE_S)
    session.type("\x03")
    session.until(lambda text: text.rstrip().endswith("$"))
    session.end()
    session.write(file, {f" --config {folder}/pixlsrve.toml": "", str(folder): "/home/anna"})


def _prepare(folder: Path, port: int) -> dict[str, str]:
    """A home with pictures and settings that bother nobody on this computer's network; its environment."""
    (folder / "Pictures").mkdir()
    for number in range(PICTURES):
        Image.new("RGB", (64, 48), (20 * number, 90, 160)).save(folder / "Pictures" / f"IMG_{number:04}.jpg")
    program = folder / "pixlsrve"
    source = Path(__file__).resolve().parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -m pixlsrve "$@"\n')
    program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIXLSRVE_", "XDG_"))}
    quiet = {"PIXLSRVE_MDNS__ENABLED": "false", "PIXLSRVE_WIREGUARD__ENABLED": "false", "PIXLSRVE_LOG__LEVEL": "error"}
    own = {"PIXLSRVE_DATA_DIR": f"{folder}/data", "PIXLSRVE_HTTP__PORT": str(port), "PIXLSRVE_HTTP__TLS": "false"}
    more = {"PIXLSRVE_COMPAT__WEBSOCKET_PORT": "0", "PS1": "$ ", "TERM": "xterm-256color", "HOME": str(folder)}
    return {**kept, **quiet, **own, **more, "PATH": f"{folder}:{os.environ['PATH']}"}


def _join(code: str, port: int) -> None:
    """What Anna's phone sends when the code was scanned."""
    body = json.dumps({"device_name": "Anna's phone", "device_type": "ios", "pairing_code": code}).encode()
    address = f"http://127.0.0.1:{port}/api/v1/auth/pair"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=LIMIT_S):  # noqa: S310  # as above
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Record into the file that is named."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = Path(tempfile.mkdtemp(prefix="pixlsrve-recording-"))
    try:
        record(Path(sys.argv[1]), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
