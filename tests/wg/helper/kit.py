"""The tunnel's helper in a namespace, and a daemon beside it that has no rights of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.daemon import COMMAND, _give_places
from tests.wg.net import Home, HomeDaemon, until

UID = 64_301
"""Nobody's on this computer."""
_NO_RIGHTS = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


class Helper:
    """`pixlsrve tunnel-helper` with root's rights in the home's host."""

    def __init__(self, home: Home, socket: Path) -> None:
        self._prefix = ("ip", "netns", "exec", home.host)
        self.socket = socket
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, uid: int = UID) -> Helper:
        """Start, and wait until it listens."""
        command = [*self._prefix, *COMMAND, "tunnel-helper", "--user", str(uid), "--socket", str(self.socket)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(self.socket.is_socket, "the helper's socket")
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(30)
            if number == signal.SIGKILL:
                self.socket.unlink(missing_ok=True)


def daemon_without_rights(home: Home, helper: Helper) -> HomeDaemon:
    """A daemon of another user, without a capability, not yet started."""
    daemon = home.daemon(env={"PIXLSRVE_TUNNEL_SOCKET": str(helper.socket)})
    daemon.data_dir.mkdir(mode=0o700, parents=True)
    _give_places(daemon.data_dir)
    for path in (daemon.data_dir, *daemon.data_dir.iterdir()):
        os.chown(path, UID, UID)
    daemon.prefix = (*daemon.prefix, *_NO_RIGHTS)
    return daemon


def readable(path: Path) -> bool:
    """Whether every user can reach `path`: a checkout or interpreter in somebody's home may be out of reach."""
    command = [*_NO_RIGHTS, sys.executable, "-c", "import pixlsrve.app"]
    return subprocess.run(command, cwd=path, capture_output=True, check=False).returncode == 0
