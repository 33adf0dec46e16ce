"""`pixlsrve serve`: how it starts, what it says, how it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pixlsrve.instance import is_running
from pixlsrve.store.migrate import check
from tests.daemon import Daemon, StartDaemon, free_port, is_root


def test_daemon_says_where_it_listens_answers_and_ends_in_order(daemon: Daemon) -> None:
    """One line on standard output, an answer on that address, 0 after SIGTERM, nothing else on standard output."""
    assert daemon.url.startswith("http://127.0.0.1:")
    assert daemon.get("/healthz") == (200, {"status": "ok"})
    assert daemon.stop() == 0
    assert daemon.further_output() == []
    assert not is_running(daemon.data_dir)
    assert not (daemon.data_dir / "control.sock").exists()


def test_sigint_ends_it_too(daemon: Daemon) -> None:
    """Control-C drains and exits 0."""
    assert daemon.stop(signal.SIGINT) == 0


def test_log_is_json_where_no_terminal_is(daemon: Daemon) -> None:
    """Each line on standard error is one JSON object with time, level and event."""
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log_lines]
    assert {"at", "level", "event"} <= lines[0].keys()
    assert [line["event"] for line in lines][-1] == "stopped"


def test_data_directory_is_private(daemon: Daemon) -> None:
    """T36: directories 0700, files 0600, the control socket too; the storage directory is for sharing."""
    daemon.token()
    for path in [daemon.data_dir, *daemon.data_dir.rglob("*")]:
        mode = path.lstat().st_mode & 0o777
        if path == daemon.data_dir / "storage":
            assert mode == 0o750
        elif path.is_dir():
            assert mode == 0o700, path
        else:
            assert mode == 0o600, path


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are read from /proc, Linux only")
def test_no_core_file_holds_the_keys(daemon: Daemon) -> None:
    """T36: a crash writes no memory anywhere, neither to a file nor to the system's collector."""
    process = Path(f"/proc/{daemon.pid}")
    (limits,) = (line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core file"))
    assert limits.split()[4:6] == ["0", "0"]
    assert int((process / "coredump_filter").read_text(), 16) == 0


def test_second_start_fails_at_once_and_names_the_first(daemon: Daemon, daemons: StartDaemon) -> None:
    """T39: the second daemon on a data directory exits 1 and says which process has it; the first goes on."""
    code, out, err = daemons().run_to_end()
    assert (code, out) == (1, "")
    assert str(daemon.pid) in err
    assert daemon.get("/healthz")[0] == 200


def test_start_after_kill_needs_no_hand(daemon: Daemon) -> None:
    """A daemon that was killed leaves nothing in the way of the next."""
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert daemon.get("/healthz")[0] == 200
    assert daemon.cli("status", "--json")


def test_token_outlives_a_restart(daemon: Daemon) -> None:
    """A script's token goes on working, because key and row are kept."""
    before = json.loads(daemon.cli("status", "--json"))["host_id"]
    token = daemon.token()
    daemon.stop()
    daemon.start()
    assert daemon.get("/api/v1/openapi.json", token)[0] == 200
    assert json.loads(daemon.cli("status", "--json"))["host_id"] == before


def test_taken_port_is_fatal_and_named(daemons: StartDaemon) -> None:
    """A taken http.port stops the start with the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104  # to be in the way of all addresses
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = daemons("--port", str(port)).run_to_end()
    assert (code, out) == (1, "")
    assert str(port) in err
    assert "--port" in err


def test_missing_root_is_a_warning(daemons: StartDaemon, tmp_path: Path) -> None:
    """A disk that is not there does not keep the rest from being served."""
    daemon = daemons("--photos", str(tmp_path / "nowhere")).start()
    roots = json.loads(daemon.cli("status", "--json"))["photo_roots"]
    assert {root["path"]: root["state"] for root in roots}[str(tmp_path / "nowhere")] == "offline"
    daemon.wait_logged("nowhere")


def test_no_root_at_all_works(daemons: StartDaemon) -> None:
    """Without a photo folder uploads are served."""
    daemon = daemons().start()
    assert daemon.get("/healthz")[0] == 200
    assert len(json.loads(daemon.cli("status", "--json"))["photo_roots"]) == 1


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        (("--photos", "{data}"), {}, ["photos", "data_dir", "overlap"]),
        (("--photos", "{data}/below"), {}, ["overlap"]),
        ((), {"PIXLSRVE_HTTP__PROT": "80"}, ["http.prot", "port"]),
        ((), {"PIXLSRVE_RESCAN_INTERVAL_S": "often"}, ["rescan_interval_s", "often"]),
        (("--config", "{data}/missing.toml"), {}, ["missing.toml"]),
        (("--colour", "red"), {}, ["--colour"]),
        (("--port", "70000"), {}, ["--port"]),
    ],
)
def test_bad_setting_exits_with_2(
    daemons: StartDaemon, tmp_path: Path, options: tuple[str, ...], env: dict[str, str], words: list[str]
) -> None:
    """A setting that is unknown or impossible is named, and the daemon does not start."""
    data = tmp_path / "data"
    code, out, err = daemons(*(option.format(data=data) for option in options), data_dir=data, env=env).run_to_end()
    assert (code, out) == (2, "")
    for word in words:
        assert word in err
    assert "Traceback" not in err


def test_file_in_place_of_the_data_directory_is_one_clear_sentence(daemons: StartDaemon, tmp_path: Path) -> None:
    """What can't be a data directory stops the start with 1 and one line."""
    (tmp_path / "file").touch()
    code, out, err = daemons(data_dir=tmp_path / "file").run_to_end()
    assert (code, out, len(err.splitlines())) == (1, "", 1)


@pytest.mark.skipif(not is_root(), reason="mounting needs root")
def test_read_only_data_directory_is_one_clear_sentence(daemons: StartDaemon, tmp_path: Path) -> None:
    """A data directory on a read-only disk stops the start with 1 and one line."""
    data = tmp_path / "data"
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(data)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not possible here")
    try:
        code, out, err = daemons(data_dir=data).run_to_end()
    finally:
        subprocess.run(["umount", str(data)], check=True)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "--data-dir" in err


def test_ipv6_address_is_in_brackets(daemons: StartDaemon) -> None:
    """An IPv6 literal is a usable URL."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    daemon = daemons("--host", "::1").start()
    assert daemon.url.startswith("http://[::1]:")
    assert daemon.get("/healthz")[0] == 200


def test_chosen_port_is_used(daemons: StartDaemon) -> None:
    """--port N listens on N."""
    port = free_port()
    assert daemons("--port", str(port)).start().port == port


def test_systemd_is_told(daemons: StartDaemon, tmp_path: Path) -> None:
    """READY=1 with a status when it answers, STOPPING=1 when it ends (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        daemon = daemons(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}).start()
        messages = iter(lambda: systemd.recv(4_096).decode().splitlines(), [])
        ready = next(message for message in messages if "READY=1" in message)
        assert ready[-1].startswith("STATUS=")
        assert ready[-1].endswith(f"listening on {daemon.url}")
        daemon.stop()
        assert any("STOPPING=1" in message for message in messages)


@pytest.mark.parametrize("name", ["index.db", "thumbnails.db"])
def test_damaged_rebuildable_database_is_made_again(daemon: Daemon, name: str) -> None:
    """T39: a start on a damaged index needs no hand, says so in one line and in status."""
    daemon.stop()
    (daemon.data_dir / name).write_bytes(b"\xa5" * 100_000)
    daemon.start()
    assert daemon.get("/healthz")[0] == 200
    assert any(name in notice["message"] for notice in json.loads(daemon.cli("status", "--json"))["notices"])
    assert len([line for line in daemon.log_lines if "mended" in line]) == 1


def test_damaged_state_is_restored(daemon: Daemon) -> None:
    """T39: damaged state comes back from its copy, and log, status and doctor say so."""
    token = daemon.token()
    daemon.stop()
    daemon.start()
    daemon.stop()
    (daemon.data_dir / "state.db").write_bytes(b"\xa5" * 100_000)
    daemon.start()
    assert daemon.get("/api/v1/openapi.json", token)[0] == 200
    daemon.wait_logged("restored")
    assert "restored" in daemon.cli("status")
    assert "restored" in daemon.cli("doctor", code=1)


def test_index_damaged_while_running_is_made_again_in_the_same_process(daemon: Daemon) -> None:
    """T39: damage met at run time ends in a sound index, on the same port, without a restart by hand."""
    path = daemon.data_dir / "index.db"
    daemon.wait_indexed()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (path.stat().st_size - 4_096))
    # Another connection changes the file, so that the daemon's caches are void and it reads what is there.
    (daemon.data_dir.parent / "photos" / "new").mkdir()
    daemon.cli("scan", "--full", "--wait")
    assert daemon.get("/healthz")[0] == 200
    daemon.stop()
    check(path)


@pytest.mark.skipif(not is_root(), reason="mounting needs root")
def test_full_disk_stops_no_reading_and_needs_no_restart(daemons: StartDaemon, tmp_path: Path) -> None:
    """T32: with the data directory's disk full everything can be read, and writing goes on when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not possible here")
    try:
        daemon = daemons(data_dir=disk / "data").start()
        token = daemon.token()
        _fill(disk / "ballast")
        assert daemon.get("/healthz")[0] == 200
        assert daemon.get("/api/v1/albums", token)[0] == 200
        daemon.cli("status")
        daemon.cli("token", code=1)
        (disk / "ballast").unlink()
        daemon.cli("token")
        assert daemon.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
