"""Each fault that the doctor knows, made for real on a computer of its own, and found with its remedy.

The computer is a mount and a network namespace with one LAN interface; what a fault changes is gone with it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.daemon import COMMAND, START_LIMIT_S, Daemon, StartDaemon, daemons

__all__ = ["daemons"]

REPOSITORY = Path(__file__).parents[2]
NEEDED = ("unshare", "ip", "mount", "strace", "faketime", "prlimit", "fallocate")
OTHER = "64311"
"""A user id that nobody has."""
_COMPUTER = """
set -eu
mount --make-rprivate /
ip link set lo up
ip link add lan0 type veth peer name lan1
ip addr add 192.168.77.2/24 dev lan0
ip link set lan0 up
ip link set lan1 up
mkdir -p -m 755 "$T/home"
mount -t tmpfs -o mode=755 home /mnt
mkdir -m 700 /mnt/data
mkdir /mnt/photos
touch /mnt/photos/a.jpg
{seed}
set +e
$BEFORE "$PY" -m pixlsrve doctor --json --config "$T/pixlsrve.toml" 2>&1
code=$?
[ -z "${{HOLDER:-}}" ] || kill "$HOLDER"
exit $code
"""
_HOLD = """
"$PY" -c 'import socket, sys, time
held = socket.socket(type=socket.SOCK_{kind})
held.bind(("{address}", {port}))
"{kind}" == "STREAM" and held.listen()
print("held", flush=True)
time.sleep(600)' > "$T/held" &
HOLDER=$!
until grep -q held "$T/held"; do kill -0 $HOLDER; done
"""


def _hold(kind: str, port: int, address: str = "") -> str:
    """A program that keeps a port to itself."""
    return _HOLD.format(kind=kind, port=port, address=address)


def _over(target: str, content: str) -> str:
    """Another content of a file of the system."""
    return f"printf '%b' '{content}' > $T/over; mount --bind $T/over {target}"


def _patched(lines: str) -> str:
    """A Python that begins with these lines, in the place of one with other libraries."""
    return f"mkdir $T/python; cat > $T/python/sitecustomize.py <<'END'\n{lines}\nEND\nexport PYTHONPATH=$T/python"


_SYSTEMD = "mount -t tmpfs run /run; mkdir -p /run/systemd/system"
_SYSTEMCTL = (
    _SYSTEMD
    + "\nmkdir $T/bin; printf '#!/bin/sh\\nprintf \"{told}\"\\n' > $T/bin/systemctl; chmod 755 $T/bin/systemctl\n"
    "export PATH=$T/bin:$PATH"
)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What makes the fault, and what the doctor is to say."""

    check: str
    remedy: str
    """Words of the remedy."""
    seed: str = ""
    settings: str = ""
    top: str = ""
    """Settings of no section."""
    before: str = ""
    """What the command is run by."""
    also: tuple[str, ...] = ()
    """What else is wrong then."""
    name: str = ""


FAULTS = (
    Fault("data_dir_mode", "chmod 700", "chmod 755 /mnt/data"),
    Fault("data_dir_owner", "chown -R", f"touch /mnt/data/x; chown {OTHER} /mnt/data/x"),
    Fault("storage_dir", "--storage-dir", "touch /mnt/file", top='storage_dir = "/mnt/file/below"'),
    Fault("read_only", "dmesg", "mount -t tmpfs -o mode=700 d /mnt/data; mount -o remount,ro /mnt/data"),
    Fault("disk_full", "larger disk", "mount -t tmpfs -o mode=700,size=24m d /mnt/data; fallocate -l 16M /mnt/data/x"),
    Fault("disk_space", "Free some", "mount -t tmpfs -o mode=700,size=400m d /mnt/data; fallocate -l 381M /mnt/data/x"),
    Fault(
        "inodes",
        "small files",
        "mount -t tmpfs -o mode=700,nr_inodes=300 d /mnt/data; cd /mnt/data; touch $(seq 298); cd /",
    ),
    Fault("slow_disk", "A1", before="strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:delay_enter=600000"),
    Fault("state_restored", "disk's health", "touch /mnt/data/state.db.damaged-20260101T000000Z"),
    Fault(
        "not_ended",
        "Start it",
        """"$PY" -c 'import socket; socket.socket(socket.AF_UNIX).bind("/mnt/data/control.sock")'""",
    ),
    Fault("database", "verified copy", "head -c 8192 /dev/urandom > /mnt/data/state.db"),
    Fault("secrets", "chmod 600", "mkdir -m 700 /mnt/data/keys; touch /mnt/data/keys/k; chmod 644 /mnt/data/keys/k"),
    Fault("root_missing", "Connect its disk", "rm -r /mnt/photos"),
    Fault("root_unmounted", "sudo mount /mnt/photos", "rm /mnt/photos/*"),
    Fault(
        "root_unmounted",
        "sudo mount /srv",
        "mkdir -p /srv; mount -t tmpfs s /srv; mkdir /srv/photos; umount /srv 2>/dev/null; mount -t tmpfs t /srv;"
        "mkdir /srv/photos; mount -t tmpfs u /srv/photos;"
        + _over("/etc/fstab", "/dev/sdb1 /srv/photos/old ext4\\n")
        + "; mkdir /srv/photos/old",
        top='photos = ["/srv/photos/old"]',
        name="fstab",
    ),
    Fault(
        "unreadable",
        "install --run-as root",
        f"mkdir -m 700 /mnt/photos/mine; chown {OTHER} /mnt/data",
        name="folder of another user than the service's",
    ),
    Fault(
        "unreadable",
        "install --run-as root",
        f"chmod 600 /mnt/photos/a.jpg; chown {OTHER} /mnt/data",
        name="file of another user than the service's",
    ),
    Fault("watches", "fs.inotify.max_user_watches", _over("/proc/sys/fs/inotify/max_user_watches", "1\\n")),
    Fault("port", "--port", _hold("STREAM", 8080)),
    Fault("port", "--host", settings='[http]\nhost = "192.0.2.1"\ntls = false', name="address of nobody"),
    Fault("address", "http.host", settings='[http]\nhost = "no-such-host.invalid"\ntls = false'),
    Fault("tls_port", "http.tls_port", _hold("STREAM", 8443)),
    Fault("websocket_port", "compat.websocket_port", _hold("STREAM", 8765, "127.0.0.1")),
    Fault("tunnel_port_taken", "ss -lunp", _hold("DGRAM", 51820), settings="[wireguard]\nenabled = true"),
    Fault(
        "tunnel_interface_taken",
        "ip link delete",
        "mount -t sysfs s /sys",
        settings='[wireguard]\nenabled = true\ninterface = "lan0"',
    ),
    Fault(
        "tunnel_network_overlaps",
        "wireguard.network",
        settings='[wireguard]\nenabled = true\nnetwork = "192.168.77.0/24"',
    ),
    Fault("dns_port", "bind-interfaces", _hold("DGRAM", 53), settings="[wireguard]\nenabled = true"),
    Fault("mdns_port", "disallow-other-stacks", _hold("DGRAM", 5353)),
    Fault("no_lan", "Wi-Fi", "ip link delete lan0"),
    Fault("clock", "timesyncd", before="faketime 1998-01-01"),
    Fault("clock", "timesyncd", "touch -d '3 days' /mnt/data/state.db", name="that went back"),
    Fault("time_zones", "tzdata", "mount -t tmpfs z /usr/share/zoneinfo", also=("worker",)),
    Fault("time_sync", "timedatectl", _SYSTEMD),
    Fault("sqlite", "Upgrade", _patched("import sqlite3\nsqlite3.sqlite_version_info = (3, 34, 1)")),
    Fault(
        "library",
        "newest package",
        "old=$T/python/pillow-10.0.0.dist-info; mkdir -p $old; export PYTHONPATH=$T/python\n"
        "printf 'Metadata-Version: 2.1\\nName: pillow\\nVersion: 10.0.0\\n' > $old/METADATA",
        name="old",
    ),
    Fault(
        "library",
        "newest package",
        "mkdir $T/python; export PYTHONPATH=$T/python\n"
        "echo 'raise ImportError(\"libx265.so\")' > $T/python/pillow_heif.py",
        name="that can't be loaded",
    ),
    Fault("http_parser", "AIOHTTP_NO_EXTENSIONS", "export AIOHTTP_NO_EXTENSIONS=1"),
    Fault("open_files", "LimitNOFILE", before="prlimit --nofile=512:512"),
    Fault("locale", "C.UTF-8", "export LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"),
    Fault("memory", "index.workers", _over("/proc/meminfo", "MemTotal: 262144 kB\\nMemAvailable: 200000 kB\\n")),
    Fault(
        "memory",
        "free -h",
        _over("/proc/meminfo", "MemTotal: 4000000 kB\\nMemAvailable: 200000 kB\\n"),
        name="taken by others",
    ),
    Fault(
        "memory_limit",
        "MemoryMax",
        "mount -t tmpfs g /sys/fs/cgroup; group=$(sed -n s/^0:://p /proc/self/cgroup)\n"
        "mkdir -p /sys/fs/cgroup/$group; echo 268435456 > /sys/fs/cgroup/$group/memory.max",
    ),
    Fault(
        "service_failed",
        "journalctl -u pixlsrve",
        _SYSTEMCTL.format(told="LoadState=loaded\\\\nActiveState=failed\\\\nResult=exit-code\\\\n"),
    ),
    Fault(
        "service_restarting",
        "journalctl -u pixlsrve",
        _SYSTEMCTL.format(told="LoadState=loaded\\\\nActiveState=active\\\\nNRestarts=7\\\\n"),
    ),
    Fault(
        "service_disabled",
        "enable --now",
        _SYSTEMCTL.format(told="LoadState=loaded\\\\nActiveState=active\\\\nUnitFileState=disabled\\\\n"),
    ),
    Fault("certificate", "take out", settings='[http]\ntls_cert = "/mnt/none.pem"\ntls_key = "/mnt/none.pem"'),
    Fault("certificate_old", "Renew", settings='[http]\ntls_cert = "T/old.pem"\ntls_key = "T/old.pem"'),
    Fault(
        "certificate_names",
        "http.hosts",
        settings='[http]\ntls_cert = "T/new.pem"\ntls_key = "T/new.pem"\n'
        'hosts = ["photos.example.org", "b.example.net"]',
    ),
    Fault("settings", "Mend the settings", settings="[http]\nprot = 8080", name="unknown"),
    Fault("settings", "Mend the settings", top='photos = ["/mnt/data/inside"]', name="that overlap"),
    Fault("settings", "Mend the settings", top="photos = [", name="that are not TOML"),
    Fault("worker", "install pixlsrve again", "mount --bind /dev/null pixlsrve/index/worker.py"),
    Fault(
        "sandbox",
        "seccomp",
        before="strace -f -qq -o /dev/null -e trace=prctl -e inject=prctl:error=EINVAL",
    ),
)


def _why_not() -> str:
    """Why no computer can be made here; empty where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces are not possible here: THE DOCTOR'S FAULTS ARE NOT TRIED, they need Linux and root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"missing here: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True, check=False)
    return (
        "" if tried.returncode == 0 else "network namespaces are not possible here: THE DOCTOR'S FAULTS ARE NOT TRIED"
    )


@pytest.fixture(scope="module", autouse=True)
def computers() -> None:
    """Skips aloud where there can be none."""
    reason = _why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `old.pem`, which has ended, and `new.pem` for *.example.org, each with its key."""
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    for name, days in (("old", -1), ("new", 300)):
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "photos.example.org")])
        made = (
            x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.example.org")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file = folder / f"{name}.pem"
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*plain))
        file.chmod(0o600)
    return folder


def _doctor(fault: Fault, folder: Path, certificates: Path) -> tuple[int, list[dict[str, str]]]:
    """Exit code and findings of the doctor on a computer with this fault."""
    top = fault.top if "photos" in fault.top else f'photos = ["/mnt/photos"]\n{fault.top}'
    wants_tunnel = "[wireguard]" in fault.settings
    sections = fault.settings.replace("T/", f"{certificates}/") + (
        "" if wants_tunnel else "\n[wireguard]\nenabled = false"
    )
    (folder / "pixlsrve.toml").write_text(f'data_dir = "/mnt/data"\n{top}\n{sections}\n')
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIXLSRVE_", "PYTHON"))}
    done = subprocess.run(
        ["unshare", "-m", "-n", "sh", "-c", _COMPUTER.format(seed=fault.seed)],
        env={
            **kept,
            "T": str(folder),
            "PY": sys.executable,
            "PYTHONPATH": str(REPOSITORY),
            "BEFORE": fault.before,
            "LC_ALL": "C.UTF-8",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=START_LIMIT_S * 2,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"ok"')]
    assert lines, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    found: list[dict[str, str]] = json.loads(lines[-1])["findings"]
    return done.returncode, found


def _ids() -> Iterator[str]:
    for fault in FAULTS:
        yield f"{fault.check} {fault.name}".strip()


def test_healthy_computer_is_silent(tmp_path: Path, certificates: Path) -> None:
    """Issue 6, point 7: nothing is reported where nothing is wrong, and the exit code says so."""
    assert _doctor(Fault("", ""), tmp_path, certificates) == (0, [])


@pytest.mark.parametrize("fault", FAULTS, ids=list(_ids()))
def test_fault_is_found(fault: Fault, tmp_path: Path, certificates: Path) -> None:
    """Issue 6, point 7: the fault is found by its stable word, with the remedy, and nothing else is."""
    if fault.check == "time_sync" and _is_synchronised():
        pytest.skip("this kernel lacks a part: its clock is kept right, and can't be made not to be")
    code, found = _doctor(fault, tmp_path, certificates)
    assert code == 1, found
    by_check = {finding["check"]: finding for finding in found}
    assert fault.check in by_check, found
    assert fault.remedy in by_check[fault.check]["remedy"]
    allowed = {fault.check, *fault.also}
    if "systemd/system" in fault.seed:
        allowed.add("time_sync")
    if "[wireguard]\nenabled = true" in fault.settings:  # this computer may lack what a tunnel needs
        allowed |= {"tunnel_backend", "tunnel_isolation"}
    assert set(by_check) <= allowed


def _is_synchronised() -> bool:
    from pixlsrve.doctor import computer

    return computer._is_synchronised()


def test_running_daemon_of_another_version(daemons: StartDaemon, tmp_path: Path) -> None:
    """A program that was upgraded while the daemon of before runs on, and files that can't be read."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(25):
        (photos / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing of a picture" + bytes([number]))
    daemon = daemons("--photos", str(photos)).start()
    daemon.wait_indexed()
    answer = json.loads(daemon.cli("doctor", "--json", code=1))
    assert [finding["check"] for finding in answer["findings"]] == ["quarantine"]
    assert "host/quarantine" in answer["findings"][0]["remedy"]
    (tmp_path / "sitecustomize.py").write_text("import pixlsrve\npixlsrve.__version__ = '99.0'\n")
    newer = Daemon(daemon.data_dir, env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"})
    answer = json.loads(newer.cli("doctor", "--json", code=1))
    assert [finding["check"] for finding in answer["findings"]] == ["old_daemon", "quarantine"]
    assert "restart" in answer["findings"][0]["remedy"]


def test_data_on_a_network_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of file system is read from the kernel's list of mounts (proc_pid_mountinfo(5))."""
    from pixlsrve.doctor import storage

    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / /share rw,noatime - nfs4 nas:/share rw\n")
    monkeypatch.setattr(storage, "_MOUNTS", mounts)
    (finding,) = storage.check_disk(tmp_path)
    assert finding.check == "network_disk"
    assert "--data-dir" in finding.remedy


def test_every_check_is_documented() -> None:
    """docs/troubleshooting.md has every word that a finding can have, and no other."""
    text = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")
    section = text.partition("## What doctor finds")[2].partition("\n## ")[0]
    documented = {
        word for row in re.findall(r"^\| (`[^|]+`) \|", section, re.M) for word in re.findall(r"`(\w+)`", row)
    }
    assert documented == _checks_in_the_code()


def _checks_in_the_code() -> set[str]:
    """`check=` of findings, the words of the checkups, and the ports' names."""
    package = REPOSITORY / "pixlsrve"
    files = [*(package / "doctor").glob("*.py"), package / "cli" / "doctor.py", package / "cli" / "worker_check.py"]
    words = {word for file in files for word in re.findall(r'check="(\w+)"', file.read_text("utf-8"))}
    words |= {"data_dir", "storage_dir", "port", "tls_port", "websocket_port"}  # given as arguments
    words |= set(re.findall(r'yield \(?\s*"(\w+)",', (package / "tls" / "checkup.py").read_text("utf-8")))
    words |= set(re.findall(r'yield \(?\s*"(\w+)",', (package / "wg" / "checkup.py").read_text("utf-8")))
    return words | {"tunnel_port_taken", "tunnel_network_overlaps"}


def test_at_least_25_faults() -> None:
    """Issue 6, point 7 asks for 25."""
    assert len({fault.check for fault in FAULTS}) >= 25
    assert COMMAND
