"""The commands that talk to the daemon, and those that don't need one."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from pixlsrve import __version__
from pixlsrve.cli.main import cli
from tests.daemon import COMMAND, Daemon, StartDaemon


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=180)


def test_version() -> None:
    """--version says name and version."""
    done = _run("--version")
    assert (done.returncode, done.stdout) == (0, f"pixlsrve {__version__}\n")


def test_version_loads_nothing_heavy() -> None:
    """A command starts as fast as its own parts allow."""
    code = (
        "import sys; from pixlsrve.cli.main import run; run(['--version']); "
        "print({'aiohttp', 'rich', 'PIL', 'msgspec', 'structlog'} & set(sys.modules))"
    )
    done = subprocess.run([COMMAND[0], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("name", [*cli.list_commands(None), "token list", "token revoke", "user add", "user list"])  # type: ignore[arg-type]
def test_every_command_has_help_with_an_example(name: str) -> None:
    """--help explains, and shows a line to copy."""
    done = _run(*name.split(), "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout
    assert "pixlsrve " in done.stdout.split("Example:")[1]


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["scan"], ["token"], ["token", "list"], ["pair"], ["devices"], ["revoke", "1"], ["user", "list"]],
)
def test_command_without_a_daemon_exits_with_3(tmp_path: Path, arguments: list[str]) -> None:
    """Where no daemon runs the command says so, and what to do."""
    done = _run(arguments[0], "--data-dir", str(tmp_path), *arguments[1:])
    assert (done.returncode, done.stdout) == (3, "")
    assert "pixlsrve serve" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["token", "list"], ["token", "revoke", "0" * 32], ["user", "list"], ["user", "invite"]]
)
def test_data_dir_may_stand_after_the_sub_command(tmp_path: Path, arguments: list[str]) -> None:
    """--data-dir says which daemon, wherever it stands."""
    for place in (1, len(arguments)):
        done = _run(*arguments[:place], "--data-dir", str(tmp_path / "here"), *arguments[place:])
        assert done.returncode == 3
        assert str(tmp_path / "here") in done.stderr


def test_command_after_a_crash_exits_with_3(daemon: Daemon) -> None:
    """A socket that a killed daemon left is no daemon."""
    daemon.stop(signal.SIGKILL)
    daemon.cli("status", code=3)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["token", "--expires", "soon"], ["token", "revoke", "x"]]
)
def test_usage_error_exits_with_2(arguments: list[str]) -> None:
    """A wrong command line is explained on standard error."""
    done = _run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--port", "many"], "many is not a whole number from 0 to 65535."),
        (["serve", "--port", "65536"], "65536 is not a whole number from 0 to 65535."),
        (["serve", "--rescan-interval", "-1"], "-1 is not a whole number from 0 on."),
        (["pair", "--timeout", "301"], "301 is not a whole number from 1 to 300."),
    ],
)
def test_wrong_number_is_refused_with_what_is_allowed(arguments: list[str], said: str) -> None:
    """A number that is none, or is out of bounds, is named with its option and the bounds."""
    done = _run(*arguments)
    assert done.returncode == 2
    assert f"'{arguments[1]}': {said}" in done.stderr


def test_status_for_people_and_programs(daemon: Daemon) -> None:
    """Version, process, addresses, host, folders with their state, and how far the indexing is."""
    daemon.wait_indexed()
    answer = json.loads(daemon.cli("status", "--json"))
    assert answer["version"] == __version__
    assert answer["pid"] == daemon.pid
    assert answer["urls"] == [daemon.url, f"https://127.0.0.1:{answer['ports']['https']}"]
    assert answer["ports"]["http"] == daemon.port
    photos = str(daemon.data_dir.parent / "photos")
    assert [(root["state"], root["total_photos"]) for root in answer["photo_roots"] if root["path"] == photos] == [
        ("online", 0)
    ]
    assert answer["indexing_status"]["in_progress"] is False
    text = daemon.cli("status")
    assert photos in text
    assert daemon.url in text
    assert answer["host_id"] in text


def test_token_opens_and_its_revocation_closes(daemon: Daemon) -> None:
    """T7, T16: a token works from a script, has the role that was stored, is listed, and fails once withdrawn."""
    member, admin = daemon.token(), daemon.token(admin=True)
    assert daemon.get("/api/v1/openapi.json", member)[0] == 200
    listed = json.loads(daemon.cli("token", "list", "--json"))
    assert [row["role"] for row in listed] == ["member", "admin"]
    assert member not in json.dumps(listed)
    daemon.cli("token", "revoke", listed[1]["id"])
    assert [row["role"] for row in json.loads(daemon.cli("token", "list", "--json"))] == ["member"]
    rows = {row["id"] for row in json.loads(daemon.cli("token", "list", "--json"))}
    assert listed[0]["id"] in rows
    status, answer = daemon.get("/api/v1/host/status", admin)
    if status != 404:
        assert (status, answer["error"]["code"]) == (401, "DEVICE_REVOKED")
    assert listed[0]["id"] in daemon.cli("token", "list")
    daemon.stop()
    assert member not in daemon.log
    assert admin not in daemon.log


def test_unknown_token_is_not_revoked(daemon: Daemon) -> None:
    """Withdrawing what isn't there fails with a sentence."""
    daemon.cli("token", "revoke", "0" * 32, code=1)


def test_scan_waits_for_the_end(daemon: Daemon) -> None:
    """`scan --wait` returns when everything is indexed; without it, at once."""
    assert json.loads(daemon.cli("scan", "--json"))["status"] == "started"
    answer = daemon.wait_indexed()
    assert answer["status"] == "finished"
    assert answer["indexing_status"]["in_progress"] is False
    assert "indexed" in daemon.cli("scan", "--wait", "--full")


def test_commands_reach_a_daemon_in_a_deep_folder(daemons: StartDaemon, tmp_path: Path) -> None:
    """A data directory whose name is longer than a socket address works."""
    daemon = daemons(data_dir=tmp_path / ("d" * 100) / ("e" * 100)).start()
    assert json.loads(daemon.cli("status", "--json"))["pid"] == daemon.pid


def test_doctor_with_a_healthy_daemon(daemon: Daemon) -> None:
    """Silence but for one line when all is well."""
    found = json.loads(daemon.cli("doctor", "--json"))
    assert (found["ok"], found["findings"]) == (True, [])
    assert found["reachability"]["answer"] == "off"
    assert daemon.cli("doctor").startswith("all fine\nfrom outside: ")


def test_doctor_finds_the_missing_disk(daemons: StartDaemon, tmp_path: Path) -> None:
    """What is wrong stands there with its remedy, and the exit code is 1."""
    daemon = daemons("--photos", str(tmp_path / "nowhere")).start()
    answer = json.loads(daemon.cli("doctor", "--json", code=1))
    assert answer["ok"] is False
    assert "root_missing" in [finding["check"] for finding in answer["findings"]]
    assert all(finding["message"] and finding["remedy"] for finding in answer["findings"])
