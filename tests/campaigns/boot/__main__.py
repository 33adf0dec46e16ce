"""What a household does with the package, on a Debian that really boots; each step is a claim of docs/install.md.

    python -m tests.campaigns.boot DEB --cache DIR [--archive TARBALL]

prints one line a step and in the end one JSON object; exit code 1 when a step failed. Needs root, systemd-nspawn,
debootstrap (once; the root stays in DIR) and what the tunnel's tests need. A phone with the stock WireGuard tools
stands in a network namespace outside. `first_photo` has a machine of its own; `--first-photo` takes no other step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.campaigns.boot.machine import Machine
from tests.campaigns.boot.newcomer import Newcomer
from tests.campaigns.steps import failed_of
from tests.wg.net import HOST_ADDRESS, Home, Phone, home_in, inside, until

LIMIT_S = 180.0
SERVICE, TUNNEL, SOCKET = "pixlsrve.service", "pixlsrve-tunnel.service", "pixlsrve-tunnel.socket"
URL = f"http://{HOST_ADDRESS}:8080"
SHORT_WATCHDOG_S = 5
_SETTINGS = "/etc/pixlsrve/pixlsrve.toml"


class Boot:
    """The steps, in their order; each leaves what the next one needs."""

    def __init__(self, machine: Machine, home: Home, package: Path, archive: Path | None) -> None:
        self.machine, self.home, self.package, self.archive = machine, home, package, archive
        self.figures: dict[str, Any] = {}
        self.phone: Phone = home.phone("phone", "192.0.2.20/24")
        self.token = ""

    def steps(self) -> list[Callable[[], None]]:
        """All of them."""
        first = [self.install, self.units_are_clean, self.rights, self.pair, self.tunnel]
        then = [self.kill, self.hang, self.helper_killed, self.late_disk, self.stop_and_start, self.reload]
        last = [self.reboot, self.full_disk, self.remove_and_purge, self.archive_installs]
        return [*first, *then, *last]

    def install(self) -> None:
        """`dpkg -i` enables and starts it, and says in one line what is next."""
        out = self._put_package()
        assert sum("Next: `sudo pixlsrve" in line for line in out.splitlines()) == 1, out
        self.wait_serving()
        assert self.machine.show(SERVICE, "UnitFileState") == "enabled"
        assert "listening on" in self.machine.show(SERVICE, "StatusText")
        memory = self.machine.show(SERVICE, "MemoryCurrent")
        if memory.isdigit():  # nspawn on some systems does not count it
            self.figures["memory_after_start_mb"] = round(int(memory) / 1e6)

    def units_are_clean(self) -> None:
        """`systemd-analyze verify` finds nothing, and the exposure is at most 1.5 for the service."""
        out = self.machine.run("systemd-analyze", "verify", SERVICE, TUNNEL, SOCKET)
        assert not [line for line in out.splitlines() if "pixlsrve" in line], out
        for unit, name in ((SERVICE, "exposure"), (TUNNEL, "exposure_of_the_helper")):
            lines = self.machine.run("systemd-analyze", "security", "--no-pager", unit).splitlines()
            self.figures[name] = float(lines[-1].split(":")[1].split()[0])
        assert self.figures["exposure"] <= 1.5

    def rights(self) -> None:
        """T36, T38: a user of its own without a capability, and a data directory that is closed to others."""
        status = self.machine.run("cat", f"/proc/{self.main_pid()}/status")
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert self.machine.run("stat", "-c", "%U %a", "/var/lib/pixlsrve").strip() == "pixlsrve 700"
        assert self.machine.run("find", "/var/lib/pixlsrve", "-type", "f", "-perm", "/077").strip() == ""

    def pair(self) -> None:
        """`pixlsrve pair` as root finds the service without --data-dir, and a phone outside joins."""
        offer = json.loads(self.machine.run("pixlsrve", "pair", "--admin", "--json", "--no-wait").splitlines()[0])
        body = {"device_name": "Phone", "device_type": "ios", "pairing_code": offer["code"]}
        code, out = self.phone.curl(
            f"{URL}/api/v1/auth/pair", "-H", "Content-Type: application/json", "-d", json.dumps(body), limit_s=60
        )
        assert code == 0, out
        answer = json.loads(out)
        self.token = answer["api_token"]
        self.phone.up(Phone.conf(answer["wireguard_config"]))

    def tunnel(self) -> None:
        """T38: from outside through the tunnel into a service without rights; names too."""
        self.wait_tunnel()
        name = ("dig", "+short", "+time=3", "pixlsrve.home.arpa", "@10.100.0.1")
        until(lambda: inside(self.phone.namespace, *name)[1].strip() == "10.100.0.1", "a name", LIMIT_S)
        status = self.machine.run("cat", f"/proc/{self.main_pid(TUNNEL)}/status")
        assert "CapEff:\t0000000000001400" in status, status

    def kill(self) -> None:
        """After kill -9 it serves again by itself, the phone still paired and its tunnel there."""
        self.figures["back_after_kill_s"] = self._restarted(lambda: self._signal("KILL"))

    def hang(self) -> None:
        """A process that hangs is ended by the watchdog and started again."""
        folder = self.machine.root / "etc/systemd/system/pixlsrve.service.d"
        folder.mkdir(parents=True)
        (folder / "watchdog.conf").write_text(f"[Service]\nWatchdogSec={SHORT_WATCHDOG_S}\n")
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", SERVICE)
        self.wait_serving()
        self.figures["back_after_hang_s"] = self._restarted(lambda: self._signal("STOP"))
        assert "Watchdog timeout" in self.machine.run("journalctl", "-u", SERVICE, "--no-pager", "-n", "200")
        (folder / "watchdog.conf").unlink()
        self.machine.run("systemctl", "daemon-reload")

    def helper_killed(self) -> None:
        """The tunnel comes back after its helper was killed; the service goes on meanwhile."""
        self.wait_tunnel()
        before, helper = self.main_pid(), self.main_pid(TUNNEL)
        self.machine.run("kill", "-KILL", str(helper))
        until(lambda: self.main_pid(TUNNEL) not in (0, helper), "the next helper", LIMIT_S)
        self.wait_tunnel()
        assert self.main_pid() == before

    def late_disk(self) -> None:
        """A photo folder whose disk is not there is offline, and comes when the disk is mounted, without a restart."""
        settings = self.machine.root / _SETTINGS.lstrip("/")
        settings.write_text(settings.read_text().replace('#photos = ["/srv/photos"]', 'photos = ["/mnt/disk/photos"]'))
        self.machine.run("systemctl", "reload", SERVICE)
        until(lambda: self._root_state() == "offline", "the offline folder", LIMIT_S)
        before = self.main_pid()
        self.machine.run("mkdir", "-p", "/mnt/disk")
        self.machine.run("mount", "-t", "tmpfs", "-o", "mode=755", "disk", "/mnt/disk")
        self.machine.run("mkdir", "-m", "755", "/mnt/disk/photos")
        self._photo("/mnt/disk/photos/one.jpg")
        self.machine.run("pixlsrve", "scan", "--wait")
        assert self._root_state() == "online"
        assert self._photos() == 1
        assert self.main_pid() == before

    def stop_and_start(self) -> None:
        """Stopped in order it ends with success and leaves nothing of the tunnel."""
        self.machine.run("systemctl", "stop", SERVICE)
        assert self.machine.show(SERVICE, "Result") == "success"
        until(lambda: "pixlsrve0" not in self.machine.run("ip", "link"), "the tunnel's end", LIMIT_S)
        assert "pixlsrve" not in self.machine.run("nft", "list", "ruleset")
        self.machine.run("systemctl", "start", SERVICE)
        self.wait_serving()
        self.wait_tunnel()

    def reload(self) -> None:
        """Bad settings at a reload change nothing and are told; good ones are in force."""
        settings, before = self.machine.root / _SETTINGS.lstrip("/"), self.main_pid()
        good = settings.read_text()
        settings.write_text(good.replace("[http]", "[http]\nprot = 1"))
        self.machine.run("systemctl", "reload", SERVICE)
        journal = ("journalctl", "-u", SERVICE, "--no-pager", "-n", "50")
        until(lambda: "http.prot" in self.machine.run(*journal), "the complaint", LIMIT_S)
        settings.write_text(good)
        self.wait_serving()
        assert self.main_pid() == before

    def reboot(self) -> None:
        """After a reboot the phone is still paired, its tunnel up, and the disk that is not mounted offline."""
        began_s = time.monotonic()
        self.figures["reboot_s"] = round(self.machine.reboot(), 1)
        self.wait_serving()
        self.wait_tunnel()
        self.figures["reboot_to_tunnel_s"] = round(time.monotonic() - began_s, 1)
        assert self._root_state() == "offline"
        assert self._photos() == 1

    def full_disk(self) -> None:
        """A full disk: it goes on serving, comes up after a kill once there is room, and has lost nothing."""
        run = self.machine.run
        run("systemctl", "stop", SERVICE)
        run("mkdir", "-p", "/mnt/small")
        run("mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "small", "/mnt/small")
        run("cp", "-a", "/var/lib/pixlsrve/.", "/mnt/small/")
        run("mount", "--bind", "/mnt/small", "/var/lib/pixlsrve")
        run("systemctl", "start", SERVICE)
        self.wait_serving()
        run("dd", "if=/dev/zero", "of=/var/lib/pixlsrve/filler", "bs=64k", code=None)
        assert self.phone.reaches(f"{URL}/healthz", 30)
        self._signal("KILL")
        until(lambda: self.main_pid() != 0, "a try", LIMIT_S)
        run("rm", "/var/lib/pixlsrve/filler")
        self.wait_serving()
        run("systemctl", "stop", SERVICE)
        run("umount", "/var/lib/pixlsrve")
        run("systemctl", "start", SERVICE)
        self.wait_serving()

    def remove_and_purge(self) -> None:
        """Removal stops it and keeps everything; purging keeps uploads and keys unless the question is answered yes."""
        run = self.machine.run
        run("dpkg", "--remove", "pixlsrve")
        assert self.machine.show(SERVICE, "ActiveState") == "inactive"
        assert "keys" in run("ls", "/var/lib/pixlsrve")
        assert "pixlsrve.toml" in run("ls", "/etc/pixlsrve")
        self._put_package()
        self.wait_serving()
        run("dpkg", "--purge", "pixlsrve")
        assert "keys" in run("ls", "/var/lib/pixlsrve")
        run("test", "-e", _SETTINGS, code=1)
        self._put_package()
        run("debconf-set-selections", text="pixlsrve pixlsrve/purge-data boolean true\n")
        run("dpkg", "--purge", "pixlsrve")
        run("test", "-e", "/var/lib/pixlsrve", code=1)
        assert "pixlsrve" not in run("systemctl", "list-units", "--all", "pixlsrve*")

    def archive_installs(self) -> None:
        """The archive makes the same service without a package; `uninstall` removes it and keeps the data."""
        if self.archive is None:
            return
        run = self.machine.run
        (self.machine.root / "opt/pixlsrve.tar.gz").write_bytes(self.archive.read_bytes())
        run("tar", "-C", "/opt", "-xzf", "/opt/pixlsrve.tar.gz")
        assert "Next: " in run("/opt/pixlsrve/install.sh", "--photos", "/srv/photos")
        self.wait_serving(is_paired=False)
        self.phone = self.home.phone("another", "192.0.2.21/24")  # the first one's tunnel led to what was purged
        self.pair()
        self.wait_tunnel()
        out = run("pixlsrve", "uninstall")
        assert "/var/lib/pixlsrve" in out
        assert self.machine.show(SERVICE, "ActiveState") == "inactive"
        assert "keys" in run("ls", "/var/lib/pixlsrve")

    def main_pid(self, unit: str = SERVICE) -> int:
        """The process of a unit inside, 0 for none."""
        return int(self.machine.show(unit, "MainPID") or 0)

    def wait_serving(self, *, is_paired: bool = True) -> None:
        """Until pages come on the LAN, and the phone that was paired gets in."""
        until(lambda: self.phone.reaches(f"{URL}/healthz", 5), "the page", LIMIT_S)
        if self.token and is_paired:
            code, out = self.phone.curl(
                f"{URL}/api/v1/host/status", "-H", f"Authorization: Bearer {self.token}", "-w", "%{http_code}"
            )
            assert (code, out[-3:]) == (0, "200"), out

    def wait_tunnel(self) -> None:
        """Until pages come through the tunnel."""
        until(lambda: self.phone.reaches("http://10.100.0.1:8080/healthz", 5), "the tunnel", LIMIT_S)

    def _put_package(self) -> str:
        (self.machine.root / "opt/pixlsrve.deb").write_bytes(self.package.read_bytes())
        began_s = time.monotonic()
        out = self.machine.run("dpkg", "--install", "/opt/pixlsrve.deb")
        self.figures.setdefault("install_s", round(time.monotonic() - began_s, 1))
        return out

    def _restarted(self, disturb: Callable[[], None]) -> float:
        """Disturb the service; the seconds until another process serves, the phone still paired and its tunnel up."""
        before, began_s = self.main_pid(), time.monotonic()
        disturb()
        until(lambda: self.main_pid() not in (0, before), "another process", LIMIT_S)
        self.wait_serving()
        took_s = round(time.monotonic() - began_s, 1)
        self.wait_tunnel()
        return took_s

    def _signal(self, name: str) -> None:
        self.machine.run("kill", f"-{name}", str(self.main_pid()))

    def _status(self) -> dict[str, Any]:
        with contextlib.suppress(AssertionError, ValueError):
            found: dict[str, Any] = json.loads(self.machine.run("pixlsrve", "status", "--json"))
            return found
        return {"photo_roots": []}

    def _root_state(self) -> str:
        roots = [root for root in self._status()["photo_roots"] if root["path"] == "/mnt/disk/photos"]
        return str(roots[0]["state"]) if roots else ""

    def _photos(self) -> int:
        return sum(root["total_photos"] for root in self._status()["photo_roots"])

    def _photo(self, path: str) -> None:
        from PIL import Image

        with tempfile.NamedTemporaryFile(suffix=".jpg") as made:
            Image.new("RGB", (640, 480), "teal").save(made.name)
            (self.machine.root / "opt/one.jpg").write_bytes(Path(made.name).read_bytes())
        self.machine.run("install", "-m", "644", "/opt/one.jpg", path)


@contextlib.contextmanager
def booted(cache: Path, figures: dict[str, Any]) -> Iterator[tuple[Machine, Home]]:
    """A fresh machine in a home, for the length of the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache)))
        home = stack.enter_context(home_in(folder))
        machine = Machine(cache.absolute(), folder / "machine", home.host)
        stack.callback(machine.close)
        figures["boot_s"] = round(machine.boot(), 1)
        yield machine, home


def main() -> int:
    """Run the steps; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.boot")
    parser.add_argument("package", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="where the booted root is kept between runs")
    parser.add_argument("--archive", type=Path, help="also install the tar archive")
    parser.add_argument("--first-photo", action="store_true", help="only somebody new's way to the first photo")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    with booted(arguments.cache, figures) as (machine, home):
        newcomer = Newcomer(machine, home, arguments.package)
        failed = failed_of([newcomer.first_photo])
        figures["first_photo"] = newcomer.figures
    if not arguments.first_photo:
        with booted(arguments.cache, figures) as (machine, home):
            boot = Boot(machine, home, arguments.package, arguments.archive)
            failed += failed_of(boot.steps())
            figures |= boot.figures
    print(json.dumps({**figures, "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
