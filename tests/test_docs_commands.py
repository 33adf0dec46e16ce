"""Every command in the documentation is run, against a real daemon in a folder of its own, or says why it can't be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.daemon import START_LIMIT_S, Daemon
from tests.library import jpeg
from tests.terminal import Terminal

REPOSITORY = Path(__file__).parents[1]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
FENCE = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.M | re.S)
PASSWORD = "correct horse battery"

ELSEWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install": "takes minutes; test_documentation.py compares it in all places",
    "python3 -m venv build/docs": "fetches MkDocs; .ci/run does it",
    "NO_MKDOCS_2_WARNING=1 build/docs": "needs MkDocs; .ci/run builds the site, tests/test_site.py looks at it",
    "./check": "is what runs this test",
    "python docs/make_recording.py": "records for half a minute what tests/cli/test_setup.py does",
    "requirements/lock": "asks the package registry for every version",
    "sudo .venv/bin/python -m tests.qemu": "boots a machine; part of a release's stages",
    "sudo .venv/bin/python -m tests.campaigns.binary": "needs root and the packed program; part of a release's stages",
    "sudo .venv/bin/python -m tests.campaigns.small_machine": "boots a machine; part of a release's stages",
    "python -m tests.campaigns.": "a campaign of hours, with an old Python",
    "python -m websockets": "waits for typing; tests/http/flutter/ talks to the same socket",
    "pixlsrve setup": "asks; tests/cli/test_setup.py answers",
    "sudo pixlsrve setup": "asks, and writes the service's settings as root; tests/cli/test_setup.py answers",
    "packaging/build": "takes minutes; a release's stage",
    "sudo apt-get install ./pixlsrve": "needs root and the package; tests/campaigns/boot does it in a booted machine",
    "sudo pixlsrve pair": "needs the installed service; tests/campaigns/boot does it in a booted machine",
    "tar -xzf pixlsrve": "needs the archive; tests/campaigns/boot unpacks it in a booted machine",
    "sudo pixlsrve/install.sh": "needs root and systemd; tests/campaigns/boot does it in a booted machine",
    "sudo apt install": "needs root and the package; tried when a package is made",
    "sudo pixlsrve install": "needs root and systemd; tried in a booted machine",
    "sudo pixlsrve uninstall": "needs root and systemd; tried in a booted machine",
    "sudo systemctl": "needs root and systemd",
    "systemctl": "needs systemd",
    "journalctl": "needs systemd",
    "sudo mkdir": "needs root",
    "sudo mount": "needs root and a disk",
    "sudo pixlsrve backup": "needs root; tests/cli tries it without",
    "sudo pixlsrve restore": "needs root, and a daemon that is stopped; tests/cli tries it without",
    "lsblk": "needs a disk",
    'curl -X POST -H "Authorization: Bearer $TOKEN"': "needs a device that listens; tests/http/devices/ has one",
    'curl -H "Content-Type: application/json"': "needs a login provider's token; tests/http/doors/ has one",
}
"""Beginnings of commands that can't be run here, each with the reason."""

SERVES = ("pixlsrve serve", "pixlsrve agent")
WAITS = re.compile(r"pixlsrve pair(?!.*--no-wait)")
ASKS = re.compile(r"pixlsrve user (add(?!.*--password-stdin)|passwd)")


class Line(NamedTuple):
    """A command and where it stands."""

    page: str
    command: str


def _lines(page: Path) -> Iterator[Line]:
    """The commands of a page, those of several lines put together."""
    for indent, block in FENCE.findall(page.read_text("utf-8")):
        text = re.sub(r"(?:\\|(?<=&&))\n\s*", " ", textwrap.dedent(block) if indent else block)
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                yield Line(page.relative_to(REPOSITORY).as_posix(), re.sub(r" +", " ", line.strip()))


ALL = [line for page in PAGES for line in _lines(page)]
HERE = list(dict.fromkeys(line for line in ALL if not line.command.startswith(tuple(ELSEWHERE))))


class Sandbox:
    """A home with pictures and music, a daemon, and an account and devices as the documentation speaks of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        for name in ("Pictures", "Music", "srv/photos", "mnt/stick"):
            (self.home / name if "/" not in name else folder / name).mkdir(parents=True)
        (self.home / "Pictures" / "a.jpg").write_bytes(jpeg((200, 30, 30)))
        (folder / "bin").mkdir()
        program = folder / "bin" / "pixlsrve"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pixlsrve "$@"\n')
        program.chmod(0o755)
        (self.home / "password.txt").write_text(PASSWORD + "\n")
        data_dir = self.home / ".local" / "share" / "pixlsrve"
        provider = {"PIXLSRVE_SOCIAL__HOME__CLIENT_ID": "x", "PIXLSRVE_SOCIAL__HOME__ISSUER": "https://id.example.org"}
        self.daemon = Daemon(data_dir, "--photos", str(self.home / "Pictures"), env=provider).start()
        self.daemon.wait_indexed()
        self.run("pixlsrve user add --admin --password-stdin keeper < ~/password.txt")

    def environment(self, *, is_daemon: bool = False) -> dict[str, str]:
        """Of a command; a second daemon has its own data directory."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIXLSRVE_")}
        data_dir = self.folder / "second" if is_daemon else self.daemon.data_dir
        quiet = {"PIXLSRVE_MDNS__ENABLED": "false", "PIXLSRVE_WIREGUARD__ENABLED": "false", "PIXLSRVE_HTTP__PORT": "0"}
        own = {"HOME": str(self.home), "PIXLSRVE_DATA_DIR": str(data_dir), "PYTHONPATH": str(REPOSITORY)}
        return {**kept, **own, **quiet, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PS1": "$ "}

    def fit(self, command: str) -> str:
        """The command with this daemon's address, and with folders and ids that there are."""
        fitted = re.sub(r"http://(127\.0\.0\.1|192\.168\.1\.2|HOST|localhost):8080", self.daemon.url, command)
        fitted = re.sub(r"--port (8000|8080|8766)", "--port 0", fitted) if command.startswith(SERVES) else fitted
        fitted = re.sub(r"(?<![\w/])/(srv|mnt)/", f"{self.folder}/\\1/", fitted)
        for name in re.findall(rf"{self.folder}/(?:srv|mnt)/\S+", fitted):
            (Path(name) if command.startswith(SERVES) else Path(name).parent).mkdir(parents=True, exist_ok=True)
        if "ABCD2345" in fitted:
            fitted = fitted.replace("ABCD2345", json.loads(self.daemon.cli("pair", "--no-wait", "--json"))["code"])
        if fitted.endswith("token revoke ID"):
            self.daemon.token()
            fitted = fitted.replace("ID", json.loads(self.daemon.cli("token", "list", "--json"))[-1]["id"])
        return fitted

    def prepare(self, command: str) -> None:
        """What must be there, or not there yet."""
        users = {user["username"] for user in json.loads(self.daemon.cli("user", "list", "--json"))}
        if "user add" in command and "anna" in users:
            self.daemon.cli("user", "remove", "anna")
        elif "anna" in command and "user add" not in command and "anna" not in users:
            self.run("pixlsrve user add --admin --password-stdin anna < ~/password.txt")
        if command.startswith("pixlsrve revoke"):
            there = {device["device_name"] for device in json.loads(self.daemon.cli("devices", "--json"))}
            for name in sorted({"Tablet", "Laptop", "Television", "Anna's phone"} - there):
                self.join(json.loads(self.daemon.cli("pair", "--no-wait", "--json"))["code"], name)

    def join(self, code: str, name: str = "Phone") -> None:
        """A device comes in by a code."""
        body = {"device_name": name, "device_type": "ios", "pairing_code": code}
        address = f"{self.daemon.url}/api/v1/auth/pair"
        request = urllib.request.Request(  # noqa: S310  # http to ourselves
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # as above
            assert answer.status == 200

    def run(self, command: str) -> None:
        """Run a shell line; fails unless it ends well."""
        done = subprocess.run(
            ["sh", "-ec", f"cd; TOKEN=$(pixlsrve token --admin); {command}"],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert '"error"' not in done.stdout, done.stdout

    def run_until_told(self, command: str) -> None:
        """Run what serves until SIGTERM: it says that it listens, and ends well."""
        process = subprocess.Popen(
            ["sh", "-c", f"cd; exec {command}"],
            env=self.environment(is_daemon=True),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert "listening" in next((line for line in process.stdout if "listening" in line), "")
            process.terminate()
            assert process.wait(START_LIMIT_S) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close() if process.stdout else None

    def run_at_a_terminal(self, command: str, *, joins: bool) -> None:
        """Run what waits for a phone or asks for a password."""
        with Terminal(["sh", "-c", f"cd; {command}"], self.environment(), columns=120, rows=70) as terminal:
            if joins:
                screen = terminal.wait_until(lambda text: re.search(r"type \w{4}-\w{4}", text) is not None)
                code = re.search(r"type (\w{4}-\w{4})", screen)
                assert code is not None
                self.join(code[1])
            else:
                terminal.wait_for("Password")
                terminal.type(PASSWORD + "\r")
                terminal.wait_for("again")
                terminal.type(PASSWORD + "\r")
            assert terminal.end() == 0, terminal.text


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One for all commands."""
    made = Sandbox(tmp_path_factory.mktemp("docs"))
    yield made
    made.daemon.stop()


@pytest.mark.parametrize("line", HERE, ids=lambda line: f"{line.page}: {line.command}")
def test_command_works(line: Line, sandbox: Sandbox) -> None:
    """Issue 6, point 8: what the documentation says to type works as it stands."""
    sandbox.prepare(line.command)
    command = sandbox.fit(line.command)
    if line.command.startswith(SERVES):
        sandbox.run_until_told(command)
    elif WAITS.match(command) or ASKS.match(command):
        sandbox.run_at_a_terminal(command, joins=WAITS.match(command) is not None)
    else:
        sandbox.run(command)


@pytest.mark.parametrize("beginning", ELSEWHERE, ids=str)
def test_what_is_not_run_still_stands_there(beginning: str) -> None:
    """A reason goes when its command goes; `systemctl` and `journalctl` are for pages of the service."""
    if beginning in ("systemctl", "journalctl", "sudo systemctl"):
        return
    assert any(line.command.startswith(beginning) for line in ALL), beginning
