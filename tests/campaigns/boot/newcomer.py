"""Somebody new: from a Debian that has just booted to the first photo on a phone, typed as the documentation says."""

from __future__ import annotations

import json
import shutil
import time
import urllib.parse
from pathlib import Path
from typing import Any

from benchmarks import harness
from tests.campaigns.boot.machine import ENVIRONMENT, Machine
from tests.terminal import Terminal
from tests.wg.net import HOST_ADDRESS, Home, until

PERSON, PASSWORD = "anna", "correct horse"
PHOTOS = 40
DISK = "/media/disk"
TYPED_A_SECOND = 3.3
"""Forty words a minute, the pace of somebody who types with some practice."""
LIMIT_S = 300.0
_URL = f"http://{HOST_ADDRESS}:8080"
_PROMPT = ":~$"


class Newcomer:
    """A person with a shell, a downloaded package in the home, a disk of photos that is mounted, and a phone."""

    def __init__(self, machine: Machine, home: Home, package: Path) -> None:
        self.figures: dict[str, Any] = {}
        self._machine, self._package = machine, package
        self._phone = home.phone("phone", "192.0.2.20/24")
        self._typed: list[str] = []
        self._terminal: Terminal | None = None

    def first_photo(self) -> None:
        """Installing, setting up, pairing with the code on the screen, and the first thumbnail; each key is counted."""
        self._prepare()
        inside = ["nsenter", "-t", str(self._machine.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        shell = [*inside, "runuser", "--login", PERSON]
        with Terminal(shell, ENVIRONMENT, columns=100, rows=60, limit_s=LIMIT_S) as self._terminal:
            self._terminal.wait_for(_PROMPT)
            began_s = time.monotonic()
            self._install()
            installed_s = time.monotonic()
            url = self._set_up()
            offered_s = time.monotonic()
            token = self._pair(url)
            size_bytes = self._thumbnail(token)
            ended_s = time.monotonic()
        characters = sum(map(len, self._typed))
        self.figures = {
            "seconds": round(ended_s - began_s, 1),
            "of_it_apt_install": round(installed_s - began_s, 1),
            "of_it_setup_to_the_code": round(offered_s - installed_s, 1),
            "of_it_pairing_and_the_thumbnail": round(ended_s - offered_s, 1),
            "commands": 2,
            "answers": len(self._typed) - 2,
            "steps": len(self._typed) + 1,
            "typed_characters": characters,
            "seconds_with_typing": round(ended_s - began_s + characters / TYPED_A_SECOND, 1),
            "thumbnail_bytes": size_bytes,
        }

    def _prepare(self) -> None:
        """What is there before: the person's account, the download, and the disk."""
        run, root = self._machine.run, self._machine.root
        run("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", PERSON)
        run("chpasswd", text=f"{PERSON}:{PASSWORD}\n")
        shutil.copy(self._package, root / "home" / PERSON / self._package.name)
        harness.make_photos(root / "opt/disk/DCIM", PHOTOS, scenes=4)
        run("mkdir", "-p", DISK)
        run("mount", "--bind", "/opt/disk", DISK)

    def _install(self) -> None:
        """docs/install-debian.md, 1."""
        self._press(f"sudo apt install ./{self._package.name}\r")
        self._wait_for("password for")
        self._press(f"{PASSWORD}\r")
        self._wait_for("Next: `sudo pixlsrve setup`")
        self._wait_until_prompt()

    def _set_up(self) -> str:
        """docs/install-debian.md, 2: Enter takes what stands in brackets; the address that a camera reads."""
        self._press("sudo pixlsrve setup\r")
        assert f"{DISK}/DCIM   {PHOTOS} photos" in self._wait_for("Numbers or folders")
        self._press("\r")
        self._wait_for("let your phone in as administrator?")
        self._press("\r")
        assert self._terminal is not None
        return self._terminal.wait_for_code()

    def _pair(self, url: str) -> str:
        """The phone joins with the code of the address, as the page that a camera opens does; its token."""
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(url).fragment)["c"][0]
        assert url.startswith(f"{_URL}/pair#"), url
        body = {"device_name": "Anna's phone", "device_type": "ios", "pairing_code": code}
        answer = self._ask("auth/pair", "-H", "Content-Type: application/json", "-d", json.dumps(body))
        return str(answer["api_token"])

    def _thumbnail(self, token: str) -> int:
        """The bytes of the first picture that the phone shows."""
        login = ("-H", f"Authorization: Bearer {token}")
        found: list[dict[str, Any]] = []

        def is_listed() -> bool:
            found[:] = self._ask("photos?limit=1", *login)["photos"]
            return bool(found)

        until(is_listed, "the first photo", LIMIT_S)
        words = (*login, "-o", "/dev/null", "--retry", "20", "-w", "%{http_code} %{content_type} %{size_download}")
        code, out = self._phone.curl(f"{_URL}/api/v1/photos/{found[0]['id']}/thumbnail", *words, limit_s=60)
        status, kind, size = out.split()[-3:]
        assert (code, status, kind) == (0, "200", "image/jpeg"), out
        return int(size)

    def _ask(self, path: str, *options: str) -> Any:
        code, out = self._phone.curl(f"{_URL}/api/v1/{path}", "--fail-with-body", *options, limit_s=60)
        assert code == 0, out
        return json.loads(out)

    def _press(self, keys: str) -> None:
        assert self._terminal is not None
        self._typed.append(keys)
        self._terminal.type(keys)

    def _wait_for(self, words: str) -> str:
        assert self._terminal is not None
        return self._terminal.wait_for(words)

    def _wait_until_prompt(self) -> None:
        assert self._terminal is not None
        self._terminal.wait_until(lambda text: text.rstrip().endswith(_PROMPT))
