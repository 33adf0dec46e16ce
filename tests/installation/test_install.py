"""`pixlsrve install` and `uninstall`: the files that they write and remove; tests/campaigns/boot boots with them."""

from __future__ import annotations

import getpass
import os
import plistlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pixlsrve.errors import ConfigError, StartError
from pixlsrve.installation import launchd, place
from pixlsrve.installation.settings import template, with_photos
from pixlsrve.installation.systemd import SERVICE, SOCKET, TUNNEL, UNITS, Systemd, unit
from tests.daemon import COMMAND

ETC = Path("etc/systemd/system")
SETTINGS = Path("etc/pixlsrve/pixlsrve.toml")
PROGRAM = Path("/opt/pixlsrve/pixlsrve")


def _files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def _values(path: Path, key: str) -> list[str]:
    return [line.partition("=")[2] for line in path.read_text().splitlines() if line.startswith(f"{key}=")]


def test_files_name_program_user_and_photos(tmp_path: Path) -> None:
    """The units start the program that installs them, for the user that was named; the photos stand in the settings."""
    me = getpass.getuser()
    Systemd(root=tmp_path).install(PROGRAM, me, ["/srv/photos"])
    assert _values(tmp_path / ETC / SERVICE, "ExecStart") == [f"{PROGRAM} serve"]
    assert _values(tmp_path / ETC / SERVICE, "User") == [me]
    assert _values(tmp_path / ETC / TUNNEL, "ExecStart") == [f"{PROGRAM} tunnel-helper --user {me}"]
    assert _values(tmp_path / ETC / TUNNEL, "User") == ["pixlsrve-tunnel"]
    assert _values(tmp_path / ETC / SOCKET, "SocketUser") == [me]
    assert tomllib.loads((tmp_path / SETTINGS).read_text())["photos"] == ["/srv/photos"]
    assert "u pixlsrve-tunnel " in (tmp_path / "etc/sysusers.d/pixlsrve.conf").read_text()


def test_uninstall_keeps_the_settings_and_says_so(tmp_path: Path) -> None:
    """What was installed is gone, settings stay, and a second time is told that there is nothing."""
    system = Systemd(root=tmp_path)
    system.install(PROGRAM, "pixlsrve", [])
    assert {(ETC / name).as_posix() for name in UNITS} <= _files(tmp_path)
    system.uninstall()
    assert _files(tmp_path) == {SETTINGS.as_posix()}
    assert any("/var/lib/pixlsrve" in line for line in system.said)
    with pytest.raises(StartError, match="no service"):
        system.uninstall()


def test_beside_a_package_only_the_user_is_written(tmp_path: Path) -> None:
    """Where a package brought the units, another user comes as drop-ins, and uninstalling removes these only."""
    packaged = tmp_path / "lib/systemd/system" / SERVICE
    packaged.parent.mkdir(parents=True)
    packaged.write_text("")
    before = _files(tmp_path)
    system = Systemd(root=tmp_path)
    system.install(PROGRAM, getpass.getuser(), [])
    assert not (tmp_path / ETC / SERVICE).exists()
    assert _values(tmp_path / ETC / f"{SERVICE}.d/run-as.conf", "User") == [getpass.getuser()]
    started = _values(tmp_path / ETC / f"{TUNNEL}.d/run-as.conf", "ExecStart")
    assert started == ["", f"/usr/bin/pixlsrve tunnel-helper --user {getpass.getuser()}"]
    system.uninstall()
    assert _files(tmp_path) == before | {SETTINGS.as_posix()}


def test_commands_write_below_another_root(tmp_path: Path) -> None:
    """The commands themselves do the same, without root's rights, where --root says so."""
    for command in (["install", "--photos", "/srv/photos"], ["uninstall"]):
        done = subprocess.run(
            [*COMMAND, *command, "--root", str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == (1 if _no_program() else 0), done.stderr
    if not _no_program():
        assert _files(tmp_path) == {SETTINGS.as_posix()}


def _no_program() -> bool:
    return not Path(sys.executable).with_name("pixlsrve").is_file()


def test_unknown_users_and_odd_paths_are_refused(tmp_path: Path) -> None:
    """Nothing is written for a user that is none, or for a path that a unit would read otherwise."""
    with pytest.raises(StartError, match="no user nobody-here"):
        Systemd(root=tmp_path).install(PROGRAM, "nobody-here", [])
    assert _files(tmp_path) == set()
    for odd in ("/opt/my photos/pixlsrve", "/opt/%h/pixlsrve", "/opt/$HOME/pixlsrve"):
        with pytest.raises(StartError, match="another place"):
            unit(SERVICE, Path(odd), "pixlsrve", "pixlsrve")


@pytest.mark.skipif(os.geteuid() != 0, reason="the other user is root's to choose")
def test_program_in_a_closed_folder_is_refused(tmp_path: Path) -> None:
    """A program that the service's user can't reach is told beforehand, with what to do."""
    tmp_path.chmod(0o700)
    (tmp_path / "pixlsrve").touch(0o755)
    with pytest.raises(StartError, match="--run-as"):
        place.check_reachable(tmp_path / "pixlsrve", "nobody")


def test_settings_keep_what_stands_in_them() -> None:
    """Photo folders are added to the settings; comments and other settings stay as they are."""
    text = with_photos(template(), ["/a b/ü"])
    assert tomllib.loads(text)["photos"] == ["/a b/ü"]
    assert text.count("#") == template().count("#") - 1
    assert tomllib.loads(with_photos(text, ["/c", "/a b/ü"]))["photos"] == ["/a b/ü", "/c"]
    assert with_photos(text, []) == text
    assert tomllib.loads(with_photos("[http]\nport = 1\n", ["/a"])) == {"photos": ["/a"], "http": {"port": 1}}
    for written in ('photos = [\n  "/a", # ]\n]\n', '#photos = []\nphotos = ["/a"]\n'):
        assert tomllib.loads(with_photos(written, ["/b"]))["photos"] == ["/a", "/b"]
    assert tomllib.loads(with_photos('#photos = ["/x"]\nphotos = []\n', ["/b"]))["photos"] == ["/b"]
    with pytest.raises(ConfigError, match="not valid"):
        with_photos("photos = [", ["/b"])


def test_settings_come_with_the_defaults() -> None:
    """The file that is installed changes nothing by itself, and each key that it shows is known, with its default."""
    from pixlsrve.config import load

    assert load(flags={**tomllib.loads(template()), "data_dir": "/x"}, env={}) == load(flags={"data_dir": "/x"}, env={})
    lines = [
        line.removeprefix("#") if line[:1] == "#" and line[1:2].isalpha() else line for line in template().splitlines()
    ]
    shown = tomllib.loads("\n".join(lines))
    assert shown.pop("photos") == ["/srv/photos"]
    storage = shown.pop("storage_dir")
    assert load(flags={**shown, "data_dir": "/var/lib/pixlsrve"}, env={}).storage_dir == storage


def test_launchd_job_is_a_property_list(tmp_path: Path) -> None:
    """The job for macOS starts at boot and after a crash, and is loaded, replaced and removed by launchctl."""
    called: list[list[str]] = []
    path = tmp_path / "job.plist"
    launchd.install(PROGRAM, "anna", ["/Users/anna/Pictures"], called.append, path)
    job = plistlib.loads(path.read_bytes())
    assert job["ProgramArguments"] == [str(PROGRAM), "serve", "--photos", "/Users/anna/Pictures"]
    assert (job["UserName"], job["RunAtLoad"]) == ("anna", True)
    launchd.install(PROGRAM, "anna", [], called.append, path)
    launchd.uninstall(called.append, path)
    launchd.uninstall(called.append, path)
    assert [command[1] for command in called] == ["bootstrap", "bootout", "bootstrap", "bootout"]
    assert not path.exists()
