"""The whole main job, done by the packed program in a Debian that has no Python; each step is a claim of the README.

    python -m tests.campaigns.binary dist/pixlsrve dist/pixlsrve-VERSION-linux-ARCH --cache DIR

prints one line a step for each program, and in the end one JSON object; exit code 1 when a step failed. Needs root,
debootstrap (once; the Debian stays in DIR) and what the tunnel's tests need. A program for another architecture is
tried in a Debian of that architecture, under emulation, which needs qemu-user-static and binfmt-support. Photos, films
and the phone with the stock WireGuard tools are made outside; in the Debian there is only the program, and an
environment that says nothing.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

from tests.campaigns.boot.machine import ENVIRONMENT, debian
from tests.campaigns.steps import failed_of
from tests.index.metadata.samples import sound, video
from tests.uploading import picture
from tests.wg.net import HOST_ADDRESS, Home, Phone, home_in, until

LIMIT_S, EMULATED_LIMIT_S = 180.0, 1_800.0
ANSWER_LIMIT_S, EMULATED_ANSWER_LIMIT_S = 30.0, 80.0
MACHINES = {62: ("x86_64", "amd64"), 183: ("aarch64", "arm64")}
"""ELF's e_machine (System V ABI, "ELF header"): the kernel's name of it, and Debian's."""
DATA, SECOND_DATA, PHOTOS, BACKUP = "/var/lib/tried", "/var/lib/restored", "/srv/photos", "/var/backups/host.backup"
LAN = f"http://{HOST_ADDRESS}:8080"
TUNNEL = "http://10.100.0.1:8080"
NAMES = {"one.jpg", "two.heic", "film.mp4", "song.mp3"}
PICTURES = ("one.jpg", "two.heic", "film.mp4")


class Tried:
    """One program in a fresh Debian, and the steps in their order; each leaves what the next one needs."""

    def __init__(self, root: Path, program: Path, home: Home) -> None:
        self.root, self.home = root, home
        self._is_emulated = bool(foreign(program))
        self._limit_s = EMULATED_LIMIT_S if self._is_emulated else LIMIT_S
        self._answer_limit_s = EMULATED_ANSWER_LIMIT_S if self._is_emulated else ANSWER_LIMIT_S
        self.phone: Phone = home.phone("phone", "192.0.2.20/24")
        self.token = ""
        self._folder = home.folder
        self._data = DATA
        self._daemon: subprocess.Popen[str] | None = None
        if program.is_dir():
            shutil.copytree(program, root / "opt/pixlsrve", symlinks=True)
            (root / "usr/bin/pixlsrve").symlink_to("/opt/pixlsrve/pixlsrve")
        else:
            shutil.copy2(program, root / "usr/bin/pixlsrve")
        if self._is_emulated:
            lend_nft(root)
        (root / "dev/net").mkdir(exist_ok=True)
        subprocess.run(["mknod", str(root / "dev/net/tun"), "c", "10", "200"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)

    def steps(self) -> list[Callable[[], None]]:
        """All of them."""
        first = [
            self.no_python,
            self.version,
            self.doctor,
            self.serve,
            self.index,
            self.pair,
            self.thumbnails,
            self.gallery,
        ]
        return [*first, self.settings, self.tunnel, self.upload, self.child_environment, self.backup, self.restore]

    def close(self) -> None:
        """End what runs, and unmount."""
        self._stop(signal.SIGKILL)
        subprocess.run(["umount", "-R", str(self.root)], check=False)

    def no_python(self) -> None:
        """The Debian has no Python, under no name."""
        assert self._run("sh", "-c", "command -v python3 python || true") == ""
        found = self._run(
            "find", "/usr", "/bin", "-name", "python*", "-perm", "/111", "(", "-type", "f", "-o", "-type", "l", ")"
        )
        assert found == "", found

    def version(self) -> None:
        """`--version` says the commit and the day it was built."""
        text = self._run("pixlsrve", "--version")
        assert re.search(r"\d+\.\d+.*\b[0-9a-f]{12}\b.*\d{4}-\d\d-\d\d", text), text

    def doctor(self) -> None:
        """`doctor` finds every library, and its decoding process starts."""
        found = json.loads(self._command("doctor", "--json", code=None))["findings"]
        checks = {finding["check"] for finding in found}
        assert not checks & {"library", "worker", "http_parser", "sqlite"}, found

    def serve(self) -> None:
        """It starts on photos, a HEIC, a film and a song, and says where it listens."""
        folder = self.root / PHOTOS.lstrip("/")
        folder.mkdir(parents=True)
        (folder / "one.jpg").write_bytes(picture(1))
        pillow_heif.from_pillow(Image.linear_gradient("L").convert("RGB").resize((640, 480))).save(folder / "two.heic")
        (folder / "film.mp4").write_bytes(video(codec="libx264", frames=40))
        (folder / "song.mp3").write_bytes(sound("mp3", "mp3"))
        self._start()

    def index(self) -> None:
        """Everything is indexed, and nothing stands among the problem files."""
        self._command("scan", "--wait")
        (root,) = (root for root in self._status()["photo_roots"] if root["path"] == PHOTOS)
        assert (root["state"], root["total_photos"]) == ("online", 3), root

    def pair(self) -> None:
        """A phone outside joins with the code that `pixlsrve pair` shows."""
        offer = json.loads(self._command("pair", "--admin", "--json", "--no-wait").splitlines()[0])
        body = {"device_name": "Phone", "device_type": "ios", "pairing_code": offer["code"]}
        answer = self._ask("/api/v1/auth/pair", body)
        self.token = answer["api_token"]
        self.phone.up(Phone.conf(answer["wireguard_config"]))

    def thumbnails(self) -> None:
        """The photo, the HEIC and the film have pictures that others can read."""
        photos = {photo["filename"]: photo for photo in self._ask("/api/v1/photos")["photos"]}
        assert set(PICTURES) <= photos.keys() <= NAMES, photos.keys()
        for name in PICTURES:
            with Image.open(io.BytesIO(self._bytes(f"/api/v1/photos/{photos[name]['id']}/thumbnail"))) as made:
                made.load()
                assert min(made.size) > 0

    def gallery(self) -> None:
        """The gallery's page comes with all its parts, which were compressed when it was built."""
        page = self._bytes("/").decode()
        parts = set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', page))
        assert any(part.endswith(".js") for part in parts), page
        for part in parts:
            assert len(self._bytes(part)) > 0
            head = self.phone.curl(LAN + part, "-o", "/dev/null", "-D", "-", "-H", "Accept-Encoding: gzip", limit_s=60)[
                1
            ]
            assert "content-encoding: gzip" in head.lower(), head

    def settings(self) -> None:
        """A setting changed through the API is in force, and in the file that outlives a restart."""
        lives = self._lives()
        changed = self._ask("/api/v1/host/settings", {"changes": {"mdns.name": "Tried"}}, method="PATCH")
        (setting,) = (setting for setting in changed["settings"] if setting["key"] == "mdns.name")
        assert (setting["value"], setting["source"]) == ("Tried", "page")
        assert "Tried" in (self.root / DATA.lstrip("/") / "settings.toml").read_text()
        until(lambda: self._lives() > lives and self._is_serving(), "the page after the settings", self._limit_s)

    def tunnel(self) -> None:
        """The phone reaches it through the tunnel."""
        until(lambda: self.phone.reaches(f"{TUNNEL}/healthz"), "the tunnel", self._limit_s)

    def upload(self) -> None:
        """A photo sent through the tunnel by tus is in the library when the answer says so, with its thumbnail."""
        data = picture(2, extra_bytes=300_000)
        sent = self._folder / "sent.jpg"
        sent.write_bytes(data)
        name = base64.b64encode(b"sent.jpg").decode()
        headers = ["Tus-Resumable: 1.0.0", f"Upload-Length: {len(data)}", f"Upload-Metadata: filename {name}"]
        headers += ["Content-Type: application/offset+octet-stream", f"Authorization: Bearer {self.token}"]
        options = [word for header in headers for word in ("-H", header)]
        code, head = self.phone.curl(
            f"{TUNNEL}/api/v1/uploads", *options, "--data-binary", f"@{sent}", "-D", "-", limit_s=60
        )
        found = re.search(r"^pixlsrve-photo-id: (\S+)", head, re.MULTILINE | re.IGNORECASE)
        assert code == 0, head
        assert found, head
        assert self._bytes(f"/api/v1/photos/{found[1]}/full", base=TUNNEL) == data
        with Image.open(io.BytesIO(self._bytes(f"/api/v1/photos/{found[1]}/thumbnail", base=TUNNEL))) as made:
            made.load()

    def child_environment(self) -> None:
        """Programs that it starts see nothing of the packed libraries."""
        environments = [
            (folder / "environ").read_bytes() for folder in Path("/proc").glob("[0-9]*") if self._is_gateway(folder)
        ]
        assert environments
        assert not [text for text in environments if b"LD_LIBRARY_PATH=" in text or b"_PYI" in text], environments

    def backup(self) -> None:
        """It is saved while it runs."""
        self._command("backup", "--with-uploads", BACKUP)
        assert (self.root / BACKUP.lstrip("/")).stat().st_mode & 0o777 == 0o600

    def restore(self) -> None:
        """Stopped in order; restored elsewhere it is the same host, which the phone reaches without pairing again."""
        before, names = self._ask("/api/v1/discovery/info")["host_id"], self._names()
        assert names >= {*PICTURES, "sent.jpg"}, names
        assert self._stop(signal.SIGTERM) == 0
        self._data = SECOND_DATA
        assert "would restore" in self._command("restore", "--dry-run", BACKUP)
        self._command("restore", BACKUP)
        self._start()
        assert self._ask("/api/v1/discovery/info")["host_id"] == before
        until(lambda: self._names() == names, "every photo", self._limit_s)
        until(lambda: self.phone.reaches(f"{TUNNEL}/healthz"), "the tunnel", self._limit_s)
        assert self._stop(signal.SIGTERM) == 0

    def _start(self) -> None:
        log = (self._folder / "log").open("a")
        command = self._inside("pixlsrve", "serve", "--photos", PHOTOS, "--data-dir", self._data, "--port", "8080")
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment())
        log.close()
        assert self._daemon.stdout is not None
        line = self._daemon.stdout.readline()
        assert line == "listening on http://127.0.0.1:8080\n", (line, (self._folder / "log").read_text()[-3_000:])

    def _stop(self, number: int) -> int | None:
        """End the daemon; its exit code, None where there is none."""
        if self._daemon is None:
            return None
        self._daemon.send_signal(number)
        code = self._daemon.wait(self._limit_s)
        assert self._daemon.stdout is not None
        self._daemon.stdout.close()
        self._daemon = None
        return code

    def _inside(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.home.host, "chroot", str(self.root), *command]

    def _environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "HOME": "/root", "PIXLSRVE_WIREGUARD__INTERFACE": self.home.interface}

    def _run(self, *command: str, code: int | None = 0) -> str:
        """Output of a command in the Debian; fails unless it exits with `code` (None: however)."""
        done = subprocess.run(
            self._inside(*command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(),
            timeout=self._limit_s,
            check=False,
        )
        assert code is None or done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _command(self, name: str, *arguments: str, code: int | None = 0) -> str:
        return self._run("pixlsrve", name, "--data-dir", self._data, *arguments, code=code)

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._command("status", "--json"))
        return found

    def _lives(self) -> int:
        """How often it has come up: the one before changed settings goes on answering for a moment."""
        return (self._folder / "log").read_text().count('"event": "ready"')

    def _is_serving(self) -> bool:
        return self.phone.reaches(f"{LAN}/healthz")

    def _bytes(self, path: str, *options: str, base: str = LAN) -> bytes:
        """Body of the answer to the phone, which must be a success; asked again where it says 503 and Retry-After."""
        out = self._folder / "answer"
        login = ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
        more = ["--retry", "3", "-o", str(out), "-w", "%{http_code}"]
        code, status = self.phone.curl(base + path, *login, *options, *more, limit_s=self._answer_limit_s)
        assert (code, status[-3:]) == (0, "200"), (path, status, out.read_bytes()[:500])
        return out.read_bytes()

    def _names(self) -> set[str]:
        return {photo["filename"] for photo in self._ask("/api/v1/photos")["photos"]}

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        options = ["-X", method, "-H", "Content-Type: application/json", "-d", json.dumps(body)] if body else []
        return json.loads(self._bytes(path, *options))

    def _is_gateway(self, folder: Path) -> bool:
        """Whether a process is this daemon's wireguard-go."""
        with contextlib.suppress(OSError):
            # Where it is emulated, the emulator's own name comes first.
            words = (folder / "cmdline").read_bytes().split(b"\0")[self._is_emulated :]
            return bool(words) and b"wireguard-go" in words[0] and self.home.interface.encode() in words
        return False


def foreign(program: Path) -> str:
    """Debian's name of the architecture that a program is for; empty where that is this machine's."""
    with (program / "pixlsrve" if program.is_dir() else program).open("rb") as file:
        (number,) = struct.unpack("<H", file.read(20)[18:])
    machine, name = MACHINES[number]
    return "" if machine == platform.machine() else name


def lend_nft(root: Path) -> None:
    """This machine's own nft, with its libraries, in a root of another architecture: QEMU lacks its kind of netlink."""
    program = shutil.which("nft")
    assert program is not None
    listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    for file in (program, *re.findall(r"(/\S+) \(0x", listing)):
        place = root / file.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copy2(file, place)


def tried(program: Path, cache: Path) -> list[str]:
    """The steps that failed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache)))
        home = stack.enter_context(home_in(folder))
        case = Tried(debian(cache, folder / "machine", foreign(program)), program, home)
        stack.callback(case.close)
        failed = failed_of(case.steps())
        if failed:
            print((folder / "log").read_text()[-5_000:])
    return failed


def main() -> int:
    """Try each program; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.binary")
    parser.add_argument("programs", type=Path, nargs="+", help="the folder of the packed program, or the single file")
    parser.add_argument("--cache", type=Path, required=True, help="where the Debian is kept between runs")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    failed: dict[str, list[str]] = {}
    for program in arguments.programs:
        print(f"{program.name}:", flush=True)
        failed[program.name] = tried(program, arguments.cache.absolute())
    print(json.dumps({"failed": failed}))
    return 1 if any(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
