"""`pixlsrve setup` and the first `serve`, in a real terminal, up to a paired administrator's device."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.cli import likely_folders
from pixlsrve.cli.control import Control
from tests.daemon import COMMAND, START_LIMIT_S, free_port
from tests.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody who has a folder of pictures."""
    pictures = tmp_path / "home" / "Pictures"
    pictures.mkdir(parents=True)
    for number in range(3):
        (pictures / f"{number}.jpg").touch()
    return tmp_path / "home"


def _environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIXLSRVE_", "XDG_", "SUDO_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}  # some are started elsewhere


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "setup", *arguments],
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_LIMIT_S,
        check=False,
    )


def _quiet_settings(file: Path, data_dir: Path, port: int) -> None:
    """A file without photo folders, for a daemon that bothers nobody else."""
    file.write_text(
        f'data_dir = "{data_dir}"\n[http]\nport = {port}\nhost = "127.0.0.1"\ntls = false\n'
        "[compat]\nwebsocket_port = 0\n[mdns]\nenabled = false\n[wireguard]\nenabled = false\n"
    )


def _pair(screen: str, port: int) -> int:
    """Join as a phone would, with the code that stands on the screen; the answer's status."""
    code = re.search(r"type ([A-Z0-9]{4}-[A-Z0-9]{4})", screen)
    assert code is not None, screen
    body = {"device_name": "Anna's phone", "device_type": "ios", "pairing_code": code[1]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/auth/pair", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # http to ourselves
        status: int = answer.status
        return status


def test_enter_is_enough_for_everything(home: Path, tmp_path: Path) -> None:
    """Issue 6, point 4: two questions, Enter takes both, and the first phone is in as administrator."""
    file, data_dir, port = tmp_path / "pixlsrve.toml", tmp_path / "data", free_port()
    _quiet_settings(file, data_dir, port)
    with Terminal([*COMMAND, "setup", "--config", str(file)], _environment(home), columns=180, rows=70) as terminal:
        screen = terminal.wait_for("[1]")
        assert f"1  {home / 'Pictures'}   3 photos and films" in screen
        terminal.type("\r")
        terminal.wait_for("[Y/n]")
        terminal.type("\r")
        screen = terminal.wait_for("left; Ctrl-C")
        assert _pair(screen, port) == 200
        terminal.wait_for("serves until Ctrl-C")
        (device,) = Control(data_dir).get("/devices")["devices"]
        assert device["role"] == "admin"
        terminal.type("\x03")
        assert terminal.end() == 0
    assert tomllib.loads(file.read_text())["photos"] == [str(home / "Pictures")]
    assert file.stat().st_mode & 0o777 == 0o600


def test_code_can_be_left_and_the_daemon_goes_on(home: Path, tmp_path: Path) -> None:
    """Control-C ends the code; the daemon serves on until the next one, and says how a phone comes in later."""
    file, data_dir = tmp_path / "pixlsrve.toml", tmp_path / "data"
    _quiet_settings(file, data_dir, free_port())
    with Terminal([*COMMAND, "setup", "--config", str(file)], _environment(home), columns=180, rows=70) as terminal:
        terminal.wait_for("[1]")
        terminal.type("\r")
        terminal.wait_for("[Y/n]")
        terminal.type("y\r")
        terminal.wait_for("left; Ctrl-C")
        terminal.type("\x03")
        terminal.wait_for("pixlsrve pair --admin")
        assert Control(data_dir).get("/status")["pid"]
        terminal.type("\x03")
        assert terminal.end() == 0


def test_wrong_answers_are_asked_again(home: Path, tmp_path: Path) -> None:
    """A folder that is not there and one that overlaps are said and asked again; nothing is written meanwhile."""
    file, data_dir = tmp_path / "pixlsrve.toml", tmp_path / "data"
    (data_dir / "inside").mkdir(parents=True)
    other = tmp_path / "two words"
    other.mkdir()
    options = ["--config", str(file), "--data-dir", str(data_dir)]
    with Terminal([*COMMAND, "setup", *options], _environment(home), columns=160) as terminal:
        terminal.wait_for("[1]")
        terminal.type("/no/such/folder\r")
        terminal.wait_for("There is no folder /no/such/folder.")
        terminal.type(f"{data_dir / 'inside'}\r")
        terminal.wait_for("overlap")
        assert not file.exists()
        terminal.type(f"1 '{other}'\r")
        terminal.wait_for("[Y/n]")
        terminal.type("n\r")
        terminal.wait_for("Next: pixlsrve serve --config")
        assert terminal.end() == 0
    assert tomllib.loads(file.read_text()) == {
        "photos": [str(home / "Pictures"), str(other)],
        "data_dir": str(data_dir),
    }


def test_without_a_terminal(home: Path, tmp_path: Path) -> None:
    """Nobody to ask: --yes takes the defaults, says one line of what to do next, and starts nothing."""
    refused = _run(home)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    file = tmp_path / "pixlsrve.toml"
    done = _run(home, "--yes", "--config", str(file), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Next: ") == 1
    assert tomllib.loads(file.read_text())["photos"] == [str(home / "Pictures")]
    assert not (tmp_path / "data").exists()
    again = _run(home, "--yes", "--config", str(file), "--data-dir", str(tmp_path / "data"))
    assert "Nothing has changed" in again.stdout


def test_settings_that_are_there_are_kept(home: Path, tmp_path: Path) -> None:
    """Nothing is overwritten silently: other keys and comments stay, folders that are set stay, a copy is kept."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text('# ours\nphotos = [\n  "/a",  # ]\n]\n[http]\nport = 9000  # as ever\n')
    kept = _run(home, "--yes", "--config", str(file), "--data-dir", str(tmp_path / "data"))
    assert kept.returncode == 0, kept.stderr
    assert tomllib.loads(file.read_text())["photos"] == ["/a"]
    done = _run(home, "--yes", "--config", str(file), "--photos", str(home / "Pictures"))
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert tomllib.loads(text)["photos"] == [str(home / "Pictures")]
    assert "# ours" in text
    assert "port = 9000  # as ever" in text
    assert '"/a"' in file.with_name("pixlsrve.toml.before-setup").read_text()


def test_broken_file_is_left_alone(home: Path, tmp_path: Path) -> None:
    """A file that is not TOML is named and stays as it is."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text("photos = [")
    done = _run(home, "--yes", "--config", str(file))
    assert done.returncode == 2
    assert "not valid TOML" in done.stderr
    assert file.read_text() == "photos = ["


def test_likely_folders(home: Path, tmp_path: Path) -> None:
    """The desktop's own name of the pictures folder, a camera's card, and a disk with many pictures are found."""
    (home / ".config").mkdir()
    (home / ".config" / "user-dirs.dirs").write_text('XDG_PICTURES_DIR="$HOME/Bildchen"\n')
    (home / "Bildchen").mkdir()
    (home / "Bildchen" / "a.HEIC").touch()
    card, disk, empty = (tmp_path / name for name in ("card", "disk", "empty"))
    for folder in (card / "DCIM" / "100X", disk / "2019", empty):
        folder.mkdir(parents=True)
    (card / "DCIM" / "100X" / "x.jpg").touch()
    for number in range(likely_folders.FEW):
        (disk / "2019" / f"{number}.jpg").touch()
    found = likely_folders.find(home, [card, disk, empty, tmp_path / "gone"])
    assert [(likely.path, likely.count) for likely in found] == [
        (home / "Bildchen", 1),
        (home / "Pictures", 3),
        (card / "DCIM", 1),
        (disk, likely_folders.FEW),
    ]


@pytest.fixture
def somebody(home: Path) -> Iterator[list[str]]:
    """What runs a command as a user without rights, to whom the home belongs."""
    if os.geteuid() != 0:
        yield []
        return
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing")
    for path in (home, *home.rglob("*")):
        os.chown(path, 64_311, 64_311)
    opened = [parent for parent in home.parents if not parent.stat().st_mode & 0o001]
    for parent in opened:
        parent.chmod(parent.stat().st_mode | 0o001)
    yield ["setpriv", "--reuid", "64311", "--regid", "64311", "--clear-groups"]
    for parent in opened:
        parent.chmod(parent.stat().st_mode & ~0o001)


def test_first_serve_asks(home: Path, somebody: list[str]) -> None:
    """Issue 6, point 4: `serve` on a terminal where nothing is set up asks, and writes the user's settings file."""
    command = [*somebody, *COMMAND, "serve"]
    with Terminal(command, _environment(home), columns=180, cwd=home) as terminal:
        terminal.wait_for("Nothing is set up yet")
        terminal.wait_for("[1]")
        terminal.type("\r")
        terminal.wait_for("[Y/n]")
        terminal.type("n\r")
        terminal.wait_for("Next: pixlsrve serve, and in a second terminal: pixlsrve pair --admin")
        assert terminal.end() == 0
    (file,) = home.rglob("pixlsrve.toml")
    assert tomllib.loads(file.read_text()) == {"photos": [str(home / "Pictures")]}
    assert file.stat().st_mode & 0o777 == 0o600
