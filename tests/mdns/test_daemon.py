"""The daemon itself on a real network: found when it answers, told in status, gone before it stops answering."""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mdns.lan import LIMIT_S, Lan, Lines, lan_in, require, run

require()

SERVER, ADDRESS, PORT, TEXT = 6, 7, 8, 9
PIXLSRVE = (sys.executable, "-m", "pixlsrve")


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with lan_in(tmp_path) as made:
        yield made


def _status(host: str, data: Path) -> dict[str, dict[str, object]]:
    out = run("ip", "netns", "exec", host, *PIXLSRVE, "status", "--data-dir", str(data), "--json")
    answer: dict[str, dict[str, object]] = json.loads(out)
    return answer


def test_daemon_is_found(lan: Lan, tmp_path: Path) -> None:
    """What avahi finds answers: the TXT record is true, discovery/info names the same host and the ways to it."""
    host, eyes = lan.host("host", "192.0.2.10/24"), lan.host("eyes", "192.0.2.20/24")
    witness = lan.avahi(eyes)
    data = tmp_path / "data"
    env = {"PIXLSRVE_MDNS__NAME": "Grandma's attic", "HOME": str(tmp_path), "PIXLSRVE_INDEX__WORKERS": "1"}
    daemon = lan.start(host, *PIXLSRVE, "serve", "--data-dir", str(data), "--port", "0", "--no-vpn", env=env)
    Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
    (row, *_) = witness.ask_until(lambda rows: bool(rows))
    facts = dict(part.split("=", 1) for part in row[TEXT].strip('"').split('" "'))
    base = f"http://{row[ADDRESS]}:{row[PORT]}"
    assert base.startswith("http://192.0.2.10:")
    assert facts["api_port"] == row[PORT]
    assert facts["name"] == "Grandma's attic"
    assert facts["secure"] == "true"
    until_s = time.monotonic() + LIMIT_S
    info: dict[str, Any] = {"addresses": []}
    while len(info["addresses"]) < 2:  # the name is among the ways when it has been announced three times
        assert time.monotonic() < until_s, info
        info = json.loads(run("ip", "netns", "exec", eyes, "curl", "-fsS", f"{base}/api/v1/discovery/info"))
    assert (info["host_id"], info["version"]) == (facts["host_id"], facts["version"])
    assert [(way["kind"], way["host"]) for way in info["addresses"]] == [("lan", "192.0.2.10"), ("name", row[SERVER])]
    assert info["addresses"][0]["url"] == base
    assert urllib.parse.urlsplit(info["addresses"][0]["tls_url"]).port == info["tls_port"]
    named = ("curl", "-fsS", "--resolve", f"{row[SERVER]}:{row[PORT]}:192.0.2.10")
    answer = run("ip", "netns", "exec", eyes, *named, f"http://{row[SERVER]}:{row[PORT]}/api/v1/discovery/info")
    assert json.loads(answer)["host_id"] == info["host_id"]
    state = _status(host, data)["mdns"]
    assert (state["enabled"], state["name"], state["addresses"]) == (True, "Grandma's attic", ["192.0.2.10"])
    assert state["interfaces"] == ["eth0"]
    daemon.terminate()
    assert daemon.wait(60) == 0
    witness.ask_until(lambda rows: not rows)


def test_switched_off(lan: Lan, tmp_path: Path) -> None:
    """With --no-mdns nothing is announced, and status says so."""
    host = lan.host("host", "192.0.2.10/24")
    data = tmp_path / "data"
    options = ("--data-dir", str(data), "--port", "0", "--no-mdns", "--no-vpn", "--no-tls")
    daemon = lan.start(host, *PIXLSRVE, "serve", *options, env={"HOME": str(tmp_path)})
    Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
    assert _status(host, data)["mdns"] == {"enabled": False, "reason": "switched off"}
    assert "224.0.0.251" not in lan.ip(host, "maddress", "show", "dev", "eth0")


def test_no_network(lan: Lan, tmp_path: Path) -> None:
    """A daemon without any network starts, and says that it announces nothing."""
    host = lan.host("host")
    data = tmp_path / "data"
    options = ("--data-dir", str(data), "--port", "0", "--no-vpn", "--no-tls")
    daemon = lan.start(host, *PIXLSRVE, "serve", *options, env={"HOME": str(tmp_path)})
    Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
    assert _status(host, data)["mdns"] == {"enabled": False, "reason": "no network"}
    daemon.terminate()
    assert daemon.wait(60) == 0
