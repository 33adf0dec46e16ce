"""The agent on another machine: a host and a device in network namespaces of their own, by their real addresses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices.kit import AgentProcess, song
from tests.mdns.lan import Lan, Lines, lan_in, require, run

require()

PIXLSRVE = (sys.executable, "-m", "pixlsrve")
HOST, DEVICE = "192.0.2.10", "192.0.2.20"


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with lan_in(tmp_path) as made:
        yield made


def inside(namespace: str, *command: str) -> str:
    return run("ip", "netns", "exec", namespace, *command)


def ask(namespace: str, url: str, token: str, *more: str) -> Any:
    return json.loads(inside(namespace, "curl", "-sS", "-H", f"Authorization: Bearer {token}", *more, url))


def test_agent_on_another_machine(lan: Lan, tmp_path: Path) -> None:
    """Paired over the LAN with HTTPS, a device is synced at its address, and at the next one when it moves."""
    host, device = lan.host("host", f"{HOST}/24"), lan.host("device", f"{DEVICE}/24")
    data, root = tmp_path / "data", tmp_path / "music"
    root.mkdir()
    (root / "one.mp3").write_bytes(song(1))
    env = {"PIXLSRVE_MDNS__ENABLED": "false", "HOME": str(tmp_path), "PIXLSRVE_INDEX__WORKERS": "1"}
    options = ("--data-dir", str(data), "--port", "8080", "--no-vpn")
    daemon = lan.start(host, *PIXLSRVE, "serve", *options, env=env)
    Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
    code = json.loads(inside(host, *PIXLSRVE, "pair", "--data-dir", str(data), "--json", "--no-wait"))["code"]
    token = inside(host, *PIXLSRVE, "token", "--data-dir", str(data), "--admin").strip()
    agent = AgentProcess(
        f"http://{HOST}:8080", root, tmp_path / "agent", "--port", "8766", prefix=("ip", "netns", "exec", device)
    )
    try:
        agent.start("--pair", code)
        assert json.loads((agent.data_dir / "agent.json").read_text())["authority"]
        base = f"http://{HOST}:8080"
        assert ask(host, f"{base}/pisync/devices/1", token)["message"] == "Device synced successfully"

        (root / "two.mp3").write_bytes(song(2))
        lan.ip(device, "addr", "add", "192.0.2.30/24", "dev", "eth0")
        lan.ip(device, "addr", "del", f"{DEVICE}/24", "dev", "eth0")
        lan.ip(device, "addr", "replace", "192.0.2.30/24", "dev", "eth0")
        agent.wait("has another address now")
        agent.wait("the host knows of the files")
        answer = ask(host, f"{base}/pisync/devices/1", token)
        while answer["message"] == "Sync failed: Server Not Reachable":  # until it has said where it is now
            answer = ask(host, f"{base}/pisync/devices/1", token)
        assert answer["message"] == "Device synced successfully"

        lan.ip(device, "link", "set", "eth0", "down")
        answer = ask(host, f"{base}/pisync/devices/1", token)
        assert answer["message"] in {"Sync failed: Server Not Reachable", "Sync failed: Connection Timeout"}
        assert answer["device"]["last_sync_at"] < answer["device"]["last_attempt_at"]
    finally:
        agent.stop(9)
