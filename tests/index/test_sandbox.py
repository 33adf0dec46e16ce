"""What a process in the sandbox can no longer do, tried in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pixlsrve

ATTEMPTS = """
import json, os, socket, subprocess, sys, threading
from pixlsrve.index import sandbox
report = sandbox.enter(64 << 20)
secret = sys.argv[1]
attempts = {
    "socket": lambda: socket.socket(),
    "read a file": lambda: open(secret).read(),
    "list a folder": lambda: os.listdir(os.path.dirname(secret)),
    "write a file": lambda: open(secret + ".new", "w"),
    "remove a file": lambda: os.unlink(secret),
    "rename a file": lambda: os.rename(secret, secret + ".new"),
    "run a program": lambda: subprocess.run(["/bin/true"]),
    "fork": lambda: os.fork(),
    "kill the parent": lambda: os.kill(os.getppid(), 0),
    "take memory": lambda: len(bytearray(200 << 20)),
    "start a thread": lambda: threading.Thread(target=int).start(),
    "load a module": lambda: __import__("colorsys"),
}
done = {}
for name, attempt in attempts.items():
    try:
        attempt()
        done[name] = True
    except (OSError, MemoryError):
        done[name] = False
print(json.dumps([report, done]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's sandboxes are Linux's")
def test_what_the_sandbox_refuses(tmp_path: Path) -> None:
    """In the sandbox a process reaches no network, no file of others and no program, yet can decode (T25)."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    found = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(secret)],
        capture_output=True,
        check=True,
        cwd="/",
        env={"PYTHONPATH": str(Path(pixlsrve.__file__).parents[1])},
    )
    report, done = json.loads(found.stdout)
    if any(report[name].startswith("no:") for name in ("files", "system_calls")):
        pytest.skip(f"this kernel lacks a part: {report}")
    assert {name for name, worked in done.items() if worked} == {"start a thread", "load a module"}
    assert secret.read_text() == "key"
