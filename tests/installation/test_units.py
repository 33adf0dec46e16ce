"""The units: how little they may do (T38), and that nothing in them is unknown to systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pixlsrve.installation.systemd import SERVICE, SOCKET, TUNNEL, UNITS, read

REPOSITORY = Path(__file__).parents[2]
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="UNITS ARE NOT MEASURED: install systemd"
)


@needs_analyze
@pytest.mark.parametrize(("name", "most"), [(SERVICE, 15), (TUNNEL, 25)])
def test_exposure_is_low(name: str, most: int, tmp_path: Path) -> None:
    """T38: the service's exposure is at most 1.5 by `systemd-analyze security`, its helper's at most 2.5."""
    (tmp_path / name).write_text(read(name))
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager"]
    done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]
    assert "Unknown key" not in done.stderr


def test_service_has_no_rights() -> None:
    """T38: no capability, another user than root, and nothing to write to but its own state."""
    lines = read(SERVICE).splitlines()
    assert {"User=pixlsrve", "CapabilityBoundingSet=", "AmbientCapabilities=", "ProtectSystem=strict"} <= set(lines)
    assert not [line for line in lines if line.startswith(("ReadWritePaths=", "BindPaths="))]


def test_tunnels_socket_is_the_services_alone() -> None:
    """T38: the helper's socket can be opened by the service's user only, and both units name the same one."""
    lines = read(SOCKET).splitlines()
    assert {"SocketUser=pixlsrve", "SocketMode=0600"} <= set(lines)
    path = next(line for line in lines if line.startswith("ListenStream=")).partition("=")[2]
    assert f"Environment=PIXLSRVE_TUNNEL_SOCKET={path}" in read(SERVICE).splitlines()


def test_each_exception_is_explained() -> None:
    """Every unit says in comments why it is as it is."""
    for name in UNITS:
        assert len(re.findall(r"^# ", read(name), re.M)) >= 1, name


def test_units_are_where_people_look_for_them() -> None:
    """The folder systemd/ shows the very units that are installed."""
    for name in UNITS:
        assert (REPOSITORY / "systemd" / name).read_text() == read(name)
