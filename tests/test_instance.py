"""One daemon per data directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pixlsrve.errors import StartError
from pixlsrve.instance import (
    bind_control_socket,
    is_running,
    locked,
    prepare_data_dir,
    running_pid,
    short_address,
    socket_path,
)

_HOLDER = (
    "import sys, pathlib, time; from pixlsrve.instance import locked\n"
    "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_second_start_names_the_first(tmp_path: Path) -> None:
    """T39: one daemon per data directory; the second one says whose it is."""
    with locked(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(StartError, match=rf"process {os.getpid()}\b"), locked(tmp_path):
            pass
    assert not is_running(tmp_path)


def test_lock_ends_with_the_process(tmp_path: Path) -> None:
    """After kill -9 the next start needs no hand."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
    assert is_running(tmp_path)
    assert running_pid(tmp_path) == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        assert running_pid(tmp_path) == os.getpid()


def test_data_dir_is_made_private(tmp_path: Path) -> None:
    """T36: the directory is 0700, also when it was made otherwise."""
    for name in ("new/below", "open"):
        path = tmp_path / name
        if name == "open":
            path.mkdir(mode=0o755)
        prepare_data_dir(path)
        assert path.stat().st_mode & 0o777 == 0o700


def test_data_dir_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path) -> None:
    """A file in the way stops the start with words."""
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="can't be written"):
        prepare_data_dir(tmp_path / "file")
    with pytest.raises(StartError, match="can't be written"):
        prepare_data_dir(tmp_path / "file" / "below")


@pytest.mark.parametrize("length", [1, 120])
def test_control_socket_is_reached_however_long_its_path(tmp_path: Path, length: int) -> None:
    """A socket address holds about a hundred bytes; a data directory's name may be longer."""
    folder = tmp_path / ("d" * length)
    folder.mkdir()
    with bind_control_socket(folder) as server:
        server.listen(1)
        assert socket_path(folder).stat().st_mode & 0o777 == 0o600
        with short_address(socket_path(folder)) as address, socket.socket(socket.AF_UNIX) as client:
            client.connect(address)


def test_control_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    """What a crash left does not keep the next daemon from starting."""
    bind_control_socket(tmp_path).close()
    assert socket_path(tmp_path).exists()
    bind_control_socket(tmp_path).close()
