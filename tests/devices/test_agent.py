"""The agent and the host as two processes: pairing, transfers, what is refused, and what is never sent twice."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest

from tests.daemon import Daemon, StartDaemon, free_port
from tests.devices.conftest import StartAgent
from tests.devices.kit import AgentProcess, fetch, fetch_json, pair_code, song, wait_until

OK = (200, "Device synced successfully")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with three songs, one of them with an awkward name, and a text file."""
    folder = tmp_path / "music"
    (folder / "Älbum").mkdir(parents=True)
    (folder / "one.mp3").write_bytes(song(1))
    (folder / "Älbum" / "zwei & 100 %.mp3").write_bytes(song(2))
    (folder / "three.mp3").write_bytes(song(3, 4_000))
    (folder / "notes.txt").write_text("not a song")
    return folder


def sync(host: Daemon, token: str, device: int = 1) -> tuple[int, str]:
    status, answer = fetch_json(f"{host.url}/pisync/devices/{device}", token=token)
    assert set(answer) == {"message", "device"}, answer
    return status, answer["message"]


def device_id(host: Daemon, token: str, number: int = 1) -> str:
    devices = fetch_json(f"{host.url}/api/v1/devices", token=token)[1]["devices"]
    found: str = next(device["device_id"] for device in devices if device["number"] == number)
    return found


def songs(host: Daemon, token: str, number: int = 1) -> dict[str, dict[str, object]]:
    url = f"{host.url}/api/device/{device_id(host, token, number)}/songs/"
    return {item["path"]: item for item in fetch_json(url, token=token)[1]["songs"]}


def credential(host: Daemon, agent: AgentProcess) -> str:
    """What the host shows to the agent: asked for with a new registration, by an admin."""
    token = host.token(admin=True)
    url = f"{host.url}/api/device/{device_id(host, token)}/register/"
    answer = fetch_json(url, method="POST", token=token, body={"port": agent.port, "address": "127.0.0.1"})[1]
    text: str = answer["credential"]
    return text


def test_sync(host: Daemon, agents: StartAgent, root: Path) -> None:
    """A sync brings every song, byte for byte and through every door, and nothing that came is sent again."""
    agent = agents(host, root)
    token = host.token(admin=True)
    assert sync(host, token) == OK
    found = songs(host, token)
    assert set(found) == {"one.mp3", "Älbum/zwei & 100 %.mp3", "three.mp3"}
    for path, item in found.items():
        status, headers, content = fetch(host.url + str(item["url"]), token=token)
        assert (status, content) == (200, (root / path).read_bytes())
        assert headers["Content-Type"] == "audio/mpeg"
        assert item["sha256"] == hashlib.sha256(content).hexdigest()
    status, headers, content = fetch(host.url + str(found["one.mp3"]["url"]), token=token, Range="bytes=10-19")
    assert (status, content) == (206, (root / "one.mp3").read_bytes()[10:20])
    assert len(fetch_json(f"{host.url}/api/v1/photos?kind=audio", token=token)[1]["photos"]) == 3
    assert fetch(host.url + str(found["one.mp3"]["url"]))[0] == 401

    before = _uploads(host)
    (root / "one.mp3").rename(root / "renamed.mp3")
    os.utime(root / "three.mp3")
    (root / "four.mp3").write_bytes(song(4))
    assert sync(host, token) == OK
    assert len(_uploads(host) - before) == 1  # only the new one: a renamed and a touched file have come already
    assert songs(host, token)["renamed.mp3"]["url"]
    before = _uploads(host)
    assert sync(host, token) == OK
    assert _uploads(host) == before
    assert agent.stop() == 0


def _uploads(host: Daemon) -> set[str]:
    return {path.name for path in (host.data_dir / "storage" / "uploads").rglob("*.mp3")}


def test_two_paths_of_the_api(host: Daemon, agents: StartAgent, root: Path) -> None:
    """The list, its filters, the log and the alias are the specification's; no cache keeps them."""
    agents(host, root)
    token = host.token(admin=True)
    status, headers, content = fetch(f"{host.url}/pisync/devices/1/sync", method="POST", token=token)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    device = json.loads(content)["device"]
    assert list(device) == [
        "device_id",
        "name",
        "type",
        "last_sync_at",
        "sync_status_code",
        "error_message",
        "last_attempt_at",
    ]
    assert (device["device_id"], device["type"], device["sync_status_code"], device["error_message"]) == (
        1,
        "agent",
        200,
        None,
    )
    assert device["last_sync_at"].endswith("Z")
    assert len(device["last_sync_at"]) == len("2025-04-23T14:30:25.000Z")
    host.cli("devices", "add", "Shelf", "--address", "127.0.0.1", "--port", str(free_port()), "--song", "a.mp3")
    assert fetch_json(f"{host.url}/pisync/devices/2", token=token)[0] == 404
    everything = fetch_json(f"{host.url}/pisync/devices", token=token)[1]
    assert (everything["count"], [item["device_id"] for item in everything["devices"]]) == (2, [1, 2])
    for query, expected in {
        "sync_status_code=200": [1],
        "sync_status_code=!200": [2],
        "sort_by=name&order=desc&limit=1": [1 if device["name"].casefold() > "shelf" else 2],
        "page=2&limit=1": [2],
        "page=9": [],
    }.items():
        answer = fetch_json(f"{host.url}/pisync/devices?{query}", token=token)[1]
        assert [item["device_id"] for item in answer["devices"]] == expected, query
    assert fetch_json(f"{host.url}/pisync/devices?page=0", token=token)[0] == 400
    logs = fetch_json(f"{host.url}/pisync/devices/logs", token=token)[1]
    assert (logs["count"], logs["logs"][0]["device_id"]) == (1, 2)
    assert logs["logs"][0]["error_message"] == "Server Not Reachable"


def test_refusals_are_the_specifications(host: Daemon, agents: StartAgent, root: Path) -> None:
    """401 and 404 of /pisync/devices are letter for letter; another's device is one that does not exist (T15)."""
    agents(host, root)
    member = host.token()
    base = f"{host.url}/pisync/devices"
    for url in (base, f"{base}/1", f"{base}/logs"):
        assert fetch_json(url) == (401, {"message": "No auth token provided"})
        assert fetch_json(url, token="junk") == (401, {"message": "Invalid auth token"})
    assert fetch_json(f"{base}/1", token=member) == (404, {"message": "Device with ID 1 not found"})
    assert fetch_json(f"{base}/123", token=host.token(admin=True)) == (404, {"message": "Device with ID 123 not found"})
    assert fetch_json(base, token=member)[1] == {"count": 0, "devices": []}


@pytest.mark.parametrize(
    "path",
    [
        "../secret.mp3",
        "%2e%2e/secret.mp3",
        "%2e%2e%2fsecret.mp3",
        "..%2fsecret.mp3",
        "sub/../../secret.mp3",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..%5csecret.mp3",
        "C:/secret.mp3",
        "C%3a%5csecret.mp3",
        "one.mp3%00.mp3",
        "one%0a.mp3",
        "./one.mp3",
        "link.mp3",
        "folder/secret.mp3",
        "",
    ],
)
def test_nothing_outside_leaves_the_device(shared: tuple[Daemon, AgentProcess, str], path: str) -> None:
    """T19, T23: no spelling of a path, and no link, leads out of the shared folder: 403 as specified."""
    _, agent, secret = shared
    with socket.create_connection(("127.0.0.1", agent.port), 30) as connection:
        lines = [f"GET /transfer/{path} HTTP/1.1", "Host: a", f"Authorization: Bearer {secret}", "Connection: close"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 403 " in head.splitlines()[0], answer
    assert set(json.loads(body)) == {"error", "details"}
    assert json.loads(body)["error"] == "Upload failed"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One daemon and one agent for many requests: with links out of the folder, and a secret beside it."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "photos").mkdir()
    root = folder / "music"
    root.mkdir()
    (root / "one.mp3").write_bytes(song(1))
    (root / "notes.txt").write_text("no song")
    (root / ".hidden.mp3").write_bytes(song(9))
    (folder / "secret.mp3").write_bytes(song(8))
    (root / "link.mp3").symlink_to(folder / "secret.mp3")
    (root / "folder").symlink_to(folder)
    os.mkfifo(root / "pipe.mp3")
    options = ("--photos", str(folder / "photos"), "--no-tls", "--no-vpn")
    daemon = Daemon(folder / "data", *options).start()
    agent = AgentProcess(daemon.url, root, folder / "agent")
    try:
        agent.start("--pair", pair_code(daemon))
        yield daemon, agent, credential(daemon, agent)
    finally:
        agent.stop(signal.SIGKILL)
        daemon.stop(signal.SIGKILL)


def test_transfer(shared: tuple[Daemon, AgentProcess, str]) -> None:
    """/transfer needs the host's credential, answers 404 for what is no song, and 200 with the upload's own answer."""
    host, agent, secret = shared
    base = f"http://127.0.0.1:{agent.port}"
    assert fetch_json(f"{base}/transfer/one.mp3")[0] == 401
    assert fetch_json(f"{base}/transfer/one.mp3", token=host.token(admin=True))[0] == 401
    assert fetch_json(f"{base}/manifest")[0] == 401
    for missing in ("two.mp3", "notes.txt", ".hidden.mp3", "pipe.mp3", "one.mp3/x.mp3"):
        status, answer = fetch_json(f"{base}/transfer/{missing}", token=secret)
        assert (status, answer["error"]) == (404, "Upload failed"), missing
    unknown = f"{base}/transfer/one.mp3?song_id=904cb473-5d17-4885-9363-46f466a7d140"
    assert fetch_json(unknown, token=secret)[0] == 404
    status, answer = fetch_json(f"{base}/transfer/one.mp3", token=secret)
    assert (status, set(answer), answer["message"]) == (200, {"message", "path"}, "Song File uploaded successfully.")
    assert fetch(host.url + answer["path"], token=host.token())[2] == song(1)
    assert fetch_json(f"{base}/transfer/one.mp3", token=secret) == (status, answer)


def test_manifest(shared: tuple[Daemon, AgentProcess, str]) -> None:
    """/manifest has one JSON object a line: path, size, mtime, sha256, song_id, of songs inside the folder only."""
    host, agent, secret = shared
    status, headers, content = fetch(f"http://127.0.0.1:{agent.port}/manifest", token=secret)
    (line,) = [json.loads(text) for text in content.splitlines()]
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
    assert (line["path"], line["size"], line["sha256"]) == (
        "one.mp3",
        len(song(1)),
        hashlib.sha256(song(1)).hexdigest(),
    )
    assert abs(line["mtime"] - (agent.root / "one.mp3").stat().st_mtime) < 1e-5
    assert line["song_id"] == songs(host, host.token(admin=True))["one.mp3"]["song_id"]


def test_pairing_is_private(host: Daemon, agents: StartAgent, root: Path) -> None:
    """What the agent keeps is 0600 in a 0700 folder (T36); a code works once, and a later start needs none."""
    agent = agents(host, root)
    assert stat.S_IMODE(agent.data_dir.stat().st_mode) == 0o700
    for path in agent.data_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert agent.stop() == 0
    code, text = AgentProcess(host.url, root, agent.data_dir.with_name("other")).run_to_end("--pair", "ABCD2345")
    assert code == 1
    assert "pixlsrve pair" in text
    code, text = AgentProcess(host.url, root, agent.data_dir.with_name("third")).run_to_end()
    assert code == 1
    assert "--pair CODE" in text
    agent.start()
    assert sync(host, host.token(admin=True)) == OK


def test_revoked_agent_says_so(host: Daemon, agents: StartAgent, root: Path) -> None:
    """A revoked agent ends with exit code 1 and says what helps; the host does not sync it any more."""
    agent = agents(host, root)
    token = host.token(admin=True)
    host.cli("revoke", "1")
    assert fetch_json(f"{host.url}/pisync/devices/1", token=token)[0] == 404
    agent.stop()
    code, text = agent.run_to_end()
    assert code == 1
    assert "--pair CODE" in text


def test_crash_in_mid_sync(host: Daemon, agents: StartAgent, root: Path) -> None:
    """An agent that dies while it sends is `Unknown Sync Error`, nothing half-sent is visible, and the next goes on."""
    (root / "large.mp3").write_bytes(song(5, 400_000))
    agent = agents(host, root)
    token = host.token(admin=True)
    incoming = host.data_dir / "storage" / "uploads" / ".incoming"
    results: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: results.append(sync(host, token)))
    thread.start()
    wait_until(lambda: any(path.stat().st_size for path in _parts(incoming)))
    agent.stop(signal.SIGKILL)
    thread.join()
    assert results in ([(500, "Sync failed: Unknown Sync Error")], [(404, "Sync failed: Server Not Reachable")])
    assert all(item["url"] is None or path != "large.mp3" for path, item in songs(host, token).items())
    wait_until(lambda: not _parts(incoming))
    agent.start()
    assert sync(host, token) == OK
    assert fetch(host.url + str(songs(host, token)["large.mp3"]["url"]), token=token)[2] == song(5, 400_000)


def _parts(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def test_host_that_is_away(host: Daemon, agents: StartAgent, root: Path) -> None:
    """While the host is away /transfer is 502 in the specification's shape, and the agent comes back by itself."""
    agent = agents(host, root)
    secret = credential(host, agent)
    host.stop()
    status, answer = fetch_json(f"http://127.0.0.1:{agent.port}/transfer/one.mp3", token=secret)
    assert (status, answer["error"]) == (502, "Upload failed")


@pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root may read and write everything")
def test_file_that_can_not_be_read(host: Daemon, root: Path, tmp_path: Path) -> None:
    """A file that the agent may not read keeps none of the others away; the sync says that it was not whole."""
    (root / "closed.mp3").write_bytes(song(7))
    (root / "closed.mp3").chmod(0)
    bound = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    agent = AgentProcess(host.url, root, tmp_path / "agent", prefix=bound)
    try:
        agent.start("--pair", pair_code(host))
        token = host.token(admin=True)
        assert sync(host, token) == (500, "Sync failed: Unknown Sync Error")
        assert {path for path, item in songs(host, token).items() if item["url"] is None} == {"closed.mp3"}
        (root / "closed.mp3").chmod(0o600)
        assert sync(host, token) == OK
    finally:
        agent.stop(signal.SIGKILL)


def test_follows_its_folder(host: Daemon, agents: StartAgent, root: Path) -> None:
    """A file that comes into the folder is told to the host without being asked."""
    agents(host, root)
    token = host.token(admin=True)
    (root / "late.mp3").write_bytes(song(7))
    wait_until(lambda: "late.mp3" in songs(host, token))


def test_names_that_urls_refuse(host: Daemon, agents: StartAgent, root: Path) -> None:
    """Files whose names are no UTF-8, or look like other systems' paths, come too, under names that are safe."""
    names = [b"caf\xe9.mp3", b"back\\slash.mp3", b"C:drive.mp3", b"new\nline.mp3", "\u202egnp.mp3".encode()]
    for number, name in enumerate(names):
        (root / os.fsdecode(name)).write_bytes(song(20 + number))
    agents(host, root)
    token = host.token(admin=True)
    assert sync(host, token) == OK
    found = songs(host, token)
    assert len(found) == 3 + len(names)
    contents = {fetch(host.url + str(item["url"]), token=token)[2] for item in found.values()}
    assert {song(20 + number) for number in range(len(names))} <= contents


def test_encrypted_where_the_host_can(daemons: StartDaemon, agents: StartAgent, root: Path, tmp_path: Path) -> None:
    """The agent uses HTTPS with the authority pinned at pairing, and stops when another host answers there."""
    (tmp_path / "photos").mkdir()
    host = daemons("--photos", str(tmp_path / "photos"), "--no-vpn").start()
    status = json.loads(host.cli("status", "--json"))
    agent = agents(host, root)
    assert sync(host, host.token(admin=True)) == OK
    kept = json.loads((agent.data_dir / "agent.json").read_text())
    assert kept["authority"].startswith("-----BEGIN CERTIFICATE-----")
    assert kept["is_plain"] is False
    assert status["tls"]["ca_fingerprint"] in "".join(agent.log.seen if agent.log else [])
    agent.stop()
    other = daemons("--no-vpn", data_dir=tmp_path / "impostor").start()
    kept["server"] = other.url
    (agent.data_dir / "agent.json").write_text(json.dumps(kept))
    agent.url = other.url
    agent.begin()
    assert "certificate is not the one" in agent.wait("could not be told")


def test_warns_without_encryption(host: Daemon, agents: StartAgent, root: Path) -> None:
    """Where the host has no HTTPS the agent says what that means."""
    agent = agents(host, root)
    assert any("can be read on the network" in line for line in (agent.log.seen if agent.log else []))
